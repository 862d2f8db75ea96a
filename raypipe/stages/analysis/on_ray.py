"""Analysis rows scored by Ray Data: each worker loads the models once."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pyarrow as pa
import ray.data
from ray.data import DataContext

from raypipe.stages.analysis.scoring import Scorer, Work
from raypipe.values.dataset import Shard

_scorers: dict[str, Scorer] = {}
"""The models of the call that was last heard of, by its number."""


def score_on_ray(shards: Sequence[Shard], work: Work) -> pa.Table:
    """Score shards on the cluster; the rows come back in the order of the shards."""
    context = DataContext.get_current().copy()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.log_internal_stack_trace = False
    context.raise_original_map_exception = True
    context.execution_no_progress_timeout_s = -1
    context.target_max_block_size = None
    with DataContext.current(context), _quiet(logging.getLogger("ray.data")):
        numbers = ray.data.from_items(
            [{"number": number} for number in range(len(shards))], override_num_blocks=len(shards)
        )
        scored = numbers.map_batches(
            _score,
            batch_size=1,
            batch_format="pyarrow",
            fn_kwargs={"shards": tuple(shards), "work": work, "call": uuid4().hex},
            num_cpus=1,
        )
        tables = list(scored.iter_batches(batch_size=None, batch_format="pyarrow"))
    if not any(one.num_rows for one in tables):
        return tables[0] if tables else pa.table({})
    table = pa.concat_tables([one for one in tables if one.num_rows])
    order = [("shard", "ascending"), ("row", "ascending")]
    return table.take(pa.compute.sort_indices(table, sort_keys=order))


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _score(batch: pa.Table, *, shards: tuple[Shard, ...], work: Work, call: str) -> pa.Table:
    number = batch["number"][0].as_py()
    if call not in _scorers:
        _scorers.clear()
        _scorers[call] = Scorer(work)
    table = _scorers[call].score(shards[number])
    extra: dict[str, Any] = {
        "shard": pa.array([number] * table.num_rows, pa.int64()),
        "row": pa.array(range(table.num_rows), pa.int64()),
    }
    for name, column in extra.items():
        table = table.append_column(name, column)
    return table
