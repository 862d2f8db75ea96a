"""The fitted transform: raw rows in, named tensors out; the same in training and in serving."""

from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from raypipe.errors import UsageError
from raypipe.values.signature import Feature, Signature, TensorSpec
from raypipe.values.transform.groups import (
    Group,
    columns_of,
    dtype_of,
    is_indexed,
    names_of,
    places,
    shape_of,
)
from raypipe.values.transform.label import LabelEncoder
from raypipe.values.transform.parts import FunctionPart, part_of
from raypipe.values.transform.reading import Batch, Reader, as_array
from raypipe.values.transform.stacking import Part, floats
from raypipe.values.transform.text_part import TextPart
from raypipe.values.transform.types import arrow_type

Tensors = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class Transform:
    """A fitted recipe: its state is data, and says all there is to know.

    What a missing value (null, NaN, infinity) and one that training did not see become, each kind
    of group says. The empty text is a value, but to a tokenizer. A missing column, and a value
    that cannot be cast to the type of its feature, are UsageErrors that name them. Tensors are
    always finite.
    """

    groups: tuple[Group, ...]
    """In the order in which their values stand in the tensors."""
    signature: Signature
    label_type: str
    """Arrow's name of the label's type."""
    optional: tuple[str, ...] = ()
    """Features that a batch need not have: they count as null then."""
    mean_weight: float = 1.0
    """What rows of the train split weigh on average, where the signature names a weight."""

    def apply(self, batch: Batch) -> Tensors:
        """Turn rows into tensors, each of shape [rows, width] (images: [rows, channels, h, w])."""
        return self._compiled.apply(batch)

    def prepare(self) -> None:
        """Work out now, the user's functions included, what else the first `apply` would."""
        self._compiled.prepare()

    def encode_label(self, batch: Batch) -> npt.NDArray[Any]:
        """Return the labels as the module learns them, one a row.

        float32 0 or 1 (binary), int64 (multiclass), float32 flags [rows, classes] (multilabel),
        float32 (regression). UsageError if one is missing or no known class.
        """
        return self._compiled.label.encode(batch)

    def told_label(self, batch: Batch) -> npt.NDArray[Any]:
        """Return the labels as metrics take them: like `encode_label`, but numbers as they are."""
        return self._compiled.label.encode(batch, scaled=False)

    def weights(self, rows: pa.Table) -> npt.NDArray[np.float32]:
        """Return how much each row counts in training, 1 on average; UsageError for no weight."""
        name = self.signature.weight
        assert name is not None
        (column,) = Reader([Feature(name=name, type="double", nullable=False)]).read(rows)
        numbers = floats(column)
        wrong = ~(np.isfinite(numbers) & (numbers >= 0))
        if wrong.any():
            value = as_array(column, pa.float64())[int(np.flatnonzero(wrong)[0])].as_py()
            raise UsageError(
                f"The weight {name!r} is {value} in {int(wrong.sum())} of {len(wrong)} rows",
                hint="A weight is 0 or above: mend these rows, or take them out of the data.",
            )
        weights: npt.NDArray[np.float32] = (numbers / self.mean_weight).astype(np.float32)
        return weights

    @property
    def columns(self) -> tuple[str, ...]:
        """The raw columns that `apply` reads."""
        return tuple(feature.name for feature in self.signature.features)

    def save(self, folder: Path) -> None:
        """Write the transform into a folder, as JSON and Arrow files."""
        from raypipe.values.transform.files import save

        save(self, folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a transform back; StoreError if the folder does not hold one."""
        from raypipe.values.transform.files import load

        return cls(**load(folder))

    @cached_property
    def _compiled(self) -> "_Compiled":
        return _Compiled(self)

    def __getstate__(self) -> dict[str, Any]:
        """What travels to other processes: the fields, not what was worked out from them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


class _Compiled:
    """What is worked out once from a transform, so that a row costs little."""

    def __init__(self, transform: Transform) -> None:
        signature = transform.signature
        self._reader = Reader(signature.features, transform.optional)
        self._tensors = [
            (spec.name, spec.shape, np.dtype(spec.dtype)) for spec in signature.tensors
        ]
        self._parts = _parts(transform)
        self.label = LabelEncoder(signature.label, transform.label_type)

    def prepare(self) -> None:
        for part, *_ in self._parts:
            if isinstance(part, FunctionPart | TextPart):
                part.prepare()

    def apply(self, batch: Batch) -> Tensors:
        columns = self._reader.read(batch)
        rows = batch.num_rows
        tensors = {name: np.empty((rows, *shape), dtype) for name, shape, dtype in self._tensors}
        for part, taken, tensor, start, stop in self._parts:
            part([columns[place] for place in taken], tensors[tensor][:, start:stop])
        return tensors


def _parts(transform: Transform) -> list[tuple[Part, list[int], str, int, int]]:
    place = {feature.name: i for i, feature in enumerate(transform.signature.features)}
    types = {f.name: arrow_type(f.type) for f in transform.signature.features}
    return [
        (
            part_of(group, [types[name] for name in group.columns]),
            [place[name] for name in group.columns],
            group.tensor,
            start,
            stop,
        )
        for group, (start, stop) in zip(transform.groups, places(transform.groups), strict=True)
    ]


def tensor_specs(groups: tuple[Group, ...]) -> tuple[TensorSpec, ...]:
    """Return the tensors that groups make, in the order in which they first occur."""
    specs = []
    for name in dict.fromkeys(group.tensor for group in groups):
        own = [group for group in groups if group.tensor == name]
        names = tuple(text for group in own for text in names_of(group))
        width = sum(shape_of(group)[0] for group in own)
        sizes = tuple(n for group in own if is_indexed(group) for n in group.cardinalities)
        specs.append(
            TensorSpec(
                name=name,
                dtype="int64" if dtype_of(own[0]) == "int64" else "float32",
                shape=(width, *shape_of(own[0])[1:]),
                cardinalities=sizes or None,
                columns=names,
            )
        )
    return tuple(specs)


def features_of(groups: tuple[Group, ...], known: dict[str, Feature]) -> tuple[Feature, ...]:
    """Return the features that groups read, in the order in which they first occur."""
    return tuple(known[name] for name in columns_of(groups))
