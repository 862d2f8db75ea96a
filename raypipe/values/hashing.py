"""Stable 64-bit hashes of rows, vectorised: the same on every platform and in every version.

A hash is of the value, not of how it is stored: 5 is the same as int32, int64 or 5.0; text is the
same plain, large or as a dictionary; a moment is the same in seconds and microseconds. So a row
keeps its split when a writer changes a column's width. Tests pin literal hashes: a change of scheme
moves rows between splits, and must be a decision.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Context, Decimal
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from raypipe.values.texts import LOW_BYTES, Texts

Hashes = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_FRACTION = np.uint64(0xA0761D6478BD642F)
_TEXT = np.uint64(0xE7037ED1A0B428DB)
NULL_HASH = np.uint64(0x8EBC6AF09C88C6E3)
_NAN = np.uint64(0x589965CC75374CC3)
_TWO_63 = float(2**63)

BLOCK = 1 << 14
"""Values that are worked on at a time, so that they stay in the processor's cache."""


def row_hash(
    table: pa.Table,
    columns: Sequence[str],
    salt: str = "",
    known: Mapping[str, Hashes] | None = None,
) -> Hashes:
    """Return one hash a row, of the values of these columns in this order.

    `known` are the hashes of the values of columns, if at hand.
    """
    held = known or {}
    values = [held[name] if name in held else value_hash(table[name]) for name in columns]
    return combined(values, table.num_rows, salt)


def combined(columns: Iterable[Hashes], rows: int, salt: str = "") -> Hashes:
    """Return one hash a row, of the hashes of its values in this order."""
    hashes = np.full(rows, _seed(salt), dtype=np.uint64)
    held = list(columns)
    for start in range(0, rows, BLOCK):
        block = hashes[start : start + BLOCK]
        for values in held:
            block *= _FIRST
            block += values[start : start + BLOCK]
            _mixed(block)
    return hashes


def joined(columns: Iterable[Hashes], rows: int) -> Hashes:
    """Return one hash a row as `combined` does, at a third of the cost and mixed once, at the end.

    Of two such hashes of the same rows, one is no stranger to the other: no split hangs on them.
    """
    hashes = np.zeros(rows, np.uint64)
    held = list(columns)
    for start in range(0, rows, BLOCK):
        block = hashes[start : start + BLOCK]
        for values in held:
            block *= _FIRST
            block += values[start : start + BLOCK]
    return _mixed(hashes)


