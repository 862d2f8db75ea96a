"""What analysis found of a candidate, on rows that no model was fitted to or chosen by."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from raypipe.values.edge_cases import EdgeFindings

    Floats = NDArray[np.float64]


HIGHER_IS_BETTER = frozenset({"auc", "average_precision", "accuracy", "f1", "r2"})
"""Metrics of which more is better; of the others less is."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure with its interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} ({self.low:.4f} to {self.high:.4f})"


@dataclass(frozen=True, kw_only=True)
class Slice:
    """A subset of the rows: those with one value in one column."""

    column: str
    value: str
    rows: int
    metrics: dict[str, Estimate]
    champion: dict[str, Estimate] | None = None
    """The champion's metrics on the same rows."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The champion on the same rows, with its own transform."""

    version: str
    metrics: dict[str, Estimate]
    differences: dict[str, Estimate]
    """Candidate less champion, on the same resamples."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Blessed or not, and why."""

    blessed: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What analysis found; the same rows and models give the same evaluation."""

    task: str
    rows: int
    groups: int
    """Groups (days, customers) that the intervals resample."""
    confidence: float
    metrics: dict[str, Estimate]
    """The first is the one that candidates are compared by."""
    slices: tuple[Slice, ...]
    curves: "dict[str, Floats]"
    """`roc` and `pr` [points, 2]; `calibration` [bins, 3]: rows, mean score, share of positives;
    `histogram` [bins, 2]: rows of the negative and the positive class; `confusion` [2, 2]."""
    champion: Comparison | None
    verdict: Verdict = Verdict(blessed=False, reasons=("it was not judged",))

    @property
    def edge_cases(self) -> "tuple[EdgeFindings, ...]":
        """What was found of sets of edge cases; here none was looked at."""
        return ()

    def summary(self) -> dict[str, Any]:
        """Return what a person needs to decide, as what JSON can say."""
        said: dict[str, Any] = {
            "verdict": "blessed" if self.verdict.blessed else "not blessed",
            "reasons": list(self.verdict.reasons),
            "rows": self.rows,
            "groups": self.groups,
            "metrics": {name: str(one) for name, one in self.metrics.items()},
        }
        if self.champion is not None:
            said[f"beside the champion {self.champion.version}"] = {
                name: str(one) for name, one in self.champion.differences.items()
            }
        return said
