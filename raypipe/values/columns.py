"""Statistics of one column, that merge into those of more values."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from raypipe.values.counting import EXACT_VALUES, ValueCounts
from raypipe.values.hashing import canonical_text
from raypipe.values.moments import Moments
from raypipe.values.sketches import Buckets, Distinct

_TOP = 100

_SUMMED = ("count", "nulls", "zeros", "nans", "infinities", "negative_infinities")
_summed = attrgetter(*_SUMMED)

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


class Mergeable(Protocol):
    """Statistics of some values, that can be merged with those of others."""

    @classmethod
    def merge_all(cls, parts: Sequence[Self], /) -> Self:
        """Return the statistics of all, of which there is one at least."""
        ...


class Rows(Protocol):
    """A sample of rows."""

    @property
    def rows(self) -> pa.Table:
        """The rows."""
        ...


_M = TypeVar("_M", bound=Mergeable)


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

    @classmethod
    def merge_all(cls, parts: Sequence[Self]) -> Self:
        """Take the lengths of all parts."""
        return cls(
            min=min(part.min for part in parts),
            max=max(part.max for part in parts),
            total=sum(part.total for part in parts),
            count=sum(part.count for part in parts),
        )


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
    negative_infinities: int = 0
    """Those of the infinities that are below 0."""
    min: float | str | None = None
    """Smallest finite number, or first text in code-point order (its first 100 characters).

    Of texts alone where both met.
    """
    max: float | str | None = None
    moments: Moments | None = None
    """Of the finite numbers; None if there are none."""
    buckets: Buckets | None = None
    """Distribution of the finite numbers; None if there are none."""
    seen: Distinct
    """Sketch of the distinct values."""
    counted: ValueCounts | None = None
    """See `values`."""
    lengths: Lengths | None = None
    """Of texts, bytes and lists; None for others and where all are null."""
    looks: dict[str, int] = field(default_factory=dict)
    """How many texts look like what: see raypipe.values.census. Empty for others."""
    inner: dict[str, ColumnProfile] = field(default_factory=dict)
    """Of what the values hold: fields by name, a list's values as `[]`, a map's as `{}`.

    Of bytes that are images: format, mode, width and height, in pixels.
    """
    sample: Rows | None = field(default=None, init=False, repr=False, compare=False)
    """The profile's sample, which the profile gives and keeps."""

    def beside(self, sample: Rows) -> Self:
        """Return the same with the sample at hand."""
        if self.sample is sample:
            return self
        column = self if self.sample is None else replace(self)
        object.__setattr__(column, "sample", sample)
        return column

    @property
    def drawn(self) -> pa.ChunkedArray | None:
        """The column in the profile's sample; None if it is not there."""
        if self.sample is None or self.name not in self.sample.rows.column_names:
            return None
        return self.sample.rows[self.name]

    @property
    def values(self) -> dict[str, int] | None:
        """How often each canonical text occurs; None if too many, if long, and for lists."""
        return None if self.counted is None else self.counted.pairs

    @property
    def mean(self) -> float | None:
        """Average of the finite numbers."""
        return None if self.moments is None else self.moments.mean

    @property
    def variance(self) -> float | None:
        """Population variance of the finite numbers."""
        return None if self.moments is None else self.moments.variance

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
        return self.seen.estimate if self.counted is None else len(self.counted.counts)

    @property
    def top(self) -> list[tuple[str, int]]:
        """Values and how often they occur, most frequent first; of the sample where too many."""
        if self.counted is not None:
            return self.counted.most()
        return [] if self.drawn is None else frequent(self.drawn)

    def quantile(self, share: float) -> float | None:
        """Return the number below which this share of the finite numbers lies, to within 1 %."""
        if self.buckets is None:
            return None
        value = self.buckets.quantile(share)
        if value is None or not isinstance(self.min, float) or not isinstance(self.max, float):
            return value
        return min(max(value, self.min), self.max)

    @classmethod
    def merge_all(cls, parts: Sequence[Self]) -> Self:
        """Return the profile of the values of all parts."""
        first = parts[0]
        if len(parts) == 1:
            return first
        seen = Distinct.merge_all([part.seen for part in parts])
        return cls(
            name=first.name,
            type=_merged_type(part.type for part in parts),
            **dict(zip(_SUMMED, map(sum, zip(*map(_summed, parts), strict=True)), strict=True)),
            min=_extreme(min, [part.min for part in parts]),
            max=_extreme(max, [part.max for part in parts]),
            moments=merged(part.moments for part in parts),
            buckets=merged(part.buckets for part in parts),
            seen=seen,
            counted=_merged_values((part.counted for part in parts), seen),
            lengths=merged(part.lengths for part in parts),
            looks=_added(part.looks for part in parts),
            inner=by_name(part.inner for part in parts),
        )


def merged(parts: Iterable[_M | None]) -> _M | None:
    """Merge what there is."""
    there = [part for part in parts if part is not None]
    return type(there[0]).merge_all(there) if there else None


def by_name(parts: Iterable[Mapping[str, ColumnProfile]]) -> dict[str, ColumnProfile]:
    """Merge columns by their names, in the order in which they are met."""
    found: dict[str, list[ColumnProfile]] = {}
    for columns in parts:
        for name, column in columns.items():
            found.setdefault(name, []).append(column)
    return {name: ColumnProfile.merge_all(columns) for name, columns in found.items()}


def frequent(values: pa.ChunkedArray) -> list[tuple[str, int]]:
    """Return the most frequent values of a sample, ties in the order of the values."""
    if pa.types.is_nested(values.type):
        return []
    if pa.types.is_float16(values.type):  # Arrow puts none of these in order
        values = values.cast(pa.float32())
    pairs = pc.value_counts(values.drop_null())
    table = pa.table({"value": pairs.field("values"), "count": pairs.field("counts")})
    order = pc.sort_indices(table, [("count", "descending"), ("value", "ascending")])
    top = table.take(order[:_TOP])
    counts: Counter[str] = Counter()
    for text, count in zip(canonical_text(top["value"]), top["count"].to_pylist(), strict=True):
        if text is not None:
            counts[text] += count
    return list(counts.items())


def by_frequency(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return values and how often they occur, the most frequent first."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _added(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    there = [part for part in parts if part]
    names = sorted({name for part in there for name in part})
    return {name: sum(part.get(name, 0) for part in there) for name in names}


def _merged_type(types: Iterable[str]) -> str:
    names = set(types)
    if len(names) == 1:
        return names.pop()
    kinds = {kind for name in names for kind in name.split(" | ")}
    return " | ".join(sorted(kinds - {"null"})) or "null"


def _merged_values(parts: Iterable[ValueCounts | None], seen: Distinct) -> ValueCounts | None:
    if seen.at_least > EXACT_VALUES:
        return None
    there = list(parts)
    known = [part for part in there if part is not None]
    return ValueCounts.merge_all(known) if len(known) == len(there) else None


def _extreme(choose: Any, ends: Sequence[float | str | None]) -> float | str | None:
    texts: list[float | str] = [end for end in ends if isinstance(end, str)]
    # Beside texts, which number was the smallest would hang on the order of merging.
    known = texts or [end for end in ends if end is not None]
    chosen: float | str | None = choose(known, default=None)
    return chosen
