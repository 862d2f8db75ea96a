"""Raw shards as tensors, a row group at a time: the rows of one split, in their order."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from raypipe.errors import StoreError
from raypipe.model.share import Share
from raypipe.model.tasks import LABEL_DTYPES
from raypipe.runtime.imports import importing_from
from raypipe.store.locations import open_location
from raypipe.values.dataset import Shard
from raypipe.values.signature import Signature
from raypipe.values.split import SPLITS, SplitRule, rule_columns, split_of
from raypipe.values.transform import Transform

ROWS = 65_536
"""Raw rows that are transformed at once."""
Arrays = dict[str, NDArray[Any]]
"""The tensors of some rows by name, and their label."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Rows of one split in one row group of a shard."""

    shard: int
    """Its place among the shards."""
    group: int
    start: int
    """The first of the split's rows in the group that belongs to it."""
    stop: int

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.stop - self.start


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What one look at the rows of a split tells, without their features."""

    pieces: tuple[Piece, ...]
    labels: NDArray[Any]
    """Each class that there is, once, [labels] or of several a row [labels, classes]; of numbers,
    which may be as many as rows, one."""

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(piece.rows for piece in self.pieces)

    def part(self, start: int, stop: int) -> tuple[Piece, ...]:
        """Return the rows from `start` to `stop`, counted over all pieces."""
        found, passed = [], 0
        for one in self.pieces:
            first, last = max(start - passed, 0), min(stop - passed, one.rows)
            passed += one.rows
            if first < last:
                begin = one.start
                found.append(
                    Piece(shard=one.shard, group=one.group, start=begin + first, stop=begin + last)
                )
        return tuple(found)


@dataclass(frozen=True, kw_only=True)
class Source:
    """Shards, how their rows are divided, and how they are transformed."""

    shards: tuple[Shard, ...]
    transform: Transform
    rule: SplitRule
    paths: tuple[str, ...] = ()
    """Folders that the user's functions are imported from."""

    @property
    def signature(self) -> Signature:
        """What the rows become."""
        return self.transform.signature

    def count(self, split: str) -> Counted:
        """Look once at what tells the rows of a split, and at their label."""
        label = self.signature.label.name
        columns = {label, *rule_columns(self.rule)}
        pieces = []
        every: NDArray[Any] | None = None
        most = 1 if self.signature.label.task == "regression" else None
        for shard in range(len(self.shards)):
            for group, tables in self._groups(shard, columns, split):
                rows = 0
                for table in tables:
                    rows += table.num_rows
                    if table.num_rows:
                        encoded = self.transform.encode_label(table)
                        seen = encoded if every is None else np.concatenate([every, encoded])
                        every = np.unique(seen, axis=0)[:most]
                if rows:
                    pieces.append(Piece(shard=shard, group=group, start=0, stop=rows))
        dtype = LABEL_DTYPES[self.signature.label.task]
        none = np.empty(0, np.int64 if dtype == torch.int64 else np.float32)
        return Counted(pieces=tuple(pieces), labels=none if every is None else every)

    def read(self, piece: Piece, split: str) -> Iterator[Arrays]:
        """Yield the rows of a piece, transformed, some at a time, in their order."""
        label = self.signature.label.name
        weight = [] if self.signature.weight is None else [self.signature.weight]
        columns = {*self.transform.columns, label, *weight, *rule_columns(self.rule)}
        with importing_from(self.paths):
            passed = 0
            for _, tables in self._groups(piece.shard, columns, split, piece.group):
                for table in tables:
                    first = max(piece.start - passed, 0)
                    last = min(piece.stop - passed, table.num_rows)
                    passed += table.num_rows
                    if first < last:
                        yield self._arrays(table.slice(first, last - first))

    def share(self, pieces: Iterable[Piece], split: str) -> Share:
        """Read pieces into memory."""
        return share_of_arrays(
            [rows for piece in pieces for rows in self.read(piece, split)], self.signature
        )

    def _arrays(self, rows: pa.Table) -> Arrays:
        tensors = self.transform.apply(rows)
        named = {spec.name: spec.shape for spec in self.signature.tensors}
        made = {name: tensors[name].reshape(-1, *shape) for name, shape in named.items()}
        made[self.signature.label.name] = self.transform.encode_label(rows)
        if self.signature.weight is not None:
            made[self.signature.weight] = self.transform.weights(rows)
        return made

    def _groups(
        self, number: int, needed: set[str], split: str, only: int | None = None
    ) -> Iterator[tuple[int, Iterator[pa.Table]]]:
        shard = self.shards[number]
        try:
            with open_location(shard.location) as source, pq.ParquetFile(source) as file:
                columns = [name for name in file.schema_arrow.names if name in needed]
                groups = range(file.num_row_groups) if only is None else (only,)
                for group in groups:
                    yield group, self._of_split(file, group, columns, split)
        except (pa.ArrowException, OSError) as error:
            raise StoreError(
                f"The shard {shard.path} cannot be read: {str(error).splitlines()[0]}",
                hint="Run `raypipe doctor --verify`; import the file again if it is damaged.",
            ) from error

    def _of_split(
        self, file: Any, group: int, columns: list[str], split: str
    ) -> Iterator[pa.Table]:
        for batch in file.iter_batches(batch_size=ROWS, row_groups=[group], columns=columns):
            table = pa.Table.from_batches([batch])
            places = np.flatnonzero(split_of(table, self.rule) == SPLITS.index(split))
            yield table.take(places)


def share_of_arrays(parts: Sequence[Arrays], signature: Signature) -> Share:
    """Make one share of rows, in the order given; they may be none."""
    label = signature.label
    wide = (label.outputs,) if label.task == "multilabel" else ()
    kind = "int64" if LABEL_DTYPES[label.task] == torch.int64 else "float32"
    shapes = {spec.name: (spec.shape, spec.dtype) for spec in signature.tensors}
    weight = {} if signature.weight is None else {signature.weight: ((), "float32")}
    made = {
        name: torch.from_numpy(
            np.concatenate([part[name] for part in parts]).astype(dtype, copy=False)
            if parts
            else np.empty((0, *shape), dtype)
        )
        for name, (shape, dtype) in {**shapes, label.name: (wide, kind), **weight}.items()
    }
    return Share(
        tensors={name: made[name] for name in shapes},
        label=made[label.name],
        weight=made[signature.weight] if signature.weight is not None else None,
        columns={spec.name: spec.columns for spec in signature.tensors},
    )
