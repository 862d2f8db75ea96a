"""What a run says while it goes: JSON lines, a display in a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from raypipe.cli.face import dump, note, plain, write
from raypipe.cli.render import base_name, duration
from raypipe.engine.events import (
    CodeDiffers,
    Event,
    MetricLogged,
    RunStarted,
    StepEnded,
    StepProgress,
    StepStarted,
    Warned,
)

QUIET = 10.0
"""Seconds between two plain lines about one step's progress."""

Listener = Callable[[Event], None]


@contextmanager
def listening(*, as_json: bool) -> Iterator[Listener]:
    """Give the listener that suits where the output goes."""
    if as_json:
        yield lambda event: write(dump(plain(event)))
    elif sys.stderr.isatty():
        with Display() as display:
            yield display
    else:
        yield Lines()


# --- what is known of a run (pure) --------------------------------------------------------------


@dataclass
class Stage:
    """How far the calls of one step are: f, f#2 and f[0] count together."""

    name: str
    total: int = 0
    ended: int = 0
    kept: int = 0
    failed: bool = False
    waits: bool = False
    started: float | None = None
    reason: str = ""
    done: float = 0
    of: float = 0
    what: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    running: int = 0
    begun: int = 0
    together: int = 0
    """Most that ran at once: all that were begun, where they are the items of one call."""
    made: int = 0
    """Of those begun, how many ended."""

    @property
    def share(self) -> float:
        """How much is done, from 0 to 1: the calls that ended, and how far those at work are."""
        inside = self.done / self.of * self.running if self.of else 0
        if (
            self.of == self.begun == self.together
        ):  # it counts items, and may have handed in some that ended so
            inside = max(0.0, self.done - self.made)
        return min(1.0, (self.ended + inside) / self.total) if self.total else 0

    def left(self, now: float) -> float | None:
        """Seconds that it still takes, at the pace so far; None while nothing is known."""
        if self.started is None or self.share <= 0:
            return None
        return (now - self.started) * (1 - self.share) / self.share

    def shown(self) -> str:
        """What it is busy with, in a few words."""
        parts = [f"{self.ended}/{self.total}"] if self.total > 1 else []
        if self.of:
            parts.append(f"{self.done:g}/{self.of:g} {self.what}".rstrip())
        parts += [f"{name} {value:.4g}" for name, value in self.metrics.items()]
        return ", ".join(parts)


@dataclass
class Progress:
    """Events, folded into how far each step is."""

    clock: Callable[[], float] = time.monotonic
    stages: dict[str, Stage] = field(default_factory=dict)

    def take(self, event: Event) -> Stage | None:
        """Take note of an event; return the stage that it is about."""
        match event:
            case RunStarted(steps=steps):
                self._expect(steps)
            case StepStarted(step=step, reason=reason):
                stage = self.stage(step)
                stage.running += 1
                stage.begun += 1
                stage.together = max(stage.together, stage.running)
                stage.started = stage.started or self.clock()
                stage.reason = stage.reason or reason
                return stage
            case StepProgress(step=step, done=done, total=total, what=what):
                stage = self.stage(step)
                stage.done, stage.of, stage.what = done, total, what
                return stage
            case MetricLogged(step=step, name=name, value=value):
                stage = self.stage(step)
                if step != stage.name:  # one of many: what all came to is in the step's progress
                    return stage
                stage.metrics[name] = value
                return stage
            case StepEnded():
                return self._end(event)
        return None

    def stage(self, step: str) -> Stage:
        """Return the stage of a step; one that was not announced is added."""
        name = base_name(step)
        return self.stages.setdefault(name, Stage(name=name, total=1))

    def _expect(self, steps: Sequence[str]) -> None:
        for step in steps:
            name = base_name(step)
            self.stages.setdefault(name, Stage(name=name)).total += 1

    def _end(self, event: StepEnded) -> Stage:
        stage = self.stage(event.state.name)
        stage.ended += 1
        stage.made += stage.running > 0
        stage.running = max(0, stage.running - 1)
        stage.kept += event.state.action == "hit"
        stage.failed |= event.failed
        stage.waits |= event.state.action == "wait"
        return stage


