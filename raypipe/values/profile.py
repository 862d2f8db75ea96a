"""What is known of the rows of a dataset without reading them again: statistics that merge.

The profile of a whole equals the merged profiles of its parts, in any order, but for the rounding
of floating-point sums; and the same rows give the same profile, to the bit.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from raypipe.values.hashing import (
    Hashes,
    as_numbers,
    canonical_text,
    is_text,
    mix_in,
    one_chunk,
    row_hash,
    value_hash,
)
from raypipe.values.sketches import Buckets, Distinct

EXACT_VALUES = 1_000
"""Distinct values up to which each is counted."""

SAMPLE_ROWS = 1_000
"""Rows in the sample of a profile: those with the smallest hashes, so the same whoever draws it."""

_LONGEST_SHOWN = 100
_TOP = 100
_LOOKED_AT = 10_000

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


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
        """How often each value occurs, by canonical text; None beyond EXACT_VALUES, and for lists."""
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
            return _by_frequency(self.values)
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
            moments=_merged(self.moments, other.moments),
            buckets=_merged(self.buckets, other.buckets),
            seen=seen,
            counted=_merged_values(self.values, other.values, seen),
            sampled=None,
            lengths=_merged(self.lengths, other.lengths),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class KeyProfile:
    """Which keys the rows have: enough to find duplicates, within a shard and across shards."""

    columns: tuple[str, ...]
    hashes: Hashes
    """One a row, in order."""

    @property
    def rows(self) -> int:
        """Rows that have a key, all of them."""
        return len(self.hashes)

    @property
    def distinct(self) -> int:
        """Keys that differ."""
        return int(np.count_nonzero(np.diff(self.hashes))) + 1 if self.rows else 0

    @property
    def duplicates(self) -> int:
        """Rows whose key an earlier row has."""
        return self.rows - self.distinct

    def merge(self, other: Self) -> Self:
        """Hold the keys of both."""
        return replace(self, hashes=np.sort(np.concatenate([self.hashes, other.hashes])))


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """The rows with the smallest hashes: a fair sample that is the same each time."""

    hashes: Hashes
    """Of the rows, in order."""
    rows: pa.Table

    @classmethod
    def of(cls, table: pa.Table, hashes: Hashes) -> Self:
        """Draw the sample of a table."""
        if len(hashes) > SAMPLE_ROWS:
            places = np.argpartition(hashes, SAMPLE_ROWS)[:SAMPLE_ROWS]
        else:
            places = np.arange(len(hashes))
        places = places[np.argsort(hashes[places], kind="stable")]
        return cls(hashes=hashes[places], rows=table.take(places).combine_chunks())

    def merge(self, other: Self) -> Self:
        """Draw the sample of the rows that both were drawn from."""
        return self.of(_stacked(self.rows, other.rows), np.concatenate([self.hashes, other.hashes]))


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Statistics of some rows."""

    rows: int
    columns: dict[str, ColumnProfile]
    """By name, in the order of the columns."""
    sample: Sample
    keys: KeyProfile | None = None
    """None if the rows have no key."""

    def merge(self, other: Self) -> Self:
        """Return the profile of the rows of both; a column that one lacks counts fewer."""
        sample = self.sample.merge(other.sample)
        columns = {
            name: _merged(self.columns.get(name), other.columns.get(name))
            for name in self.columns | other.columns
        }
        return replace(
            self,
            rows=self.rows + other.rows,
            columns={n: _sampled(c, sample.rows) for n, c in columns.items() if c is not None},
            sample=sample,
            keys=_merged(self.keys, other.keys),
        )

    @classmethod
    def merge_all(cls, profiles: Iterable[Self]) -> Self:
        """Return the profile of all rows; of none, if there is no profile."""
        parts = list(profiles)
        return reduce(cls.merge, parts) if parts else cls(rows=0, columns={}, sample=_NO_SAMPLE)


