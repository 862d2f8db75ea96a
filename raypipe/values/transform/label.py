"""From the label's column to what a loss takes."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from raypipe.errors import UsageError
from raypipe.values.signature import Feature, Label
from raypipe.values.transform.lookup import Find, lookup
from raypipe.values.transform.reading import Batch, Reader, as_array
from raypipe.values.transform.scaling import scaled
from raypipe.values.transform.types import arrow_type

DTYPES = {
    "binary": "float32",
    "multiclass": "int64",
    "multilabel": "float32",
    "regression": "float32",
}
"""Dtype of encoded labels by task."""


class LabelEncoder:
    """Encodes labels; which classes there are is the signature's to say."""

    def __init__(self, label: Label, kind: str) -> None:
        self._label = label
        self._dtype = np.dtype(DTYPES[label.task])
        self._reader = Reader([Feature(name=label.name, type=kind, nullable=False)])
        self._kind = arrow_type(kind) or pa.string()
        self._find: Find | None = None
        if label.task != "regression":
            held = getattr(self._kind, "value_type", self._kind)
            self._find = lookup(label.classes, held)

    def encode(self, batch: Batch, *, scaled: bool = True) -> npt.NDArray[Any]:
        """Return one label a row; UsageError for one that is missing or no class.

        Numbers as the module learns them, or as they are told if not `scaled`.
        """
        (read,) = self._reader.read(batch)
        column = as_array(read, self._kind)
        if column.null_count:
            raise self._refusal(f"is null in {column.null_count} of {len(column)} rows")
        if self._find is None:
            return self._numbers(column, scaled)
        if self._label.task == "multilabel":
            return self._flags(column, self._find)
        return self._places(column, self._find).astype(self._dtype)

    def _places(self, column: pa.Array, find: Find) -> npt.NDArray[np.int64]:
        places = find(column)
        if (places < 0).any():
            value = column[int(np.flatnonzero(places < 0)[0])].as_py()
            classes = ", ".join(self._label.classes[:5])
            raise self._refusal(f"is {value!r}, which is none of its classes ({classes})")
        return places

    def _flags(self, column: pa.Array, find: Find) -> npt.NDArray[Any]:
        """Return a flag for each class that a row's list holds, [rows, classes].

        A value that no list of the train split held sets none: nothing was learned of it.
        """
        held = pc.list_flatten(column)
        if held.null_count:
            raise self._refusal(
                f"holds null among the values of its lists, {held.null_count} in all"
            )
        flags = np.zeros((len(column), len(self._label.classes)), self._dtype)
        places = find(held)
        rows = pc.list_parent_indices(column).to_numpy(zero_copy_only=False)
        flags[rows[places >= 0], places[places >= 0]] = 1
        return flags

    def _numbers(self, column: pa.Array, scale: bool) -> npt.NDArray[Any]:
        numbers = pc.cast(column, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        if self._label.log and (low := numbers.min(initial=0.0)) < 0:
            raise self._refusal(f"is {low:g}, and preprocessing.label.log takes none below 0")
        if scale and self._label.is_scaled:
            numbers = scaled(numbers, self._label)
        with np.errstate(over="ignore"):
            encoded = numbers.astype(self._dtype)
        if not np.isfinite(encoded).all():
            bad = int((~np.isfinite(encoded)).sum())
            raise self._refusal(
                f"is NaN, infinite or beyond float32 in {bad} of {len(column)} rows"
            )
        labels: npt.NDArray[Any] = encoded
        return labels

    def _refusal(self, what: str) -> UsageError:
        return UsageError(
            f"The label {self._label.name!r} {what}",
            hint="Take these rows out of the data, or mend them, and import it again.",
        )
