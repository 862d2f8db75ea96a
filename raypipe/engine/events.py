"""What happens in a run, as records: the terminal, the JSON lines and the tests read the same."""

from dataclasses import asdict, dataclass
from typing import Literal

from raypipe.engine.records import Json, StepState


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something happened in a run."""

    def to_json(self) -> Json:
        """One object with `event` and the fields."""
        return {"event": type(self).event, **asdict(self)}

    event = "event"


@dataclass(frozen=True, kw_only=True)
class RunStarted(Event):
    """A run began."""

    event = "run_started"
    run: str
    pipeline: str
    steps: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class StepStarted(Event):
    """A step was handed to its runtime."""

    event = "step_started"
    step: str
    reason: str
    where: Literal["driver", "inline", "ray"]


@dataclass(frozen=True, kw_only=True)
class StepExpanded(Event):
    """The list that a step is mapped over is known; its items are `step[0]`, `step[1]`, …."""

    event = "step_expanded"
    step: str
    items: int


@dataclass(frozen=True, kw_only=True)
class StepRetried(Event):
    """An attempt at a step failed, and another one is made."""

    event = "retry"
    step: str
    cause: str
    """What failed, in a word."""
    why: str
    """What was said of it."""
    wait: float
    """Seconds before the next attempt."""
    left: int
    """Attempts that are left after that."""


@dataclass(frozen=True, kw_only=True)
class StepWaits(Event):
    """A step was handed to its runtime, which has no place for it yet."""

    event = "step_waits"
    step: str
    what: str
    """What it waits for."""


@dataclass(frozen=True, kw_only=True)
class StepProgress(Event):
    """A step said how far it is."""

    event = "step_progress"
    step: str
    done: float
    total: float
    what: str


@dataclass(frozen=True, kw_only=True)
class MetricLogged(Event):
    """A step logged a point of a curve."""

    event = "metric"
    step: str
    name: str
    value: float
    at: int


@dataclass(frozen=True, kw_only=True)
class StepEnded(Event):
    """The output of a step is known, or it failed, or it waits."""

    event = "step_ended"
    state: StepState
    failed: bool = False

    def to_json(self) -> Json:
        """One object with the step's state."""
        return {"event": "step_ended", "failed": self.failed, **self.state.to_json()}


@dataclass(frozen=True, kw_only=True)
class RunEnded(Event):
    """A run came to rest."""

    event = "run_ended"
    run: str
    status: str


@dataclass(frozen=True, kw_only=True)
class CodeDiffers(Event):
    """A run goes on from another one, and the project's code is not what that one used."""

    event = "code_differs"
    resumes: str
    """The run that it goes on from."""
    uses: Literal["kept", "now"]
    """The code that was kept with that run, or the project's of now."""
    files: tuple[str, ...]
    """What differs."""
    steps: tuple[StepState, ...] = ()
    """With the code of now: the steps that are executed or open since, each with the reason."""

    def to_json(self) -> Json:
        """One object with the steps' states."""
        steps = [state.to_json() for state in self.steps]
        return {"event": self.event, **asdict(self), "steps": steps}


@dataclass(frozen=True, kw_only=True)
class Warned(Event):
    """Something that a person should know, and that stops nothing."""

    event = "warning"
    step: str
    """The step that it is about; "" where it is about the run."""
    text: str
