"""How the values of a column lie, now and before: bins of numbers, or shares of values."""

import math
from dataclasses import dataclass

import numpy as np

from raypipe.stages.validation.report.numbers import Floats, is_moment, numbers_of
from raypipe.stages.validation.report.told import value_of
from raypipe.values.columns import ColumnProfile
from raypipe.values.schema import kind_of

BINS = 32
FEW = 12
"""Values that are shown each by itself."""
FAR = 3
"""Widths of the middle 98 % beyond which the rest of a column's range is left out of its bins."""
STEEP = 50
"""Of positive numbers, how many times the lowest twentieth the highest is, where bins grow."""


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """Shares of numbers by bins."""

    low: str
    high: str
    now: tuple[float, ...]
    before: tuple[float, ...] | None
    outside: float
    """Share of the numbers of now that lie beyond the bins."""
    sampled: bool
    """Whether it was drawn from the profile's sample."""
    grows: bool
    """Whether each bin is wider than the one before, by the same factor."""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """How often one value occurs, or all others."""

    value: str
    rows: int
    now: float
    before: float | None
    rest: bool = False


def histogram(now: ColumnProfile, before: ColumnProfile | None) -> Histogram | None:
    """Return bins that hold the numbers of both; None where there are none."""
    columns = [now] if before is None else [now, before]
    known = [end for column in columns if (end := _range(column)) is not None]
    if _range(now) is None:
        return None
    low, high = min(end[0] for end in known), max(end[1] for end in known)
    grows = all(map(_is_steep, columns)) and low > 0
    edges = _edges(low, high, whole=kind_of(now.type) == "integer", grows=grows)
    width = 0.0 if grows else float(edges[1] - edges[0])
    found = [numbers_of(column, width) for column in columns]
    if found[0] is None:
        return None
    shares = [None if one is None else one.within(edges) for one in found]
    inside = sum(shares[0] or ())
    return Histogram(
        low=value_of(now.type, low),
        high=value_of(now.type, high),
        now=shares[0] or (),
        before=shares[-1] if before is not None else None,
        outside=1 - inside if inside < 1 - 1e-9 else 0.0,
        sampled=any(one is not None and one.sampled for one in found),
        grows=grows,
    )


def bars(now: ColumnProfile, before: ColumnProfile | None) -> tuple[Bar, ...]:
    """Return the shares of the most frequent values of either.

    None where they are not counted, and where none comes twice: a list of such says nothing.
    """
    if not now.values or (len(now.values) > FEW and max(now.values.values()) == 1):
        return ()
    ours, theirs = now.values, (before.values if before is not None else None)
    shares, was = _shares(ours), _shares(theirs or {})
    every = sorted({**shares, **was}, key=lambda v: (-max(shares.get(v, 0), was.get(v, 0)), v))
    first, others = every[:FEW], every[FEW:]
    if kind_of(now.type) in ("integer", "number"):
        first.sort(key=float)

    def bar(value: str, of: list[str], *, rest: bool = False) -> Bar:
        return Bar(
            value=value,
            rows=sum(ours.get(one, 0) for one in of),
            now=sum(shares.get(one, 0.0) for one in of),
            before=None if theirs is None else sum(was.get(one, 0.0) for one in of),
            rest=rest,
        )

    found = [bar(value, [value]) for value in first]
    if others:
        found.append(bar(f"{len(others):,} other values", others, rest=True))
    return tuple(found)


def is_counted(column: ColumnProfile) -> bool:
    """Say whether a column's values are shown each by itself, and not as bins of numbers."""
    if column.values is None:
        return False
    numbers = column.buckets is not None and kind_of(column.type) != "boolean"
    return not numbers or len(column.values) <= FEW


def _shares(counts: dict[str, int]) -> dict[str, float]:
    total = max(1, sum(counts.values()))
    return {value: count / total for value, count in counts.items()}


def _range(column: ColumnProfile) -> tuple[float, float] | None:
    """Return where numbers lie; where a few lie far outside, where the most do."""
    low, high = column.min, column.max
    if not isinstance(low, float) or not isinstance(high, float) or column.buckets is None:
        return None
    if is_moment(column):
        return low, high
    first, last = column.quantile(0.01), column.quantile(0.99)
    assert first is not None
    assert last is not None
    middle = last - first
    if not middle or high - low <= FAR * middle:
        return low, high
    return max(low, first - middle / 4), min(high, last + middle / 4)


def _is_steep(column: ColumnProfile) -> bool:
    """Say whether numbers lie so unevenly that bins of one width would show one bar."""
    low, high = column.quantile(0.05), column.quantile(0.95)
    return low is not None and high is not None and low > 0 and high / low > STEEP


def _edges(low: float, high: float, *, whole: bool, grows: bool) -> Floats:
    if grows:
        edges: Floats = np.geomspace(low, high, BINS + 1)
    elif whole and high - low < 2**52:
        wide = max(1, math.ceil((high - low + 1) / BINS))
        count = math.ceil((high - low + 1) / wide)
        return np.arange(count + 1, dtype=float) * wide + (math.floor(low) - 0.5)
    elif high - low <= max(abs(low), abs(high)) * 1e-12:
        room = abs(low) * 1e-9 or 0.5
        return np.array([low - room, high + room])
    else:
        # Halves first: the width of a range of doubles may be none. Those of the least are rounded.
        edges = np.clip(np.linspace(low / 2, high / 2, BINS + 1) * 2, low, high)
    edges[0], edges[-1] = low, high
    return edges
