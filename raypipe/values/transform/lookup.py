"""From values to their places in a vocabulary, for many rows at once and quickly for one."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from raypipe.values.hashing import canonical_text, is_text
from raypipe.values.transform.reading import Column, as_array

Places = npt.NDArray[np.int64]
Find = Callable[[Column], Places]
"""The place of each value; -1 for one that is null or not known."""

_FEW = 32
"""Rows up to which a dictionary in Python is quicker than Arrow."""


def lookup(vocabulary: Sequence[str], kind: pa.DataType) -> Find:
    """Return a function that finds values of an Arrow type; the vocabulary is canonical text."""
    if is_text(kind):
        return _direct({text: i for i, text in enumerate(vocabulary)}, kind)
    if pa.types.is_integer(kind):
        return _direct(
            {n: i for i, n in enumerate(map(_as_int, vocabulary)) if n is not None}, kind
        )
    if pa.types.is_boolean(kind):
        known = {
            text == "true": i for i, text in enumerate(vocabulary) if text in ("true", "false")
        }
        return lambda column: _found(_listed(column), known)
    return _by_text({text: i for i, text in enumerate(vocabulary)}, kind)


def _direct(known: dict[Any, int], kind: pa.DataType) -> Find:
    try:
        values = pa.array(list(known), kind)
    except (pa.ArrowInvalid, OverflowError):  # values that the type cannot hold are never met
        values = None
    places = np.append(np.fromiter(known.values(), np.int64, len(known)), -1)

    def find(column: Column) -> Places:
        if len(column) <= _FEW or values is None:
            return _found(_listed(column), known)
        array = as_array(column, kind)
        met = pc.fill_null(pc.index_in(array, value_set=values, skip_nulls=True), len(known))
        chosen: Places = places[met.to_numpy(zero_copy_only=False)]
        return chosen

    return find


def _by_text(known: dict[str, int], kind: pa.DataType) -> Find:
    def find(column: Column) -> Places:
        array = as_array(column, kind)
        if len(array) <= _FEW:
            return _found(canonical_text(array), known)
        encoded = pc.dictionary_encode(array)
        places = np.append(_found(canonical_text(encoded.dictionary), known), -1)
        met = pc.fill_null(pc.cast(encoded.indices, pa.int64()), len(places) - 1)
        chosen: Places = places[met.to_numpy(zero_copy_only=False)]
        return chosen

    return find


def _listed(column: Column) -> list[Any]:
    return column if isinstance(column, list) else column.to_pylist()


def _found(values: Sequence[Any], known: dict[Any, int]) -> Places:
    return np.array([known.get(value, -1) for value in values], np.int64)


def _as_int(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None
