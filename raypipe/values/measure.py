"""From the values of a column to its statistics: each is looked at once, then told part by part."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from raypipe.values.census import ends_of, looks_of, told
from raypipe.values.columns import (
    EXACT_VALUES,
    ColumnProfile,
    Counts,
    Floats,
    Lengths,
    ValueCounts,
)
from raypipe.values.hashing import (
    NULL_HASH,
    Hashes,
    as_numbers,
    canonical_text,
    is_bytes,
    is_text,
    one_chunk,
    value_hash,
)
from raypipe.values.inner import inner_columns, lengths_of
from raypipe.values.moments import Moments
from raypipe.values.sketches import Buckets, Distinct, register_and_rank

_LONGEST_SHOWN = 100
_LOOKED_AT = 10_000

Places = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Parts:
    """Which part of a table each row is in."""

    of_row: npt.NDArray[np.int8]
    count: int
    rows: tuple[Places, ...]
    """Of each part; none are kept where all rows are in one."""

    @classmethod
    def of(cls, of_row: npt.NDArray[np.int8], count: int) -> Self:
        """Sort rows by their parts."""
        rows = tuple(np.flatnonzero(of_row == n) for n in range(count)) if count > 1 else ()
        return cls(of_row=of_row, count=count, rows=rows)

    def take(self, number: int, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the values of a part's rows."""
        return values[self.rows[number]] if self.rows else values

    def at(self, places: npt.NDArray[Any]) -> "Parts":
        """Return the parts of some rows: places, or a mask."""
        return self.of(self.of_row[places], self.count)


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """A column whose values were looked at: each once where they are few, else row by row."""

    array: pa.Array
    values: pa.Array
    """Without nulls; where they are few, each once."""
    codes: Places | None
    """Which of the values a row has, their number for a null; None where they are not few."""
    valid: npt.NDArray[np.bool_] | None
    """Which rows have a value; None if all do, and where values are few."""
    distinct: Hashes
    """Of the values."""
    hashes: Hashes
    """Of all rows, nulls included."""

    @classmethod
    def of(cls, array: pa.Array) -> Self:
        """Look at a column."""
        if not pa.types.is_dictionary(array.type) and not _are_few(array):
            hashes = value_hash(array)
            if not array.null_count:
                return cls(
                    array=array,
                    values=array,
                    codes=None,
                    valid=None,
                    distinct=hashes,
                    hashes=hashes,
                )
            valid = pc.is_valid(array).to_numpy(zero_copy_only=False)
            return cls(
                array=array,
                values=array.drop_null(),
                codes=None,
                valid=valid,
                distinct=hashes[valid],
                hashes=hashes,
            )
        encoded = array if pa.types.is_dictionary(array.type) else pc.dictionary_encode(array)
        values = encoded.dictionary
        codes = pc.fill_null(pc.cast(encoded.indices, pa.int64()), len(values))
        places = codes.to_numpy(zero_copy_only=False)
        own = value_hash(values)
        every = np.append(own, NULL_HASH)[places]
        return cls(array=array, values=values, codes=places, valid=None, distinct=own, hashes=every)

    def profiles(self, name: str, parts: Parts) -> list[ColumnProfile]:
        """Return the statistics of each part of the rows."""
        inner = inner_columns(self.array, parts)
        if self.codes is None:
            held = parts if self.valid is None else parts.at(self.valid)
            found = [self._of_rows(name, held, number) for number in range(parts.count)]
        else:
            width = len(self.values) + 1
            cells = parts.of_row * np.int64(width) + self.codes if parts.rows else self.codes
            counts = np.bincount(cells, minlength=width * parts.count)
            found = [self._of_counts(name, line[:-1]) for line in counts.reshape(-1, width)]
        return [
            replace(
                column,
                count=(rows := len(parts.rows[number]) if parts.rows else len(self.hashes)),
                nulls=rows - column.count,
                inner=inner[number],
            )
            for number, column in enumerate(found)
        ]

    def _of_counts(self, name: str, counts: Counts) -> ColumnProfile:
        """Tell of values of which each has so many rows."""
        kept = np.flatnonzero(counts)
        times = counts[kept]
        profile = ColumnProfile(
            name=name,
            type=str(self.values.type),
            count=int(times.sum()),
            nulls=0,
            seen=Distinct.of_places(self._registers[kept]),
            counted=self._counted(kept, times) if len(kept) <= EXACT_VALUES else None,
        )
        return self._told(profile, kept, times)

    def _of_rows(self, name: str, parts: Parts, number: int) -> ColumnProfile:
        """Tell of the values of a part's rows."""
        kept = parts.rows[number] if parts.rows else None
        registers = self._registers if kept is None else self._registers[kept]
        profile = ColumnProfile(
            name=name,
            type=str(self.values.type),
            count=len(registers),
            nulls=0,
            seen=(seen := Distinct.of_places(registers)),
        )
        profile = self._told(profile, kept, None)
        if seen.at_least > EXACT_VALUES or not _is_countable(self.values.type):
            return profile
        values = self.values if kept is None else self.values.take(kept)
        pairs = pc.value_counts(values)
        counted = _counts(canonical_text(pairs.field("values")), pairs.field("counts").to_numpy())
        return replace(profile, counted=_without_nan(counted, values.type))

    def _told(
        self, profile: ColumnProfile, kept: Places | None, times: Counts | None
    ) -> ColumnProfile:
        lengths, looks = self._lengths, self._looks
        if lengths is not None:
            some = lengths if kept is None else lengths[kept]
            profile = replace(profile, lengths=_lengths(some, times))
        if looks is not None:
            profile = replace(profile, looks=told(looks if kept is None else looks[kept], times))
        if self._numbers is not None:
            numbers = self._numbers if kept is None else self._numbers[kept]
            return _with_numbers(profile, numbers, times)
        if is_text(self.values.type) and profile.count:
            first, last = ends_of(self.values, kept)
            return replace(profile, min=first[:_LONGEST_SHOWN], max=last[:_LONGEST_SHOWN])
        return profile

    @cached_property
    def _registers(self) -> npt.NDArray[np.int32]:
        return register_and_rank(self.distinct)

    @cached_property
    def _numbers(self) -> Floats | None:
        return _numbers(self.values)

    @cached_property
    def _lengths(self) -> Counts | None:
        return lengths_of(self.values)

    @cached_property
    def _looks(self) -> npt.NDArray[np.uint8] | None:
        return looks_of(self.values) if is_text(self.values.type) else None

    @cached_property
    def _texts(self) -> list[str | None]:
        return canonical_text(self.values)

    def _counted(self, kept: Places, times: Counts) -> ValueCounts | None:
        counted = _counts([self._texts[place] for place in kept.tolist()], times)
        return _without_nan(counted, self.values.type)


