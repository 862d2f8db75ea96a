"""Rows of a dataset as a stream of Ray Data: read from the store where they lie, never copied."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import ray.data
from ray.data import DataContext

from raypipe.errors import UsageError
from raypipe.store.locations import filesystem_at
from raypipe.values.dataset import Dataset

BLOCK = 32 * 2**20
"""Bytes of a block. By Ray's own 128 MiB, a small machine's object store holds two or three, and
what is smaller is one block, which one worker reads alone."""


def stream(
    dataset: Dataset,
    columns: Sequence[str] | None = None,
    where: Any = None,
    *,
    block: int = BLOCK,
) -> ray.data.Dataset:
    """Return the rows of a dataset's shards, read in parallel as they are asked for.

    Only `columns` are read where some are named, and of these only the row groups that `where`, an
    expression of `ray.data.expressions`, may be true in. Each worker opens shards by itself, with
    the credentials of its own environment. The order of rows is not kept. UsageError where shards
    lie in several stores.
    """
    places = [filesystem_at(shard.location) for shard in dataset.shards]
    system = places[0][0]
    if any(other != system for other, _ in places[1:]):
        raise UsageError(
            f"the shards of {dataset.uri} lie in several stores, and are streamed from one",
            hint="stream each store's shards by themselves, and join the streams by .union()",
        )
    with _blocks_of(block):
        rows = ray.data.read_parquet(
            [path for _, path in places], filesystem=system, partitioning=None
        )
        if where is not None:
            rows = rows.filter(expr=where)
        return rows if columns is None else rows.select_columns(list(columns))


@contextmanager
def _blocks_of(size: int) -> Iterator[None]:
    """Let datasets that are made in the body have blocks of a size; Ray keeps it with each."""
    own = DataContext.get_current().copy()
    own.target_max_block_size = size
    own.enable_progress_bars = False
    own.enable_operator_progress_bars = False
    own.print_on_execution_start = False
    with DataContext.current(own):
        yield
