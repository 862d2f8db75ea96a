"""Rows that people keep to ask each later candidate, and what one made of them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raypipe.values.evaluation import Evaluation

if TYPE_CHECKING:
    import pyarrow as pa

FAILED = "failed"
"""The figure beside a task's metrics: how many rows a model gets wrong."""


@dataclass(frozen=True, kw_only=True)
class EdgeCases:
    """A named set of rows with their labels."""

    name: str
    rows: "pa.Table"
    """Raw columns and the label; where there is a column `note`, what people say of each row."""


@dataclass(frozen=True, kw_only=True)
class FailingRow:
    """A row that a candidate gets wrong."""

    number: int
    """In its set, counted from 1."""
    note: str
    """What a person says of it; empty where nobody does."""
    told: str
    """Its label."""
    predicted: str
    champion: str = ""
    """What the champion predicts; empty without one that can be asked."""


@dataclass(frozen=True, kw_only=True)
class EdgeFindings:
    """What a candidate made of a set of edge cases, and the champion beside it."""

    name: str
    rows: int
    metrics: dict[str, float]
    """Those of the task, and `failed`; NaN where one is not defined by these rows."""
    failing: tuple[FailingRow, ...]
    """The first of the rows that fail."""
    version: str = ""
    """The champion's; empty without one that can be asked these rows."""
    champion: dict[str, float] | None = None
    """The champion's metrics on the same rows."""


@dataclass(frozen=True, kw_only=True)
class EdgeCaseEvaluation(Evaluation):
    """An evaluation with what was found of edge cases beside it."""

    edge_cases: tuple[EdgeFindings, ...] = ()

    def summary(self) -> dict[str, Any]:
        """Return what a person needs to decide, as what JSON can say."""
        told = {one.name: told_in_short(one) for one in self.edge_cases}
        return {**super().summary(), "edge cases": told}


def told_in_short(found: EdgeFindings) -> str:
    """Return how a set went in a line: `2 of 14 rows fail (1.2.0: 5)`."""
    beside = f" ({found.version}: {found.champion[FAILED]:.0f})" if found.champion else ""
    return f"{found.metrics[FAILED]:.0f} of {found.rows} rows fail{beside}"