def closing(stage: Stage, now: float) -> str:
    """Return the one line that stays of a stage."""
    width = 24
    many = f" ×{stage.total}" if stage.total > 1 else ""
    name = f"{stage.name}{many}".ljust(width)
    if stage.failed:
        return f"✗ {name} failed"
    if stage.waits:
        return f"‖ {name} waits for a review"
    if stage.kept == stage.ended:
        return f"· {name} kept"
    took = duration(now - stage.started) if stage.started is not None else "-"
    kept = f", {stage.kept} kept" if stage.kept else ""
    return f"✓ {name} {took}{kept}  ({stage.reason})"


def told(event: Event) -> Iterator[str]:
    """Yield what is said of an event as it is, once."""
    match event:
        case CodeDiffers(uses="kept"):
            yield (
                f"! the project's code differs now from that of run {event.resumes} "
                f"({few(event.files)}); this goes on with the code of then, --code now with today's"
            )
        case CodeDiffers():
            yield f"! today's code differs from that of run {event.resumes}: {few(event.files)}"
            for state in event.steps:
                yield f"!   {state.name}: {state.action} ({state.reason})"
        case Warned(step=step, text=text):
            yield f"! {step}{step and ': '}{text}"


def few(names: Sequence[str]) -> str:
    """Return the first few names, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def is_over(stage: Stage) -> bool:
    """Say whether nothing more is to come of a stage."""
    return stage.ended >= stage.total or stage.failed


# --- where it goes ------------------------------------------------------------------------------


@dataclass
class Lines:
    """Plain lines on stderr: one at a step's start, some on its way, one at its end."""

    say: Callable[[str], None] = note
    progress: Progress = field(default_factory=Progress)
    _said: dict[str, float] = field(default_factory=dict)

    def __call__(self, event: Event) -> None:
        for line in told(event):
            self.say(line)
        stage = self.progress.take(event)
        if stage is None:
            return
        now = self.progress.clock()
        if isinstance(event, StepEnded):
            if is_over(stage):
                self.say(closing(stage, now))
        elif stage.name not in self._said:
            self._said[stage.name] = now
            self.say(f"▸ {stage.name}  ({stage.reason})")
        elif now - self._said[stage.name] >= QUIET:
            self._said[stage.name] = now
            self.say(f"  {stage.name}: {_pace(stage, now)}")


def _pace(stage: Stage, now: float) -> str:
    return ", ".join(part for part in (stage.shown(), remaining(stage, now)) if part)


def remaining(stage: Stage, now: float) -> str:
    """Return how long a stage still takes, or nothing while that is not known."""
    left = stage.left(now)
    if left is None:
        return ""
    return f"{left:.0f} s left" if left < 90 else f"{duration(left)} left"


@dataclass
class Display:
    """Bars at the foot of a terminal for the steps at work; a line stays of each that ended."""

    progress: Progress = field(default_factory=Progress)
    _bars: Any = None
    _tasks: dict[str, Any] = field(default_factory=dict)

    def __enter__(self) -> "Display":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, event: Event) -> None:
        for line in told(event):
            note(line)
        stage = self.progress.take(event)
        if stage is None:
            return
        if isinstance(event, StepEnded) and is_over(stage):
            self._close(stage)
        elif stage.started is not None:
            self._draw(stage)

    def _close(self, stage: Stage) -> None:
        line = closing(stage, self.progress.clock())
        if self._bars is None:
            note(line)
            return
        task = self._tasks.pop(stage.name, None)
        if task is not None:
            self._bars.remove_task(task)
            self._bars.refresh()
        self._bars.console.print(line, markup=False, highlight=False)

    def _draw(self, stage: Stage) -> None:
        bars = self._bars = self._bars or _bars()
        if stage.name not in self._tasks:
            self._tasks[stage.name] = bars.add_task(stage.name, total=1.0, shown="", left="")
        bars.update(
            self._tasks[stage.name],
            completed=stage.share,
            shown=stage.shown(),
            left=remaining(stage, self.progress.clock()),
        )


def _bars() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    bars = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[shown]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}", markup=False),
        console=Console(stderr=True),
        transient=True,
    )
    bars.start()
    return bars
