"""One shard transformed: read in pieces, divided by split, written as tensors.

The rows of the analysis split are dropped: that split is sealed.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from raypipe.runtime.imports import importing_from
from raypipe.stages.preprocessing.reading import read_shard
from raypipe.values.dataset import Shard, TensorFile, TransformedShard
from raypipe.values.signature import TensorSpec
from raypipe.values.split import SPLITS, SplitRule, rule_columns, split_of
from raypipe.values.transform import Transform
from raypipe.values.transform.image_part import rows_of

KEPT = ("train", "validation")
"""Splits whose rows are written; the analysis split is sealed."""

_ROWS: int | None = None
"""Rows that are transformed at a time; None: by their size."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """How every shard of a step is transformed."""

    transform: Transform
    rule: SplitRule
    folder: Path
    """Where the files are written; every process can see it."""
    paths: tuple[str, ...] = ()
    """Folders that the user's functions are imported from."""


def transform_shard(shard: Shard, work: Work) -> TransformedShard:
    """Write a shard's train and validation rows as tensors.

    The same rows give the same bytes. What an earlier attempt finished is not done again.
    """
    stem = blake2b(shard.object_id.encode(), digest_size=12).hexdigest()
    paths = {split: work.folder / f"{stem}-{split}.parquet" for split in KEPT}
    if not all(path.exists() for path in paths.values()):
        with importing_from(work.paths):
            _write(shard, work, paths)
    train, validation = (
        TensorFile(file=paths[split], rows=pq.read_metadata(paths[split]).num_rows)
        for split in KEPT
    )
    return TransformedShard(train=train, validation=validation)


def _write(shard: Shard, work: Work, paths: dict[str, Path]) -> None:
    asides = {split: path.with_suffix(f".{os.getpid()}.tmp") for split, path in paths.items()}
    schema = tensor_schema(work.transform)
    with contextlib.ExitStack() as stack:
        for aside in asides.values():
            stack.callback(aside.unlink, missing_ok=True)
        writers = {
            split: stack.enter_context(
                pq.ParquetWriter(aside, schema, compression="zstd", use_dictionary=True)
            )
            for split, aside in asides.items()
        }
        start = 0
        for rows in _read(shard, work):
            splits = split_of(rows, work.rule)
            for split, writer in writers.items():
                places = np.flatnonzero(splits == SPLITS.index(split))
                if len(places):
                    with rows_of(shard.path, start + places):
                        table = to_tensors(rows.take(places), work.transform, schema)
                    writer.write_table(table)
            start += rows.num_rows
        for writer in writers.values():
            writer.close()
        for split, aside in asides.items():
            aside.replace(paths[split])


def _read(shard: Shard, work: Work) -> Iterator[pa.Table]:
    signature = work.transform.signature
    named = {signature.label.name, *([signature.weight] if signature.weight else [])}
    return read_shard(shard, {*work.transform.columns, *named, *rule_columns(work.rule)}, _ROWS)


def to_tensors(rows: pa.Table, transform: Transform, schema: pa.Schema) -> pa.Table:
    """Return rows as a table of tensors, the label, and what they count if that is told."""
    tensors = transform.apply(rows)
    columns = [_column(tensors[spec.name]) for spec in transform.signature.tensors]
    columns.append(_column(transform.encode_label(rows)))
    if transform.signature.weight is not None:
        columns.append(pa.array(transform.weights(rows)))
    return pa.Table.from_arrays(columns, schema=schema)


def tensor_schema(transform: Transform) -> pa.Schema:
    """Return the columns of a tensor file: one a tensor, then the label, and a weight if any."""
    label = transform.signature.label
    kind = pa.int64() if label.task == "multiclass" else pa.float32()
    if label.task == "multilabel":
        kind = pa.list_(kind, label.outputs)
    fields = [pa.field(spec.name, _type(spec)) for spec in transform.signature.tensors]
    weight = transform.signature.weight
    weights = [] if weight is None else [pa.field(weight, pa.float32())]
    return pa.schema([*fields, pa.field(label.name, kind), *weights])


def _type(spec: TensorSpec) -> pa.DataType:
    return pa.list_(pa.type_for_alias(spec.dtype), prod(spec.shape))


def _column(values: npt.NDArray[np.generic]) -> pa.Array:
    flat = pa.array(values.reshape(-1))
    if values.ndim == 1:
        return flat
    return pa.FixedSizeListArray.from_arrays(flat, prod(values.shape[1:]))