@dataclass(frozen=True, kw_only=True)
class SplitProfiles:
    """Profiles of the three splits of some rows."""

    train: Profile
    validation: Profile
    analysis: Profile

    @cached_property
    def all(self) -> Profile:
        """The profile of all rows."""
        return Profile.merge_all([self.train, self.validation, self.analysis])

    @classmethod
    def merge_all(cls, parts: Sequence[Self]) -> Self:
        """Merge split by split."""
        return cls(
            train=Profile.merge_all(part.train for part in parts),
            validation=Profile.merge_all(part.validation for part in parts),
            analysis=Profile.merge_all(part.analysis for part in parts),
        )


def profile_table(table: pa.Table, key: Sequence[str] = ()) -> Profile:
    """Profile the rows of a table; `key` names the columns that name a row."""
    arrays = {name: _plain(table[name]) for name in table.column_names}
    counted = {name: _Counted.of(array) for name, array in arrays.items()}
    rows = np.zeros(table.num_rows, np.uint64)
    for column in counted.values():
        rows = mix_in(rows, column.hashes)
    sample = Sample.of(pa.table(arrays), rows)
    columns = {name: _profile_column(name, column) for name, column in counted.items()}
    return Profile(
        rows=table.num_rows,
        columns={name: _sampled(column, sample.rows) for name, column in columns.items()},
        sample=sample,
        keys=KeyProfile(columns=tuple(key), hashes=np.sort(row_hash(table, key))) if key else None,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Counted:
    """The values of a column, each once with how often it occurs where they are few."""

    values: pa.Array
    """Without nulls."""
    counts: Counts
    distinct: Hashes
    """Of `values`."""
    hashes: Hashes
    """Of all rows, nulls included."""
    unique: bool
    """Whether each value is there once."""

    @classmethod
    def of(cls, array: pa.Array) -> Self:
        if not _are_few(array):
            hashes = value_hash(array)
            valid = pc.is_valid(array).to_numpy(zero_copy_only=False)
            values = array.drop_null() if array.null_count else array
            own = hashes[valid] if array.null_count else hashes
            ones = np.ones(len(values), np.int64)
            return cls(values=values, counts=ones, distinct=own, hashes=hashes, unique=False)
        encoded = pc.dictionary_encode(array)
        values = encoded.dictionary
        places = pc.fill_null(pc.cast(encoded.indices, pa.int64()), len(values))
        places = places.to_numpy(zero_copy_only=False)
        counts = np.bincount(places, minlength=len(values) + 1)[:-1]
        null = value_hash(pa.nulls(1))
        own = value_hash(values)
        every = np.concatenate([own, null])[places]
        return cls(values=values, counts=counts, distinct=own, hashes=every, unique=True)


def _are_few(array: pa.Array) -> bool:
    """Guess from the first rows whether values repeat so much that counting first is cheaper."""
    if pa.types.is_nested(array.type) or pa.types.is_null(array.type):
        return False
    return bool(pc.count_distinct(array[:_LOOKED_AT]).as_py() <= EXACT_VALUES)


def _plain(values: pa.ChunkedArray) -> pa.Array:
    kind = values.type
    if pa.types.is_dictionary(kind):
        values = pc.cast(values, kind.value_type)
    elif pa.types.is_string_view(kind):
        values = pc.cast(values, pa.string())
    return one_chunk(values)


def _profile_column(name: str, column: _Counted) -> ColumnProfile:
    rows = len(column.hashes)
    seen = Distinct.of(column.distinct)
    profile = ColumnProfile(
        name=name,
        type=str(column.values.type),
        count=rows,
        nulls=rows - int(column.counts.sum()),
        seen=seen,
        counted=_exact_values(column, seen),
        lengths=_lengths(column),
    )
    numbers = _numbers(column.values)
    if numbers is not None:
        return _with_numbers(profile, numbers, column.counts)
    return _with_text(profile, column.values) if is_text(column.values.type) else profile


def _with_numbers(profile: ColumnProfile, numbers: Floats, counts: Counts) -> ColumnProfile:
    finite = np.isfinite(numbers)
    kept, times = (numbers, counts) if finite.all() else (numbers[finite], counts[finite])
    profile = replace(
        profile,
        nans=int(counts[np.isnan(numbers)].sum()),
        infinities=int(counts[np.isinf(numbers)].sum()),
    )
    if not len(kept):
        return profile
    return replace(
        profile,
        zeros=int(times[kept == 0].sum()),
        min=float(kept.min()) + 0.0,
        max=float(kept.max()) + 0.0,
        moments=Moments.of(kept, times),
        buckets=Buckets.of(kept, times),
    )


def _with_text(profile: ColumnProfile, values: pa.Array) -> ColumnProfile:
    if not len(values):
        return profile
    ends = pc.min_max(values).as_py()
    return replace(profile, min=ends["min"][:_LONGEST_SHOWN], max=ends["max"][:_LONGEST_SHOWN])


def _numbers(values: pa.Array) -> Floats | None:
    """Return values as floats, moments in seconds; None for what is no number."""
    if pa.types.is_decimal(values.type):
        values = pc.cast(values, pa.float64())
    numbers = as_numbers(values)
    if numbers is None:
        return None
    floats: Floats = numbers.astype(np.float64, copy=False)
    return floats / 1e6 if pa.types.is_temporal(values.type) else floats


def _exact_values(column: _Counted, seen: Distinct) -> ValueCounts | None:
    if pa.types.is_nested(column.values.type) or seen.at_least > EXACT_VALUES:
        return None
    values, counts = column.values, column.counts
    if not column.unique and len(values):
        pairs = pc.value_counts(values)
        values, counts = pairs.field("values"), pairs.field("counts").to_numpy()
    texts: dict[str, int] = {}
    skipped = "nan" if pa.types.is_floating(values.type) else None
    for text, count in zip(canonical_text(values), counts.tolist(), strict=True):
        if text is not None and text != skipped:
            texts[text] = texts.get(text, 0) + count
    return ValueCounts.of(sorted(texts.items())) if len(texts) <= EXACT_VALUES else None


def _lengths(column: _Counted) -> Lengths | None:
    kind = column.values.type
    if not len(column.values) or not (is_text(kind) or _is_list(kind)):
        return None
    measure = pc.utf8_length if is_text(kind) else pc.list_value_length
    lengths = measure(column.values).to_numpy(zero_copy_only=False)
    return Lengths(
        min=int(lengths.min()),
        max=int(lengths.max()),
        total=int((lengths * column.counts).sum()),
        count=int(column.counts.sum()),
    )


def _is_list(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _sampled(column: ColumnProfile, rows: pa.Table) -> ColumnProfile:
    """Count a column's values within the sample, where there are too many to count all."""
    if column.counted is not None or pa.types.is_nested(rows[column.name].type):
        return column
    texts = canonical_text(rows[column.name])
    counts = Counter(text for text in texts if text is not None)
    return replace(column, sampled=ValueCounts.of(_by_frequency(counts)[:_TOP]))


def _by_frequency(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


_Mergeable = TypeVar("_Mergeable", Moments, Buckets, Lengths, ColumnProfile, KeyProfile)


def _merged(a: _Mergeable | None, b: _Mergeable | None) -> _Mergeable | None:
    """Merge what there is."""
    if a is None or b is None:
        return b if a is None else a
    return a.merge(b)


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


def _stacked(a: pa.Table, b: pa.Table) -> pa.Table:
    """Put the rows of one table under those of another; where types differ, as text."""
    for name in a.column_names:
        if name in b.column_names and a[name].type != b[name].type:
            a, b = _agreeing(a, b, name)
    return pa.concat_tables([a, b], promote_options="default").combine_chunks()


def _agreeing(a: pa.Table, b: pa.Table, name: str) -> tuple[pa.Table, pa.Table]:
    kinds = {table[name].type for table in (a, b)} - {pa.null()}
    kind = kinds.pop() if len(kinds) == 1 else None
    return _as_type(a, name, kind), _as_type(b, name, kind)


def _as_type(table: pa.Table, name: str, kind: pa.DataType | None) -> pa.Table:
    """Cast a column of nulls to `kind`; to text if there is none."""
    column = table[name]
    array = pc.cast(column, kind) if kind else pa.array(canonical_text(column), pa.string())
    return table.set_column(table.column_names.index(name), name, array)


_NO_SAMPLE = Sample(hashes=np.empty(0, np.uint64), rows=pa.table({}))
