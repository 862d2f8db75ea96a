"""What values hold: a struct's fields, a list's values, a map's; bytes of images, their size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from raypipe.values.hashing import is_bytes, is_text
from raypipe.values.images import PARTS, images_of

if TYPE_CHECKING:
    from raypipe.values.columns import ColumnProfile
    from raypipe.values.measure import Parts
    from raypipe.values.texts import Texts


def inner_columns(
    array: pa.Array, parts: Parts, texts: Texts | None
) -> list[dict[str, ColumnProfile]]:
    """Return the statistics of what the values hold, part by part; nothing where they hold none."""
    from raypipe.values.measure import Measured, plain_array

    found: list[dict[str, ColumnProfile]] = [{} for _ in range(parts.count)]
    for name, (values, theirs) in _held(array, parts, texts).items():
        plain = plain_array(values)
        for number, column in enumerate(Measured.of(plain).profiles(name, theirs)):
            if column.count or not is_bytes(array.type):
                found[number][name] = column
    return found


def _held(array: pa.Array, parts: Parts, texts: Texts | None) -> dict[str, tuple[pa.Array, Parts]]:
    kind = array.type
    if pa.types.is_struct(kind):
        # Fields of a struct that is null are not there, and are not counted among its nulls.
        valid = pc.is_valid(array).to_numpy(zero_copy_only=False)
        there = array.drop_null() if array.null_count else array
        theirs = parts.at(valid) if array.null_count else parts
        fields = there.flatten()
        return {kind[n].name: (fields[n], theirs) for n in range(kind.num_fields)}
    if pa.types.is_map(kind):
        array = array.cast(pa.list_(pa.struct([("key", kind.key_type), ("{}", kind.item_type)])))
        rows = pc.list_parent_indices(array).to_numpy()
        return {"{}": (pc.list_flatten(array).field(1), parts.at(rows))}
    if is_list(kind):
        rows = pc.list_parent_indices(array).to_numpy()
        return {"[]": (pc.list_flatten(array), parts.at(rows))}
    if texts is not None and is_bytes(kind):
        # As of a struct: what is no image has no width that would be missing.
        images, rows = images_of(array, texts)
        theirs = parts.at(rows)
        names = [field.name for field in PARTS] if len(rows) else []
        return {name: (images.field(name), theirs) for name in names}
    return {}


def lengths_of(values: pa.Array) -> npt.NDArray[np.int64] | None:
    """Return how long texts are in characters, bytes in bytes, lists in values; a null is 0."""
    kind = values.type
    if is_text(kind):
        lengths = pc.utf8_length(values)
    elif is_bytes(kind):
        lengths = pc.binary_length(values)
    elif pa.types.is_map(kind):
        widths: npt.NDArray[np.int64] = np.diff(values.offsets.to_numpy()).astype(np.int64)
        return widths
    elif is_list(kind):
        lengths = pc.list_value_length(values)
    else:
        return None
    if lengths.null_count:
        lengths = pc.fill_null(lengths, 0)
    found: npt.NDArray[np.int64] = lengths.to_numpy(zero_copy_only=False).astype(np.int64)
    return found


def is_list(kind: pa.DataType) -> bool:
    """Say whether values of a type are lists of whatever kind."""
    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))
