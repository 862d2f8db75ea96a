"""What each fitted group does to columns, as one vector operation a group of columns.

Each row's values depend on that row alone, bit for bit: operations run over contiguous float64, so
that a row by itself takes the same path through numpy as a row among many.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from raypipe.errors import UsageError
from raypipe.values.code import resolve
from raypipe.values.transform.category_groups import Frequency, Hashed, MultiHot, Ordinal
from raypipe.values.transform.category_parts import hashed_part, multi_hot_part, valued_part
from raypipe.values.transform.content_groups import Image, Text
from raypipe.values.transform.groups import Cyclic, Embedding, Function, Group, Numeric, OneHot
from raypipe.values.transform.image_part import image_part
from raypipe.values.transform.lookup import lookup
from raypipe.values.transform.number_groups import Buckets, Date
from raypipe.values.transform.number_parts import buckets_part, date_part
from raypipe.values.transform.reading import Column, as_array
from raypipe.values.transform.stacking import Part, Target, stacked
from raypipe.values.transform.text_part import TextPart

_LARGEST = float(np.finfo(np.float32).max)


def part_of(group: Group, types: Sequence[pa.DataType]) -> Part:
    """Work out once what a group does to columns of these types."""
    match group:
        case Numeric():
            return _numeric(group)
        case Cyclic():
            return _cyclic(group)
        case Buckets():
            return buckets_part(group)
        case Date():
            return date_part(group, types)
        case OneHot():
            return _one_hot(group, types)
        case Embedding():
            return _embedding(group, types)
        case Ordinal() | Frequency():
            return valued_part(group, types)
        case Hashed():
            return hashed_part(group, types)
        case MultiHot():
            return multi_hot_part(group, types)
        case Text():
            return TextPart(group)
        case Image():
            return image_part(group)
        case Function():
            return FunctionPart(group, types)


def _numeric(group: Numeric) -> Part:
    fill, center, scale = (
        np.array(values, np.float64)[:, None] for values in (group.fill, group.center, group.scale)
    )
    low, high = _bound(group.low, -np.inf), _bound(group.high, np.inf)

    def apply(columns: Sequence[Column], target: Target) -> None:
        values = stacked(columns)
        there = np.isfinite(values)
        if not there.all():
            values = np.where(there, values, fill)
        if low is not None:
            np.maximum(values, low, out=values)
        if high is not None:
            np.minimum(values, high, out=values)
        if group.log:
            np.maximum(values, 0.0, out=values)
            np.log1p(values, out=values)
        with np.errstate(over="ignore"):
            values -= center
            values /= scale
        np.minimum(values, _LARGEST, out=values)
        np.maximum(values, -_LARGEST, out=values)
        target[:] = values.T

    return apply


def _bound(ends: tuple[float | None, ...], none: float) -> npt.NDArray[np.float64] | None:
    """Return what each column is kept above, or below; None: nothing."""
    if all(end is None for end in ends):
        return None
    return np.array([none if end is None else end for end in ends], np.float64)[:, None]


def _cyclic(group: Cyclic) -> Part:
    turn = 2 * np.pi / group.period

    def apply(columns: Sequence[Column], target: Target) -> None:
        values = stacked(columns)
        there = np.isfinite(values)
        angles = np.fmod(np.where(there, values, 0.0), group.period) * turn
        target[:, 0::2] = (np.sin(angles) * there).T
        target[:, 1::2] = (np.cos(angles) * there).T

    return apply


def _one_hot(group: OneHot, types: Sequence[pa.DataType]) -> Part:
    finds = [lookup(known, kind) for known, kind in zip(group.vocabularies, types, strict=True)]
    sizes = [len(known) for known in group.vocabularies]
    starts = [sum(sizes[:i]) for i in range(len(sizes))]

    def apply(columns: Sequence[Column], target: Target) -> None:
        target[:] = 0
        for column, find, start in zip(columns, finds, starts, strict=True):
            places = find(column)
            known = np.flatnonzero(places >= 0)
            target[known, start + places[known]] = 1

    return apply


def _embedding(group: Embedding, types: Sequence[pa.DataType]) -> Part:
    finds = [lookup(known, kind) for known, kind in zip(group.vocabularies, types, strict=True)]

    def apply(columns: Sequence[Column], target: Target) -> None:
        for place, (column, find) in enumerate(zip(columns, finds, strict=True)):
            target[:, place] = find(column) + 1

    return apply


class FunctionPart:
    """A function of the user's, which is looked for when it is first needed."""

    def __init__(self, group: Function, types: Sequence[pa.DataType]) -> None:
        self._group = group
        self._types = types
        self._made: Callable[[pa.Table], Any] | None = None

    def prepare(self) -> Callable[[pa.Table], Any]:
        """Return the function, and keep to it from now on."""
        if self._made is None:
            self._made = _callable(self._group)
        return self._made

    def __call__(self, columns: Sequence[Column], target: Target) -> None:
        arrays = [as_array(one, kind) for one, kind in zip(columns, self._types, strict=True)]
        table = pa.Table.from_arrays(arrays, names=list(self._group.columns))
        target[:] = _checked(self.prepare()(table), self._group, table.num_rows)


def _callable(group: Function) -> Callable[[pa.Table], Any]:
    found = resolve(group.function)
    if not callable(found):
        raise UsageError(
            f"{group.function} is {type(found).__name__}, which cannot be called",
            hint="Name a function that takes a pyarrow.Table and returns a float array.",
        )
    return found  # type: ignore[no-any-return]


def _checked(returned: Any, group: Function, rows: int) -> npt.NDArray[np.float64]:
    """Return what a user's function gave as [rows, width]; UsageError names the function."""
    if isinstance(returned, pa.Array | pa.ChunkedArray):
        returned = returned.to_numpy(zero_copy_only=False)
    if not isinstance(returned, np.ndarray):
        raise _wrong(group, f"returned {type(returned).__name__}, not an array")
    if returned.dtype.kind not in "fiub":
        raise _wrong(group, f"returned an array of {returned.dtype}, not of numbers")
    shape = (rows, group.width)
    if returned.shape != shape and not (group.width == 1 and returned.shape == (rows,)):
        wanted = f"[{rows}]" if group.width == 1 else f"[{rows}, {group.width}]"
        raise _wrong(group, f"returned shape {list(returned.shape)} for {rows} rows, not {wanted}")
    values: npt.NDArray[np.float64] = returned.reshape(shape).astype(np.float64, copy=False)
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).any(axis=1).sum())
        raise _wrong(group, f"returned NaN or infinity in {bad} of {rows} rows")
    return np.clip(values, -_LARGEST, _LARGEST)


def _wrong(group: Function, what: str) -> UsageError:
    return UsageError(
        f"The function {group.function} {what}",
        hint=f"It takes a pyarrow.Table of {', '.join(group.columns)} and returns finite numbers "
        f"of shape [rows{', ' + str(group.width) if group.width > 1 else ''}].",
    )
