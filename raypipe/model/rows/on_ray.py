"""Rows of tensor files in Ray's store, cut so that each worker has its own."""

import logging
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import ray.data
import ray.train

from raypipe.config.training import WorkersConfig
from raypipe.model.feed import share_bounds
from raypipe.model.share import Share, share_of
from raypipe.values.dataset import TensorFile
from raypipe.values.signature import Signature

SETTINGS = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.1",  # the default of 2 s is waited for at start and end
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
}
DATA_SETTINGS = {
    "enable_progress_bars": False,
    "print_on_execution_start": False,
    "use_datasource_v2": False,  # the newer reader takes a second and more for a few files
}


class GivenShares(ray.train.DataConfig):  # type: ignore[misc]
    """Hands each worker the rows that were cut for it.

    Ray's own way, streaming_split(equal=True), drops the rows that do not divide by the workers.
    """

    def __init__(self, shares: Mapping[str, Sequence[ray.data.Dataset]]) -> None:
        super().__init__()
        self._shares = shares

    def configure(
        self, datasets: Any, world_size: int, *args: Any, **kwargs: Any
    ) -> list[dict[str, Any]]:
        """Return each worker's datasets, by rank."""
        return [
            {name: shares[rank % len(shares)].iterator() for name, shares in self._shares.items()}
            for rank in range(world_size)
        ]


SMALL = 64 * 2**20
"""Bytes of files that are read at once, here: tasks that read them would take longer to start."""


def cut(
    files: Sequence[TensorFile], columns: list[str], workers: WorkersConfig
) -> list[ray.data.Dataset]:
    """Cut the rows, in the order of the files, into one dataset a worker, in Ray's store.

    Where the number of workers may change there is one dataset, of which each takes its part.
    Read now: once the workers hold the CPUs, a lazy dataset may find none, and wait for ever.
    """
    count = 1 if workers.elastic else workers.count
    paths = [str(file.file) for file in files if file.rows]
    if not paths:
        return [ray.data.from_arrow([]) for _ in range(count)]
    if sum(Path(path).stat().st_size for path in paths) <= SMALL:
        table = pa.concat_tables(pq.read_table(path, columns=columns) for path in paths)
        bounds = share_bounds(table.num_rows, count)
        return [ray.data.from_arrow(table.slice(a, b - a).combine_chunks()) for a, b in bounds]
    rows = ray.data.read_parquet(paths, partitioning=None).select_columns(columns).materialize()
    if count == 1:
        return [rows]
    cuts = [start for start, _ in share_bounds(rows.count(), count)]
    return list(rows.split_at_indices(cuts[1:]))


def my_share(name: str, signature: Signature, of: int | None) -> Share:
    """Take this worker's rows into memory, once, as Arrow.

    `of` says how many there are for all workers together; None: those at hand are its own.
    """
    rows = ray.train.get_dataset_shard(name)
    tables = rows.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1)
    if of is None:
        return share_of([table for table in tables if table.num_rows], signature)
    here = ray.train.get_context()
    start, stop = share_bounds(of, here.get_world_size())[here.get_world_rank()]
    return share_of(list(between(tables, start, stop)), signature)


def between(tables: Iterator[pa.Table], start: int, stop: int) -> Iterator[pa.Table]:
    """Yield the rows from `start` to `stop`, counted over all tables."""
    passed = 0
    for table in tables:
        first, last = max(start - passed, 0), min(stop - passed, table.num_rows)
        passed += table.num_rows
        if first < last:
            yield table.slice(first, last - first)


@contextmanager
def quietly() -> Iterator[None]:
    """Set Ray Data and Train for a small machine and a stable order; then put all back."""
    context = ray.data.DataContext.get_current()
    options = context.execution_options
    before = [(context, name, getattr(context, name)) for name in DATA_SETTINGS]
    before.append((options, "preserve_order", options.preserve_order))
    added = [name for name in SETTINGS if name not in os.environ]
    interrupt = signal.getsignal(signal.SIGINT)
    os.environ.update({name: SETTINGS[name] for name in added})
    for name, value in DATA_SETTINGS.items():
        setattr(context, name, value)
    options.preserve_order = True
    for logger in ("ray.data", "ray.train"):
        logging.getLogger(logger).setLevel(logging.ERROR)
    try:
        yield
    finally:
        for thing, name, value in before:
            setattr(thing, name, value)
        for name in added:
            os.environ.pop(name, None)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, interrupt)
