"""A share: the rows of tensor files that one worker trains on, as tensors in memory."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from raypipe.errors import StepFailed
from raypipe.model.tasks import LABEL_DTYPES
from raypipe.values.dataset import TensorFile
from raypipe.values.signature import Signature, TensorSpec


@dataclass(frozen=True, kw_only=True)
class Share:
    """Named tensors and the label, row by row."""

    tensors: dict[str, Tensor]
    label: Tensor
    weight: Tensor | None = None
    """How much each row counts in the loss, 1 on average; None: all count 1."""
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What each value of a tensor's row is, where the signature says it."""

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.label)

    def to(self, device: torch.device) -> "Share":
        """Return the share on a device."""
        moved = {name: tensor.to(device) for name, tensor in self.tensors.items()}
        return Share(
            tensors=moved,
            label=self.label.to(device),
            weight=None if self.weight is None else self.weight.to(device),
            columns=self.columns,
        )

    def at(self, which: "Tensor | slice") -> "Share":
        """Return some of the rows."""
        return Share(
            tensors={name: tensor[which] for name, tensor in self.tensors.items()},
            label=self.label[which],
            weight=None if self.weight is None else self.weight[which],
            columns=self.columns,
        )

    def not_finite(self) -> list[str]:
        """Return what holds NaN or infinities: `dense[temp] (3 rows)`."""
        found = []
        for name, tensor in {**self.tensors, "the label": self.label}.items():
            if tensor.is_floating_point():
                bad = (~torch.isfinite(tensor)).reshape(self.rows, -1).sum(dim=0).tolist()
                found += [self._in_words(name, i, rows) for i, rows in enumerate(bad) if rows]
        return found

    def _in_words(self, name: str, index: int, rows: int) -> str:
        columns = self.columns.get(name, ())
        of = (
            f"[{columns[index] if index < len(columns) else index}]" if name in self.tensors else ""
        )
        return f"{name}{of} ({rows} row{'s' if rows != 1 else ''})"


def tensor_columns(signature: Signature) -> list[str]:
    """Return the columns of a tensor file that training needs: tensors, label, weight if any."""
    weight = [] if signature.weight is None else [signature.weight]
    return [*(spec.name for spec in signature.tensors), signature.label.name, *weight]


def read_share(files: Iterable[TensorFile], signature: Signature) -> Share:
    """Read tensor files, in the order given."""
    columns = tensor_columns(signature)
    return share_of([_read(file, columns) for file in files], signature)


def share_of(tables: Sequence[pa.Table], signature: Signature) -> Share:
    """Make one share of tables, in the order given; they may be none, and may have no rows."""
    label = TensorSpec(
        name=signature.label.name,
        dtype="int64" if LABEL_DTYPES[signature.label.task] == torch.int64 else "float32",
        shape=(signature.label.outputs,) if signature.label.task == "multilabel" else (),
    )
    return Share(
        tensors={spec.name: _tensor(tables, spec) for spec in signature.tensors},
        label=_tensor(tables, label),
        weight=None if signature.weight is None else _tensor(tables, _weight(signature.weight)),
        columns={spec.name: spec.columns for spec in signature.tensors},
    )


def _weight(name: str) -> TensorSpec:
    return TensorSpec(name=name, dtype="float32", shape=())


def _read(file: TensorFile, columns: list[str]) -> pa.Table:
    try:
        return pq.read_table(file.file, columns=columns, partitioning=None)
    except (pa.ArrowException, OSError) as error:
        raise StepFailed(
            f"cannot read the transformed rows in {file.file.name}: {error}",
            kind=type(error).__name__,
            hint="run `raypipe doctor --verify`; what is torn is made again by the next run",
        ) from error


def _tensor(tables: Sequence[pa.Table], spec: TensorSpec) -> Tensor:
    chunks = [chunk for table in tables for chunk in _column(table, spec).chunks]
    made = np.empty((sum(map(len, chunks)), *spec.shape), dtype=spec.dtype)
    start = 0
    for chunk in chunks:
        made[start : start + len(chunk)] = _rows(chunk, spec)
        start += len(chunk)
    return torch.from_numpy(made)


def _column(table: pa.Table, spec: TensorSpec) -> pa.ChunkedArray:
    if spec.name not in table.column_names:
        raise StepFailed(
            f"the transformed rows have no column {spec.name!r}; they have "
            f"{', '.join(map(repr, table.column_names))}"
        )
    return table.column(spec.name)


def _rows(chunk: Any, spec: TensorSpec) -> NDArray[Any]:
    if isinstance(chunk, pa.ExtensionArray):
        chunk = chunk.storage
    if chunk.null_count:
        raise StepFailed(
            f"column {spec.name!r} of the transformed rows has {chunk.null_count} nulls; "
            "tensors and labels must be whole",
            hint="a column of the recipe needs an `impute`; a row without a label is of no use",
        )
    depth = len(spec.shape)
    flat = chunk
    while isinstance(flat, pa.FixedSizeListArray):
        flat, depth = flat.flatten(), depth - 1
    values: NDArray[Any] = flat.to_numpy(zero_copy_only=False)
    expected = len(chunk) * int(np.prod(spec.shape, dtype=np.int64))
    if values.size != expected or depth < 0:
        raise StepFailed(
            f"column {spec.name!r} of the transformed rows is {chunk.type}; the signature says "
            f"{spec.dtype} of shape {list(spec.shape)}"
        )
    return values.reshape(len(chunk), *spec.shape)
