"""Fitted groups that read numbers and moments, beside the plain numeric and cyclic ones."""

from dataclasses import dataclass
from itertools import pairwise

ROUND = {"month": 12, "day": 31, "weekday": 7, "hour": 24, "minute": 60, "day_of_year": 366}
"""Parts of a moment that come round again, and after how many steps."""


@dataclass(frozen=True, kw_only=True)
class Buckets:
    """The bucket of a number; float32 flags, or int64 from 1. Missing: no flag, or 0."""

    columns: tuple[str, ...]
    tensor: str
    edges: tuple[tuple[float, ...], ...]
    """Where buckets begin, rising, by column; a number at an edge is in the bucket above it."""
    index: bool
    """Tell the number of the bucket, instead of flags."""

    @property
    def names(self) -> tuple[str, ...]:
        """What each value of a row is."""
        if self.index:
            return self.columns
        pairs = zip(self.columns, self.edges, strict=True)
        return tuple(f"{column}{words}" for column, edges in pairs for words in _in_words(edges))

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """How many values each index can take."""
        return tuple(2 + len(edges) for edges in self.edges)


def _in_words(edges: tuple[float, ...]) -> tuple[str, ...]:
    if not edges:
        return ("=any",)
    ends = [f"{edge:.6g}" for edge in edges]
    inner = (f"[{low},{high})" for low, high in pairwise(ends))
    return (f"<{ends[0]}", *inner, f">={ends[-1]}")


@dataclass(frozen=True, kw_only=True)
class Date:
    """Parts of moments; float32. All are 0 where a moment is missing."""

    columns: tuple[str, ...]
    tensor: str
    parts: tuple[str, ...]
    """As the settings name them."""
    cyclic: bool
    """Sine and cosine of what comes round; else its share of the way, from 0 to 1."""
    zone: str | None
    """Time zone of timestamps that have one; None: UTC."""
    center: tuple[float, ...]
    """Mean moment of the train split, in seconds since 1970, by column."""
    scale: tuple[float, ...]
    """Its standard deviation in seconds, by column; never 0."""

    @property
    def names(self) -> tuple[str, ...]:
        """What each value of a row is."""
        return tuple(
            f"{column}.{name}"
            for column in self.columns
            for part in self.parts
            for name in self._values(part)
        )

    def _values(self, part: str) -> tuple[str, ...]:
        return (f"{part}.sin", f"{part}.cos") if self.cyclic and part in ROUND else (part,)
