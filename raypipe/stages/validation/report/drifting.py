"""How far each column moved, by which measure, and whether that is more than is allowed."""

import math
from dataclasses import dataclass
from typing import Literal

from raypipe.stages.validation.report.report import Report
from raypipe.values.drift import MEASURES, column_gap

Moved = Literal["moved", "chance", "within", "unknown"]
SAID: dict[Moved, str] = {
    "moved": "moved",
    "chance": "may be chance",
    "within": "within",
    "unknown": "cannot be compared",
}


@dataclass(frozen=True, kw_only=True)
class Line:
    """What is said of one column."""

    column: str
    measure: str
    distance: float | None
    by_chance: float | None
    threshold: float
    moved: Moved
    judged: bool
    """Whether it counts: time goes on, and keys are new by nature."""

    @property
    def verdict(self) -> str:
        """Say it in words."""
        return SAID[self.moved] if self.judged else "not judged: it moves by nature"

    @property
    def is_moved(self) -> bool:
        """Whether the column moved by more than is allowed, and more than by chance."""
        return self.judged and self.moved == "moved"


def drift_lines(report: Report) -> dict[str, Line]:
    """Return what is said of each column that both have, the farthest first."""
    settings, before = report.settings.drift, report.before
    if settings is None or before is None:
        return {}
    lines = []
    theirs = before.columns | before.derived
    for name, column in (report.compared.columns | report.compared.derived).items():
        if name not in theirs:
            continue
        measure = settings.measures.get(name, settings.measure)
        threshold = settings.columns.get(name, settings.threshold)
        gap = column_gap(column, theirs[name], measure)
        if gap is None:
            moved: Moved = "unknown"
        elif gap.distance <= threshold:
            moved = "within"
        else:
            moved = "moved" if gap.is_real else "chance"
        lines.append(
            Line(
                column=name,
                measure=MEASURES[measure],
                distance=None if gap is None else gap.distance,
                by_chance=None if gap is None else gap.by_chance,
                threshold=threshold,
                moved=moved,
                judged=_is_judged(name, report),
            )
        )
    lines.sort(key=lambda line: (not line.is_moved, -_part(line)))
    return {line.column: line for line in lines}


def _part(line: Line) -> float:
    """Return a distance as a part of what is allowed."""
    if line.distance is None:
        return -1.0
    return line.distance / line.threshold if line.threshold else math.inf


def _is_judged(name: str, report: Report) -> bool:
    if report.validated is None:
        return True
    column = report.validated.schema.column(name)
    return report.validated.schema.key != (name,) and not (column and "time" in column.roles)
