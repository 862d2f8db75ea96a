"""What came of a run or a plan: one record for the terminal, the JSON and the tests."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from raypipe.engine.records import Json, Review, RunStatus, StepState
from raypipe.errors import RaypipeError, StepFailed


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A run that came to rest, or a plan (which has no run and no status)."""

    pipeline: str
    run: str | None = None
    status: RunStatus | None = None
    steps: tuple[StepState, ...] = ()
    outputs: Mapping[str, Json] = field(default_factory=dict)
    """Values that JSON can say as they are, others as where they lie."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """The outputs as Python values."""
    pages: Mapping[str, str] = field(default_factory=dict)
    """Pages that the run wrote or found for people, by name, whatever became of it."""
    reviews: tuple[Review, ...] = ()
    """Decisions that the run waits for."""
    error: RaypipeError | None = None
    failed: str | None = None
    """The step that failed."""
    estimate: Json = None
    """Of a plan: how long it takes, by how long its steps took before."""
    stale: tuple[Json, ...] = ()
    """Of a plan: the deployed versions that it leaves behind, each with the step that would run."""
    serving: Json = None
    """Whether a gateway serves the version that the run has: `served` and where, or why not.

    None for a run without a version.
    """
    outbox: Json = None
    """What the run, or one before it, could not carry out outside the ledger; None if nothing."""

    @property
    def exit_code(self) -> int:
        """What the command exits with; waiting for a review is 0."""
        return self.error.exit_code if self.error is not None else 0

    def to_json(self) -> Json:
        """The result as one JSON object, as `--json` prints it."""
        result: dict[str, Json] = {"event": "result"}
        if self.run is not None:
            result |= {"run": self.run}
        result |= {
            "pipeline": self.pipeline,
            "status": self.status,
            "steps": [state.to_json() for state in self.steps],
            "outputs": dict(self.outputs),
            "reviews": [
                {
                    "id": review.id,
                    "step": review.step,
                    "evidence": review.evidence,
                    "status": review.status,
                }
                for review in self.reviews
            ],
            "error": None if self.error is None else error_json(self.error, self.failed),
        }
        if self.run is None:
            result |= {"estimate": self.estimate, "stale": list(self.stale)}
        if self.pages:
            result |= {"pages": dict(self.pages)}
        if self.serving is not None:
            result |= {"serving": self.serving}
        if self.outbox is not None:
            result |= {"outbox": self.outbox}
        return result


def error_json(error: RaypipeError, step: str | None = None) -> Json:
    """An error as the JSON object that every face shows."""
    return {
        "kind": error.kind
        if isinstance(error, StepFailed) and error.kind
        else type(error).__name__,
        "step": step,
        "message": str(error),
        "hint": error.hint,
        "exit": error.exit_code,
    }