def compact_array(values: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array: a dictionary of few texts as it is, all else plain."""
    if pa.types.is_dictionary(values.type):
        array = one_chunk(values)
        known = array.dictionary
        simple = pa.types.is_string(known.type) or pa.types.is_large_string(known.type)
        if simple and not known.null_count and _distinct(known) == len(known) <= EXACT_VALUES:
            return array
    return plain_array(values)


def plain_array(values: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array: of a dictionary, what it holds; of an extension, its storage.

    Runs are written out, views are plain texts, lists and bytes, and short decimals are long.
    """
    array = one_chunk(values)
    while (kind := array.type) is not None:
        if isinstance(kind, pa.BaseExtensionType):
            array = array.storage
        elif pa.types.is_dictionary(kind):
            array = array.dictionary_decode()
        elif pa.types.is_run_end_encoded(kind):
            array = pc.run_end_decode(array)
        elif pa.types.is_string_view(kind):
            array = pc.cast(array, pa.large_string())
        elif pa.types.is_binary_view(kind):
            array = pc.cast(array, pa.large_binary())
        elif pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
            # Arrow 26 casts these to torn arrays; no file format that is imported has them.
            array = pa.array(array.to_pylist(), pa.large_list(kind.value_type))
        elif pa.types.is_decimal32(kind) or pa.types.is_decimal64(kind):
            array = pc.cast(array, pa.decimal128(kind.precision, kind.scale))
        else:
            break
    return array


def _is_countable(kind: pa.DataType) -> bool:
    return not pa.types.is_nested(kind) and not is_bytes(kind)


def _are_few(array: pa.Array) -> bool:
    """Guess from the first rows whether values repeat so much that counting first is cheaper."""
    if not _is_countable(array.type) or pa.types.is_null(array.type):
        return False
    return _distinct(array[:_LOOKED_AT]) <= EXACT_VALUES


def _distinct(array: pa.Array) -> int:
    return int(pc.count_distinct(array).as_py())


def _with_numbers(profile: ColumnProfile, numbers: Floats, times: Counts | None) -> ColumnProfile:
    finite = np.isfinite(numbers)
    if not finite.all():
        counts = np.ones(len(numbers), np.int64) if times is None else times
        profile = replace(
            profile,
            nans=int(counts[np.isnan(numbers)].sum()),
            infinities=int(counts[np.isinf(numbers)].sum()),
            negative_infinities=int(counts[np.isneginf(numbers)].sum()),
        )
        numbers, times = numbers[finite], None if times is None else times[finite]
    if not len(numbers):
        return profile
    zero = numbers == 0
    return replace(
        profile,
        zeros=int(np.count_nonzero(zero) if times is None else times[zero].sum()),
        min=float(numbers.min()) + 0.0,
        max=float(numbers.max()) + 0.0,
        moments=Moments.of(numbers, times),
        buckets=Buckets.of(numbers, times),
    )


def _numbers(values: pa.Array) -> Floats | None:
    """Return values as floats, moments in seconds; None for what is no number."""
    if pa.types.is_decimal(values.type):
        values = pc.cast(values, pa.float64())
    numbers = as_numbers(values)
    if numbers is None:
        return None
    floats: Floats = numbers.astype(np.float64, copy=False)
    return floats / 1e6 if pa.types.is_temporal(values.type) else floats


def _counts(texts: list[str | None], times: Counts) -> dict[str, int]:
    counts: dict[str, int] = {}
    for text, count in zip(texts, times.tolist(), strict=True):
        if text is not None:
            counts[text] = counts.get(text, 0) + count
    return counts


def _without_nan(counts: dict[str, int], kind: pa.DataType) -> ValueCounts | None:
    if pa.types.is_floating(kind):
        counts.pop("nan", None)
    return ValueCounts.of(sorted(counts.items())) if len(counts) <= EXACT_VALUES else None


def _lengths(lengths: Counts, times: Counts | None) -> Lengths | None:
    if not len(lengths):
        return None
    return Lengths(
        min=int(lengths.min()),
        max=int(lengths.max()),
        total=int(lengths.sum() if times is None else (lengths * times).sum()),
        count=len(lengths) if times is None else int(times.sum()),
    )