def unit_interval(hashes: Hashes) -> npt.NDArray[np.float64]:
    """Spread hashes evenly over [0, 1)."""
    return (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53


def value_hash(values: pa.Array | pa.ChunkedArray, texts: Texts | None = None) -> Hashes:
    """Return one hash a value; every null has the same. `texts` are their bytes, if at hand."""
    array = one_chunk(values)
    if pa.types.is_dictionary(array.type):
        hashes = np.append(value_hash(array.dictionary), NULL_HASH)
        places = pc.fill_null(pc.cast(array.indices, pa.int64()), len(array.dictionary))
        chosen: Hashes = hashes[places.to_numpy(zero_copy_only=False)]
        return chosen
    if pa.types.is_null(array.type):
        return np.full(len(array), NULL_HASH, dtype=np.uint64)
    hashes = _hash_of_type(array) if texts is None else hash_texts(texts)
    if array.null_count:
        hashes[pc.is_null(array).to_numpy(zero_copy_only=False)] = NULL_HASH
    return hashes


def one_chunk(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return the values as one array."""
    if not isinstance(values, pa.ChunkedArray):
        return values
    if values.num_chunks == 1:
        return values.chunk(0)
    joined = values.combine_chunks()
    return joined if not isinstance(joined, pa.ChunkedArray) else pa.concat_arrays(joined.chunks)


def as_numbers(array: pa.Array) -> npt.NDArray[Any] | None:
    """Return numbers, booleans, moments as int64, uint64 or float64, nulls as 0; None for others.

    Dates and timestamps are microseconds since the epoch, times of day and durations microseconds;
    what has more of them than 64 bits hold (292,000 years) has as many as these do.
    """
    kind, types = array.type, pa.types
    if types.is_boolean(kind):
        array = pc.cast(array, pa.int64())
    elif types.is_date(kind):
        seconds = pc.cast(array, pa.timestamp("s"))
        array = pc.cast(_in_microseconds(seconds, pa.timestamp("us")), pa.int64())
    elif types.is_timestamp(kind):
        array = pc.cast(_in_microseconds(array, pa.timestamp("us", tz=kind.tz)), pa.int64())
    elif types.is_time(kind):
        array = pc.cast(pc.cast(array, pa.time64("us"), safe=False), pa.int64())
    elif types.is_duration(kind):
        array = pc.cast(_in_microseconds(array, pa.duration("us")), pa.int64())
    elif types.is_floating(kind):
        array = pc.cast(array, pa.float64())
    elif types.is_integer(kind):
        array = array if types.is_uint64(kind) else pc.cast(array, pa.int64())
    else:
        return None
    return _zero_filled(array)


_A_SECOND = {"s": 1_000_000, "ms": 1_000}
"""Microseconds of the units that are coarser."""
_LAST = 2**63 - 1


def _in_microseconds(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    """Cast moments or durations; Arrow by itself lets those of a coarse unit wrap round."""
    factor = _A_SECOND.get(array.type.unit)
    if factor is None:
        return pc.cast(array, wanted, safe=False)
    try:
        return pc.cast(array, wanted)
    except pa.ArrowInvalid:
        most = _LAST // factor
        counts = pc.cast(array, pa.int64())
        held = pc.min_element_wise(counts, most, skip_nulls=False)
        held = pc.max_element_wise(held, -most, skip_nulls=False)
        return pc.cast(pc.multiply(held, factor), wanted)


def canonical_text(values: pa.Array | pa.ChunkedArray) -> list[str | None]:
    """Return each value as text that does not depend on how it is stored; None for null.

    5 for an integer (and for 5.0), true or false, 2013-07-01, 2013-07-01T10:00:00Z, text as it is.
    """
    array = one_chunk(values)
    if pa.types.is_timestamp(array.type):
        array = _in_microseconds(array, pa.timestamp("us", tz=array.type.tz and "UTC"))
    elif pa.types.is_duration(array.type):
        array = _in_microseconds(array, pa.duration("us"))
    elif pa.types.is_time(array.type):
        array = pc.cast(array, pa.time64("us"), safe=False)
    elif pa.types.is_integer(array.type) or pa.types.is_date32(array.type):
        array = pc.cast(array, pa.string())
    if is_text(array.type):
        texts: list[str | None] = array.to_pylist()
        return texts
    try:
        return [None if value is None else _text(value) for value in array.to_pylist()]
    except OverflowError:  # a moment beyond the years of Python's calendar, 1 to 9999
        return [_text_of_one(array[place : place + 1]) for place in range(len(array))]


_LONGEST = 1_000_000
"""Items that are written of a list with a moment in it that Python cannot tell."""


def _text_of_one(array: pa.Array) -> str | None:
    try:
        (value,) = array.to_pylist()
    except OverflowError:
        written: str = array.to_string(
            window=_LONGEST, container_window=_LONGEST, skip_new_lines=True
        )
        return written[1:-1].strip()
    return None if value is None else _text(value)


_ALL_DIGITS = Context(prec=76)
"""Those of Arrow's widest decimal; Python would round to 28."""


def _text(value: Any) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            whole = math.isfinite(value) and value == math.floor(value) and abs(value) < 2**53
            return str(int(value)) if whole else repr(value)
        case Decimal():
            return f"{value.normalize(_ALL_DIGITS):f}" if value else "0"
        case datetime():
            return value.isoformat().removesuffix("+00:00") + ("Z" if value.tzinfo else "")
        case date() | time():
            return value.isoformat()
        case timedelta():
            return f"{value // timedelta(microseconds=1)}us"
        case bytes():
            return value.hex()
        case _:
            return json.dumps(value, sort_keys=True, default=_text, ensure_ascii=False)


def _hash_of_type(array: pa.Array) -> Hashes:
    if is_text(array.type) or is_bytes(array.type):
        return hash_texts(Texts.of(array))
    numbers = as_numbers(array)
    if numbers is None:
        return hash_texts(Texts.of(pa.array(canonical_text(array), pa.large_string())))
    if numbers.dtype == np.float64:
        return _hash_floats(numbers)
    return _mixed(numbers.view(np.uint64) + _GOLDEN)


def is_text(kind: pa.DataType) -> bool:
    """Say whether a type is text."""
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def is_bytes(kind: pa.DataType) -> bool:
    """Say whether a type is bytes."""
    types = pa.types
    return bool(
        types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_fixed_size_binary(kind)
        or types.is_binary_view(kind)
    )


def _hash_floats(numbers: npt.NDArray[np.float64]) -> Hashes:
    hashes = np.empty(len(numbers), np.uint64)
    for start in range(0, len(numbers), BLOCK):
        block = slice(start, start + BLOCK)
        hashes[block] = _hash_float_block(numbers[block])
    return hashes


def _hash_float_block(numbers: npt.NDArray[np.float64]) -> Hashes:
    whole = np.flatnonzero((np.floor(numbers) == numbers) & (np.abs(numbers) < _TWO_63))
    if len(whole) == len(numbers):
        return _mixed(numbers.astype(np.int64).view(np.uint64) + _GOLDEN)
    hashes = _mixed(numbers.view(np.uint64) + _FRACTION)
    hashes[np.isnan(numbers)] = _NAN
    hashes[whole] = _mixed(numbers[whole].astype(np.int64).view(np.uint64) + _GOLDEN)
    return hashes


def hash_texts(texts: Texts) -> Hashes:
    """Return one hash a text: its length is mixed, then eight bytes at a time."""
    hashes = np.empty(len(texts.starts), np.uint64)
    for start in range(0, len(hashes), BLOCK):
        block = slice(start, start + BLOCK)
        words, starts, lengths = texts.first[block], texts.starts[block], texts.lengths[block]
        hashes[block] = _hash_text_block(texts, words, starts, lengths)
    return hashes


def _hash_text_block(
    texts: Texts, first: Hashes, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]
) -> Hashes:
    hashes = _mixed(lengths.astype(np.uint64) + _TEXT)
    whole = lengths >> 3
    shortest, longest = int(whole.min()), int(whole.max())
    if shortest:
        rest = texts.words_from(starts + 8, shortest - 1) if shortest > 1 else ()
        for words in chain([first], rest):
            _mixed(np.bitwise_xor(hashes, words, out=hashes))
    # Of those that are longer, fewer and fewer go on.
    going = np.flatnonzero(whole > shortest)
    for word in range(shortest, longest):
        hashes[going] = _mixed(hashes[going] ^ texts.words_at(starts[going] + 8 * word))
        going = going[whole[going] > word + 1]
    tail = texts.words_at(starts + 8 * whole) & LOW_BYTES[lengths & 7]
    return _mixed(np.bitwise_xor(hashes, tail, out=hashes))


def _zero_filled(array: pa.Array) -> npt.NDArray[Any]:
    filled = pc.fill_null(array, 0) if array.null_count else array
    numbers: npt.NDArray[Any] = filled.to_numpy(zero_copy_only=False)
    return numbers


def _mixed(words: Hashes) -> Hashes:
    """Scatter every bit over all 64 (the finaliser of splitmix64); changes `words`."""
    for start in range(0, len(words), BLOCK):
        block = words[start : start + BLOCK]
        block ^= block >> np.uint64(30)
        block *= _FIRST
        block ^= block >> np.uint64(27)
        block *= _SECOND
        block ^= block >> np.uint64(31)
    return words


def _seed(salt: str) -> np.uint64:
    digest = hashlib.blake2b(salt.encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))
