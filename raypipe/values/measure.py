"""From the values of a column to its statistics: each is looked at once, then told part by part."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from raypipe.values.census import ends_of, looks_of
from raypipe.values.census import told as looks_told
from raypipe.values.columns import (
    ColumnProfile,
    Counts,
    Floats,
    Lengths,
)
from raypipe.values.counting import EXACT_VALUES, Countable, ValueCounts, may_be_counted
from raypipe.values.hashing import (
    NULL_HASH,
    Hashes,
    as_numbers,
    is_bytes,
    is_text,
    one_chunk,
    value_hash,
)
from raypipe.values.inner import inner_columns, lengths_of
from raypipe.values.moments import Moments
from raypipe.values.sketches import Buckets, Distinct, register_and_rank
from raypipe.values.texts import Texts

_LONGEST_SHOWN = 100
_LOOKED_AT = 10_000
_LOOKED_AT_FIRST = 1_200

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

    def size(self, number: int) -> int:
        """Count the rows of a part."""
        return len(self.rows[number]) if self.rows else len(self.of_row)

    def held(self, valid: npt.NDArray[np.bool_] | None) -> list[Places | None]:
        """Return the places of each part's rows that are valid; None for all there are."""
        if not self.rows:
            return [None if valid is None else np.flatnonzero(valid)]
        return [rows if valid is None else rows[valid[rows]] for rows in self.rows]


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """A column whose values were looked at: each once where they are few, else row by row."""

    array: pa.Array
    values: pa.Array
    """The same, or where they are few, each once."""
    codes: Places | None
    """Which of the values a row has, their number for a null; None where they are not few."""
    distinct: Hashes
    """Of the values."""
    hashes: Hashes
    """Of all rows, nulls included."""
    texts: Texts | None
    """The bytes of the values; None of what is no text."""

    @classmethod
    def of(cls, array: pa.Array) -> Self:
        """Look at a column."""
        found = coded(array)
        if found is None:
            texts = _texts(array)
            own = value_hash(array, texts)
            return cls(array=array, values=array, codes=None, distinct=own, hashes=own, texts=texts)
        values, codes = found
        texts = _texts(values)
        own = value_hash(values, texts)
        return cls(
            array=array,
            values=values,
            codes=codes,
            distinct=own,
            hashes=np.append(own, NULL_HASH)[codes],
            texts=texts,
        )

    def profiles(self, name: str, parts: Parts) -> list[ColumnProfile]:
        """Return the statistics of each part of the rows."""
        return [
            ColumnProfile(name=name, type=str(self.values.type), count=parts.size(n), **told)
            for n, told in enumerate(self._told_by_part(parts))
        ]

    def _told_by_part(self, parts: Parts) -> Iterator[dict[str, Any]]:
        inner = inner_columns(self.array, parts, self.texts)
        if self.codes is None:
            valid = None
            if self.array.null_count:
                valid = pc.is_valid(self.array).to_numpy(zero_copy_only=False)
            seen, buckets = self._seen(parts, valid), self._buckets(parts, valid)
            for number, kept in enumerate(parts.held(valid)):
                count = len(self.hashes) if kept is None else len(kept)
                nulls = parts.size(number) - count
                told = self._of_rows(kept, count, seen[number], buckets[number])
                yield {"nulls": nulls, "inner": inner[number], **told}
        else:
            width = len(self.values) + 1
            cells = parts.of_row * np.int64(width) + self.codes if parts.rows else self.codes
            counts = np.bincount(cells, minlength=width * parts.count).reshape(-1, width)
            part_of, held = np.nonzero(counts[:, :-1])
            seen = Distinct.of_parts(self._registers[held], part_of.astype(np.int8), parts.count)
            for number, line in enumerate(counts):
                told = self._of_counts(line[:-1], seen[number])
                yield {"nulls": int(line[-1]), "inner": inner[number], **told}

    def _of_counts(self, counts: Counts, seen: Distinct) -> dict[str, Any]:
        """Tell of values of which each has so many rows."""
        kept = counts.nonzero()[0]
        counted = self.countable.counted(counts) if may_be_counted(len(kept)) else None
        told = self._told(kept, counts[kept], counted=counted)
        return {"seen": seen, "counted": counted, **told}

    def _seen(self, parts: Parts, valid: npt.NDArray[np.bool_] | None) -> list[Distinct]:
        """Sketch the values of each part's rows that are valid."""
        if valid is None:
            return Distinct.of_parts(self._registers, parts.of_row, parts.count)
        return Distinct.of_parts(self._registers[valid], parts.of_row[valid], parts.count)

    def _buckets(
        self, parts: Parts, valid: npt.NDArray[np.bool_] | None
    ) -> Sequence[Buckets | None]:
        """Count the finite numbers of each part's rows; None of what is no number."""
        numbers = self._numbers
        if numbers is None:
            return [None] * parts.count
        held = np.isfinite(numbers) if valid is None else np.isfinite(numbers) & valid
        part_of = parts.of_row
        if not held.all():
            numbers, part_of = numbers[held], part_of[held]
        return Buckets.of_parts(numbers, part_of, parts.count)

    def _of_rows(
        self, kept: Places | None, count: int, seen: Distinct, buckets: Buckets | None
    ) -> dict[str, Any]:
        """Tell of the values of some rows."""
        told = {"seen": seen, **(self._told(kept, None, buckets=buckets) if count else {})}
        if seen.at_least > EXACT_VALUES or not is_countable(self.values.type):
            return told
        pairs = pc.value_counts(self.values if kept is None else self.values.take(kept))
        if not may_be_counted(len(pairs)):
            return told
        counted = Countable.of(pairs.field("values")).counted(pairs.field("counts").to_numpy())
        return {**told, "counted": counted}

    def _told(
        self,
        kept: Places | None,
        times: Counts | None,
        *,
        counted: ValueCounts | None = None,
        buckets: Buckets | None = None,
    ) -> dict[str, Any]:
        told: dict[str, Any] = {}
        if self._lengths is not None:
            told["lengths"] = _lengths(
                self._lengths if kept is None else self._lengths[kept], times
            )
        if self._looks is not None:
            told["looks"] = looks_told(self._looks if kept is None else self._looks[kept], times)
        if self._numbers is not None:
            numbers = self._numbers if kept is None else self._numbers[kept]
            return told | _of_numbers(numbers, times, buckets)
        if self.texts is not None and is_text(self.values.type) and (kept is None or len(kept)):
            ends = None if counted is None else counted.ends
            first, last = ends or ends_of(self.values, self.texts, kept)
            told |= {"min": first[:_LONGEST_SHOWN], "max": last[:_LONGEST_SHOWN]}
        return told

    @cached_property
    def _registers(self) -> npt.NDArray[np.int32]:
        return register_and_rank(self.distinct)

    @cached_property
    def _numbers(self) -> Floats | None:
        return as_floats(self.values)

    @cached_property
    def _lengths(self) -> Counts | None:
        if self.texts is not None and is_text(self.values.type) and self.texts.is_ascii:
            return self.texts.lengths
        return lengths_of(self.values)

    @cached_property
    def _looks(self) -> npt.NDArray[np.uint8] | None:
        if self.texts is None or not is_text(self.values.type):
            return None
        return looks_of(self.values, self.texts)

    @cached_property
    def countable(self) -> Countable:
        """The canonical texts of the values."""
        return Countable.of(self.values)


