"""Shards transformed by Ray Data: one task a shard, as many at a time as there are CPUs."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray.data
from ray.data import DataContext
from ray.exceptions import RayTaskError

from raypipe.stages.preprocessing.shards import Work, transform_shard
from raypipe.values.dataset import Shard, TensorFile, TransformedShard

Progress = Callable[[float, float, str], None]


def transform_on_ray(
    shards: Sequence[Shard], work: Work, progress: Progress
) -> list[TransformedShard]:
    """Transform shards on the cluster; the folder of `work` is seen by all of its nodes."""
    made: dict[int, TransformedShard] = {}
    progress(0, len(shards), "")
    with _quiet_context():
        numbers = ray.data.from_items(
            [{"number": number} for number in range(len(shards))], override_num_blocks=len(shards)
        )
        rows = numbers.map(
            _transform, fn_kwargs={"shards": tuple(shards), "work": work}, num_cpus=1
        )
        with _plain_errors():
            for row in rows.iter_rows():
                made[row["number"]] = _from_row(row)
                progress(len(made), len(shards), shards[row["number"]].path)
    return [made[number] for number in range(len(shards))]


def _transform(row: dict[str, Any], *, shards: tuple[Shard, ...], work: Work) -> dict[str, Any]:
    made = transform_shard(shards[row["number"]], work)
    return {
        "number": row["number"],
        "train": str(made.train.file),
        "train_rows": made.train.rows,
        "validation": str(made.validation.file),
        "validation_rows": made.validation.rows,
    }


def _from_row(row: dict[str, Any]) -> TransformedShard:
    return TransformedShard(
        train=TensorFile(file=Path(row["train"]), rows=row["train_rows"]),
        validation=TensorFile(file=Path(row["validation"]), rows=row["validation_rows"]),
    )


@contextmanager
def _quiet_context() -> Iterator[None]:
    """Ray Data's settings for this use, and no word of it on the terminal; put back at the end."""
    before = DataContext.get_current()
    own = before.copy()
    own.enable_progress_bars = False
    own.enable_operator_progress_bars = False
    own.print_on_execution_start = False
    own.log_internal_stack_trace = False
    own.raise_original_map_exception = True
    own.execution_no_progress_timeout_s = -1
    own.target_max_block_size = None
    logger = logging.getLogger("ray.data")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with DataContext.current(own):
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Raise what a shard's task raised, not what Ray wrapped it in."""
    try:
        yield
    except RayTaskError as error:
        cause = error.cause
        raise error from None
