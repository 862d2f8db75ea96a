"""Whether a step that failed is tried again, and after how long: a pure decision."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from raypipe.engine.step import StepOptions
from raypipe.errors import Cause, ClusterError, StepFailed, StoreError

Kind = Cause | Literal["transient"]
"""What failed of the step, or for a moment of a store or a cluster."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How attempts follow one another after a kind of failure."""

    first: float
    """Seconds that the first pause takes at most; each further one at most twice as long."""
    most: float
    """Seconds that no pause exceeds."""
    granted: int = 0
    """Further attempts though the step asks for none, since the failure is none of its own."""


PACES: Mapping[Kind, Pace] = {
    "raised": Pace(first=0.5, most=30.0),
    "timeout": Pace(first=0.5, most=30.0),
    "lost": Pace(first=1.0, most=60.0),
    "node": Pace(first=2.0, most=60.0, granted=2),
    "transient": Pace(first=1.0, most=60.0),
}
"""A kind that is not here is not tried again."""


@dataclass(frozen=True, kw_only=True)
class Again:
    """Another attempt is made."""

    wait: float
    """Seconds before it."""
    left: int
    """Attempts that are left after it."""


def kind_of(error: Exception) -> Kind:
    """Return what failed, by the error that came of it."""
    if isinstance(error, StepFailed):
        return error.cause
    return "transient" if isinstance(error, StoreError | ClusterError) else "said"


def again(failed: int, error: Exception, options: StepOptions, chance: float) -> Again | None:
    """Decide on the attempt after `failed` of them; None: it stays with the failure.

    `chance`, from 0 to 1, is the share of the longest pause that is waited for, so that steps which
    failed together do not come back together.
    """
    kind = kind_of(error)
    pace = PACES.get(kind)
    if pace is None or not _is_meant(error, options):
        return None
    left = max(options.retries, pace.granted) - failed
    if left < 0:
        return None
    return Again(wait=chance * min(pace.most, pace.first * 2.0 ** (failed - 1)), left=left)


def _is_meant(error: Exception, options: StepOptions) -> bool:
    """Say whether a failure of the step's own code is among those that it lists."""
    own = isinstance(error, StepFailed) and error.cause in {"raised", "timeout"}
    if not own or not options.retry_on:
        return True
    assert isinstance(error, StepFailed)
    return bool({_named(one) for one in options.retry_on} & {error.kind, *error.classes})


def _named(one: str | type) -> str:
    return one if isinstance(one, str) else f"{one.__module__}.{one.__qualname__}"
