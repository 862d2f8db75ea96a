"""From the values of a column to its statistics, in one pass."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raypipe.values.columns import (
    EXACT_VALUES,
    ColumnProfile,
    Counts,
    Floats,
    Lengths,
    Moments,
    ValueCounts,
)
from raypipe.values.hashing import (
    Hashes,
    as_numbers,
    canonical_text,
    is_text,
    one_chunk,
    value_hash,
)
from raypipe.values.sketches import Buckets, Distinct

_LONGEST_SHOWN = 100
_LOOKED_AT = 10_000


@dataclass(frozen=True, kw_only=True, eq=False)
class CountedColumn:
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
        """Count a column."""
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


def profile_column(name: str, column: CountedColumn) -> ColumnProfile:
    """Return a column's statistics."""
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


def plain_array(values: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array; a dictionary as what it holds."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        values = pc.cast(values, kind.value_type)
    elif pa.types.is_string_view(kind):
        values = pc.cast(values, pa.string())
    return one_chunk(values)


def _are_few(array: pa.Array) -> bool:
    """Guess from the first rows whether values repeat so much that counting first is cheaper."""
    if pa.types.is_nested(array.type) or pa.types.is_null(array.type):
        return False
    return bool(pc.count_distinct(array[:_LOOKED_AT]).as_py() <= EXACT_VALUES)


def _with_numbers(profile: ColumnProfile, numbers: Floats, counts: Counts) -> ColumnProfile:
    finite = np.isfinite(numbers)
    kept, times = numbers, counts
    if not finite.all():
        kept, times = numbers[finite], counts[finite]
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


def _exact_values(column: CountedColumn, seen: Distinct) -> ValueCounts | None:
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


def _lengths(column: CountedColumn) -> Lengths | None:
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
