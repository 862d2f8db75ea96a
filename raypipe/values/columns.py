"""Statistics of one column, that merge into those of more values."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt

from raypipe.values.sketches import Buckets, Distinct

EXACT_VALUES = 1_000
"""Distinct values up to which each is counted."""

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


class Mergeable(Protocol):
    """Statistics of some values, that can be merged with those of others."""

    def merge(self, other: Self, /) -> Self:
        """Return the statistics of both."""
        ...


_M = TypeVar("_M", bound=Mergeable)


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Mean and spread of finite numbers."""

    count: int
    mean: float
    squares: float
    """Sum of the squared distances from the mean."""

    @classmethod
    def of(cls, numbers: Floats, counts: Counts) -> Self | None:
        """Take the moments of numbers, each met so many times; None if there are none."""
        count = int(counts.sum())
        if not count:
            return None
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float((numbers * counts).sum()) / count
            squares = float((counts * (numbers - mean) ** 2).sum())
        return cls(count=count, mean=mean, squares=squares)

    def merge(self, other: Self) -> Self:
        """Take the moments of both."""
        count = self.count + other.count
        gap = other.mean - self.mean
        return type(self)(
            count=count,
            mean=(self.count * self.mean + other.count * other.mean) / count,
            squares=self.squares + other.squares + gap * gap * self.count * other.count / count,
        )


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """How long texts are, in characters; or lists, in values."""

    min: int
    max: int
    total: int
    count: int

    @property
    def mean(self) -> float:
        """Average length."""
        return self.total / self.count

    def merge(self, other: Self) -> Self:
        """Take the lengths of both."""
        return type(self)(
            min=min(self.min, other.min),
            max=max(self.max, other.max),
            total=self.total + other.total,
            count=self.count + other.count,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class ValueCounts:
    """How often each of some values occurs, written down in little room."""

    texts: str
    """The values' canonical texts, as a JSON list."""
    counts: Counts

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, int]]) -> Self:
        """Write down values and how often each occurs, in their order."""
        texts, counts = tuple(zip(*pairs, strict=True)) or ((), ())
        return cls(
            texts=json.dumps(texts, ensure_ascii=False, separators=(",", ":")),
            counts=np.array(counts, np.int64),
        )

    @cached_property
    def pairs(self) -> dict[str, int]:
        """Values and how often each occurs."""
        return dict(zip(json.loads(self.texts), self.counts.tolist(), strict=True))


@dataclass(frozen=True, kw_only=True)
class ColumnProfile:
    """Statistics of one column.

    Dates and timestamps count as seconds since the epoch, booleans as 0 and 1, decimals as floats.
    """

    name: str
    type: str
    """Arrow's name of the type (of a dictionary: of its values); two types that met: `a | b`."""
    count: int
    """Values, nulls included."""
    nulls: int
    zeros: int = 0
    nans: int = 0
    infinities: int = 0
    min: float | str | None = None
    """Smallest finite number, or first text in code-point order (its first 100 characters)."""
    max: float | str | None = None
    moments: Moments | None = None
    """Of the finite numbers; None if there are none."""
    buckets: Buckets | None = None
    """Distribution of the finite numbers; None if there are none."""
    seen: Distinct
    """Sketch of the distinct values."""
    counted: ValueCounts | None = None
    """See `values`."""
    sampled: ValueCounts | None = None
    """Where `counted` is None: the sample's most frequent values, and how often they are in it."""
    lengths: Lengths | None = None
    """Of texts and lists; None for others and where all are null."""

    @property
    def values(self) -> dict[str, int] | None:
        """How often each canonical text occurs; None beyond EXACT_VALUES, and for lists."""
        return None if self.counted is None else self.counted.pairs

    @property
    def mean(self) -> float | None:
        """Average of the finite numbers."""
        return None if self.moments is None else self.moments.mean

    @property
    def variance(self) -> float | None:
        """Population variance of the finite numbers."""
        return None if self.moments is None else self.moments.squares / self.moments.count

    @property
    def deviation(self) -> float | None:
        """Standard deviation of the finite numbers."""
        return None if self.variance is None else math.sqrt(self.variance)

    @property
    def null_share(self) -> float:
        """Share of values that are null."""
        return self.nulls / self.count if self.count else 0.0

    @property
    def distinct(self) -> int:
        """Values that differ: exact while they are counted, else an estimate (1.6 % or so off)."""
        return self.seen.estimate if self.values is None else len(self.values)

    @property
    def top(self) -> list[tuple[str, int]]:
        """Values and how often they occur, most frequent first; of the sample where too many."""
        if self.values is not None:
            return by_frequency(self.values)
        return [] if self.sampled is None else list(self.sampled.pairs.items())

    def quantile(self, share: float) -> float | None:
        """Return the number below which this share of the finite numbers lies, to within 1 %."""
        if self.buckets is None:
            return None
        value = self.buckets.quantile(share)
        if value is None or not isinstance(self.min, float) or not isinstance(self.max, float):
            return value
        return min(max(value, self.min), self.max)

    def merge(self, other: Self) -> Self:
        """Return the profile of the values of both; `sampled` is the profile's to say."""
        seen = self.seen.merge(other.seen)
        return replace(
            self,
            type=_merged_type(self.type, other.type),
            count=self.count + other.count,
            nulls=self.nulls + other.nulls,
            zeros=self.zeros + other.zeros,
            nans=self.nans + other.nans,
            infinities=self.infinities + other.infinities,
            min=_extreme(min, self.min, other.min),
            max=_extreme(max, self.max, other.max),
            moments=merged(self.moments, other.moments),
            buckets=merged(self.buckets, other.buckets),
            seen=seen,
            counted=_merged_values(self.values, other.values, seen),
            sampled=None,
            lengths=merged(self.lengths, other.lengths),
        )


def merged(a: _M | None, b: _M | None) -> _M | None:
    """Merge what there is."""
    if a is None or b is None:
        return b if a is None else a
    return a.merge(b)


def by_frequency(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return values and how often they occur, the most frequent first."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _merged_type(a: str, b: str) -> str:
    kinds = {*a.split(" | "), *b.split(" | ")}
    return " | ".join(sorted(kinds - {"null"})) or "null"


def _merged_values(
    a: dict[str, int] | None, b: dict[str, int] | None, seen: Distinct
) -> ValueCounts | None:
    if a is None or b is None or seen.at_least > EXACT_VALUES:
        return None
    merged = {text: a.get(text, 0) + b.get(text, 0) for text in sorted(a | b)}
    return ValueCounts.of(merged.items()) if len(merged) <= EXACT_VALUES else None


def _extreme(choose: Any, a: float | str | None, b: float | str | None) -> float | str | None:
    if a is None or b is None:
        return b if a is None else a
    if isinstance(a, str) == isinstance(b, str):
        chosen: float | str = choose(a, b)
        return chosen
    return choose(str(a), str(b))  # type: ignore[no-any-return]
