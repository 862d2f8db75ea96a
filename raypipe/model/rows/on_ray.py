"""Rows of tensor files in Ray's store, cut so that each worker has its own.

Ray Train's own processes import this module to hand the rows on; torch, which takes each of them
2 s of a core, is for the workers.
"""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import ray
import ray.data
import ray.train
from ray.data.block import BlockAccessor

from raypipe.model.bounds import share_bounds
from raypipe.values.dataset import TensorFile
from raypipe.values.signature import Signature

if TYPE_CHECKING:
    from raypipe.config.training import WorkersConfig
    from raypipe.model.share import Share

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


@dataclass(frozen=True)
class Held:
    """Rows in Ray's store that a worker takes as they are.

    A Dataset would be executed by Ray Data in each worker, only to hand out what is there.
    """

    tables: tuple[ray.ObjectRef, ...]

    def read(self) -> Iterator[pa.Table]:
        """Yield the tables, in order, where they lie in the store."""
        for table in self.tables:
            yield ray.get(table)


class GivenShares(ray.train.DataConfig):  # type: ignore[misc]
    """Hands each worker the rows that were cut for it.

    Ray's own way, streaming_split(equal=True), drops the rows that do not divide by the workers.
    """

    def __init__(self, shares: Mapping[str, Sequence[ray.data.Dataset | Held]]) -> None:
        super().__init__()
        self._shares = shares

    def __deepcopy__(self, memo: dict[int, Any]) -> "GivenShares":
        """Return itself, which never changes: Ray Train copies it, rows in the store and all."""
        return self

    def datasets(self) -> dict[str, ray.data.Dataset]:
        """Return what Ray Train wants as its datasets: of held rows it needs the name."""
        return {
            name: ray.data.from_arrow([]) if isinstance(given[0], Held) else given[0]
            for name, given in self._shares.items()
        }

    def configure(
        self, datasets: Any, world_size: int, *args: Any, **kwargs: Any
    ) -> list[dict[str, Any]]:
        """Return each worker's rows, by rank."""
        return [
            {name: _handed(shares[rank % len(shares)]) for name, shares in self._shares.items()}
            for rank in range(world_size)
        ]


def _handed(rows: ray.data.Dataset | Held) -> Any:
    return rows if isinstance(rows, Held) else rows.iterator()


SMALL = 64 * 2**20
"""Bytes of files that are read at once, here: tasks that read them would take longer to start."""


Form = Callable[[pa.Table], dict[str, Any]]
"""Makes a numpy array of each column."""


def cut(
    files: Sequence[TensorFile],
    columns: list[str],
    workers: "WorkersConfig",
    form: Form | None = None,
) -> list[ray.data.Dataset]:
    """Cut the rows, in the order of the files, into one dataset a worker, in Ray's store.

    Where the number of workers may change there is one dataset, of which each takes its part.
    `form` makes the columns what they are to be; None: they stay as they are in the files.
    Read now: once the workers hold the CPUs, a lazy dataset may find none, and wait for ever.
    """
    count = 1 if workers.elastic else workers.count
    paths = [str(file.file) for file in files if file.rows]
    if not paths:
        return [ray.data.from_arrow([]) for _ in range(count)]
    if _small(paths):
        tables = _tables(paths, columns, count)
        return [ray.data.from_arrow(_formed(table, form)) for table in tables]
    rows = ray.data.read_parquet(paths, partitioning=None).select_columns(columns)
    if form is not None:
        rows = rows.map_batches(form, batch_format="pyarrow", batch_size=None)
    rows = rows.materialize()
    if count == 1:
        return [rows]
    cuts = [start for start, _ in share_bounds(rows.count(), count)]
    return list(rows.split_at_indices(cuts[1:]))


def hold(files: Sequence[TensorFile], columns: list[str], workers: "WorkersConfig") -> list[Held]:
    """Cut the rows as `cut` does, and hold them in Ray's store."""
    paths = [str(file.file) for file in files if file.rows]
    if paths and _small(paths):
        count = 1 if workers.elastic else workers.count
        return [Held((ray.put(table),)) for table in _tables(paths, columns, count)]
    return [Held(tuple(rows.to_arrow_refs())) for rows in cut(files, columns, workers)]


def _formed(table: pa.Table, form: Form | None) -> pa.Table:
    """Return what map_batches would, which starts processes for it."""
    return table if form is None else BlockAccessor.batch_to_block(form(table))


def _small(paths: list[str]) -> bool:
    return sum(Path(path).stat().st_size for path in paths) <= SMALL


def _tables(paths: list[str], columns: list[str], count: int) -> Iterator[pa.Table]:
    table = pa.concat_tables(pq.read_table(path, columns=columns) for path in paths)
    for start, stop in share_bounds(table.num_rows, count):
        yield table.slice(start, stop - start).combine_chunks()


def my_share(name: str, signature: Signature, of: int | None) -> "Share":
    """Take this worker's rows into memory, once, as Arrow.

    `of` says how many there are for all workers together; None: those at hand are its own.
    """
    from raypipe.model.share import share_of

    held: Held = ray.train.get_dataset_shard(name)
    if of is None:
        return share_of([table for table in held.read() if table.num_rows], signature)
    here = ray.train.get_context()
    start, stop = share_bounds(of, here.get_world_size())[here.get_world_rank()]
    return share_of(list(between(held.read(), start, stop)), signature)


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
