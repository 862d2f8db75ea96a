"""What fitted groups of categories do to columns, beside the one-hot and embedding ones."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from raypipe.values.hashing import is_text, value_hash
from raypipe.values.transform.category_groups import Frequency, Hashed, MultiHot, Ordinal
from raypipe.values.transform.lookup import lookup
from raypipe.values.transform.reading import Column, as_array
from raypipe.values.transform.stacking import Part, Target

_KEPT = 65_536
"""Values whose buckets are remembered: hashing one by itself costs more than a look into a dict."""
_FEW = 32
"""Rows up to which remembered buckets are quicker than hashing all."""


def valued_part(group: Ordinal | Frequency, types: Sequence[pa.DataType]) -> Part:
    """Give each known value its number."""
    finds = [lookup(known, kind) for known, kind in zip(group.vocabularies, types, strict=True)]
    numbers = [np.array(values, np.float64) for values in _numbers(group)]

    def apply(columns: Sequence[Column], target: Target) -> None:
        told = zip(columns, finds, numbers, strict=True)
        for place, (column, find, values) in enumerate(told):
            target[:, place] = values[find(column)]

    return apply


def _numbers(group: Ordinal | Frequency) -> list[list[float]]:
    """Return the number of each known value, by column; that of all others stands last, at -1."""
    if isinstance(group, Frequency):
        return [[*shares, 0.0] for shares in group.shares]
    return [
        [*(place / max(1, len(known) - 1) for place in range(len(known))), -1.0]
        for known in group.vocabularies
    ]


def hashed_part(group: Hashed, types: Sequence[pa.DataType]) -> Part:
    """Find values' buckets."""
    finds = [_Bucketer(kind, group.buckets) for kind in types]

    def apply(columns: Sequence[Column], target: Target) -> None:
        if not group.index:
            target[:] = 0
        for place, (column, find) in enumerate(zip(columns, finds, strict=True)):
            buckets = find(column)
            if group.index:
                target[:, place] = buckets + 1
            else:
                rows = np.flatnonzero(buckets >= 0)
                target[rows, place * group.buckets + buckets[rows]] = 1

    return apply


class _Bucketer:
    """The bucket of each value of a column; -1 for null and NaN."""

    def __init__(self, kind: pa.DataType, buckets: int) -> None:
        self._kind = kind
        self._buckets = np.uint64(buckets)
        plain = is_text(kind) or (pa.types.is_primitive(kind) and not pa.types.is_temporal(kind))
        self._known: dict[Any, int] | None = {None: -1} if plain else None
        """Values as Python has them: of one column, so that no 1 is taken for a true."""

    def __call__(self, column: Column) -> npt.NDArray[np.int64]:
        if len(column) > _FEW or self._known is None:
            return self._hashed(as_array(column, self._kind))
        values = column if isinstance(column, list) else column.to_pylist()
        known = self._known
        if not all(value in known for value in values):
            if len(known) > _KEPT:
                known = self._known = {None: -1}
            hashed = self._hashed(as_array(column, self._kind))
            known |= dict(zip(values, hashed.tolist(), strict=True))
        return np.array([known[value] for value in values], np.int64)

    def _hashed(self, array: pa.Array) -> npt.NDArray[np.int64]:
        buckets = (value_hash(array) % self._buckets).astype(np.int64)
        missing = pc.is_null(array, nan_is_null=True)
        buckets[missing.to_numpy(zero_copy_only=False)] = -1
        return buckets


def rows_of_lists(lists: pa.Array) -> npt.NDArray[np.int64]:
    """Return the row of each value of `list_flatten`, which leaves out what lies under a null."""
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    return np.repeat(np.arange(len(lists)), lengths)


def multi_hot_part(group: MultiHot, types: Sequence[pa.DataType]) -> Part:
    """Set a flag for each known value of a list."""
    pairs = zip(group.vocabularies, types, strict=True)
    finds = [lookup(known, kind.value_type) for known, kind in pairs]
    starts = np.cumsum([0, *(len(known) for known in group.vocabularies[:-1])])

    def apply(columns: Sequence[Column], target: Target) -> None:
        target[:] = 0
        for column, kind, find, start in zip(columns, types, finds, starts, strict=True):
            array = as_array(column, kind)
            places = find(pc.list_flatten(array))
            known = np.flatnonzero(places >= 0)
            target[rows_of_lists(array)[known], start + places[known]] = 1

    return apply