def _texts(array: pa.Array) -> Texts | None:
    return Texts.of(array) if is_text(array.type) or is_bytes(array.type) else None


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


def is_countable(kind: pa.DataType) -> bool:
    """Say whether values of a type are counted, where they are few."""
    return not pa.types.is_nested(kind) and not is_bytes(kind)


def coded(array: pa.Array) -> tuple[pa.Array, Places] | None:
    """Return a column's values, each once, and which of them each row has: their number, a null.

    None where they are more than can be counted, as the first rows tell, or of a type that is not
    counted. Where they may be few, it is cheaper to count them first.
    """
    encoded = _encoded(array)
    if encoded is None:
        return None
    values = encoded.dictionary
    codes = pc.fill_null(pc.cast(encoded.indices, pa.int64()), len(values))
    return values, codes.to_numpy(zero_copy_only=False)


def _encoded(array: pa.Array) -> pa.DictionaryArray | None:
    if pa.types.is_dictionary(array.type):
        return array
    if not is_countable(array.type) or pa.types.is_null(array.type):
        return None
    for looked_at in (_LOOKED_AT_FIRST, _LOOKED_AT):
        if len(array) > looked_at and not may_be_counted(_differing(array[:looked_at])):
            return None
    encoded = pc.dictionary_encode(array)
    few = len(array) > _LOOKED_AT or may_be_counted(len(encoded.dictionary))
    return encoded if few else None


def _distinct(array: pa.Array) -> int:
    return int(pc.count_distinct(array).as_py())


def _differing(array: pa.Array) -> int:
    """Count values that differ; of floats about so, since a sort takes less time than hashes."""
    if not pa.types.is_floating(array.type):
        return _distinct(array)
    values = array.drop_null() if array.null_count else array
    ordered = np.sort(values.to_numpy())
    return int(np.count_nonzero(ordered[1:] != ordered[:-1])) + 1


def _of_numbers(numbers: Floats, times: Counts | None, buckets: Buckets | None) -> dict[str, Any]:
    told: dict[str, Any] = {}
    finite = np.isfinite(numbers)
    if not finite.all():
        counts = np.ones(len(numbers), np.int64) if times is None else times
        told = {
            "nans": int(counts[np.isnan(numbers)].sum()),
            "infinities": int(counts[np.isinf(numbers)].sum()),
            "negative_infinities": int(counts[np.isneginf(numbers)].sum()),
        }
        numbers, times = numbers[finite], None if times is None else times[finite]
    if not len(numbers):
        return told
    zero = numbers == 0
    return {
        **told,
        "zeros": int(np.count_nonzero(zero) if times is None else times[zero].sum()),
        "min": float(numbers.min()) + 0.0,
        "max": float(numbers.max()) + 0.0,
        "moments": Moments.of(numbers, times),
        "buckets": Buckets.of(numbers, times) if buckets is None else buckets,
    }


def as_floats(values: pa.Array) -> Floats | None:
    """Return values as floats, moments in seconds; None for what is no number."""
    if pa.types.is_decimal(values.type):
        values = pc.cast(values, pa.float64())
    numbers = as_numbers(values)
    if numbers is None:
        return None
    floats: Floats = numbers.astype(np.float64, copy=False)
    return floats / 1e6 if pa.types.is_temporal(values.type) else floats


def _lengths(lengths: Counts, times: Counts | None) -> Lengths | None:
    if not len(lengths):
        return None
    return Lengths(
        min=int(lengths.min()),
        max=int(lengths.max()),
        total=int(lengths.sum() if times is None else (lengths * times).sum()),
        count=len(lengths) if times is None else int(times.sum()),
    )
