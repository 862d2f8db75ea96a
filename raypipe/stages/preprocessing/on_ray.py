"""Shards looked at and transformed by Ray Data: one task a shard, as many at once as CPUs."""

import logging
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import ray.data
from ray.data import DataContext
from ray.exceptions import RayTaskError

from raypipe.errors import RaypipeError, StepFailed
from raypipe.stages.preprocessing.looking import look_at_shard
from raypipe.stages.preprocessing.questions import Question
from raypipe.stages.preprocessing.shards import Work, transform_shard
from raypipe.values.dataset import Shard, TensorFile, TransformedShard
from raypipe.values.split import SplitRule

T = TypeVar("T")
Progress = Callable[[float, float, str], None]

_OWN = Path(__file__).parents[2]
_ADDED = "\nFailed to apply "
"""Where what Ray Data appends to an error's message begins: how to have it tried again."""


def transform_on_ray(
    shards: Sequence[Shard],
    work: Work,
    progress: Progress,
    hand_in: Callable[[int, TransformedShard], None] = lambda number, made: None,
) -> list[TransformedShard]:
    """Transform shards on the cluster; the folder of `work` is seen by all of its nodes."""
    return _each(shards, _transform, {"work": work}, _from_row, progress, hand_in)


def look_on_ray(
    shards: Sequence[Shard],
    questions: Sequence[Question],
    rule: SplitRule,
    paths: tuple[str, ...],
    progress: Progress,
    hand_in: Callable[[int, pa.Table], None],
) -> list[pa.Table]:
    """Answer questions from the train rows of shards on the cluster."""
    given = {"questions": tuple(questions), "rule": rule, "paths": paths}
    return _each(shards, _look, given, _table, progress, hand_in)


def _each(
    shards: Sequence[Shard],
    make: Callable[..., dict[str, Any]],
    given: dict[str, Any],
    read: Callable[[dict[str, Any]], T],
    progress: Progress,
    hand_in: Callable[[int, T], None],
) -> list[T]:
    """Make something of each shard, and hand it in as it comes."""
    made: dict[int, T] = {}
    progress(0, len(shards), "")
    with _quiet_context(), _plain_errors():
        numbers = ray.data.from_items(
            [{"number": number} for number in range(len(shards))], override_num_blocks=len(shards)
        )
        given = {"shards": tuple(shards), "make": make, **given}
        for row in numbers.map(_made, fn_kwargs=given, num_cpus=1).iter_rows():
            made[row["number"]] = read(row)
            hand_in(row["number"], made[row["number"]])
            progress(len(made), len(shards), shards[row["number"]].path)
    return [made[number] for number in range(len(shards))]


def _made(
    row: dict[str, Any],
    *,
    shards: tuple[Shard, ...],
    make: Callable[..., dict[str, Any]],
    **given: Any,
) -> dict[str, Any]:
    shard = shards[row["number"]]
    try:
        return {"number": row["number"], **make(shard, **given)}
    except RaypipeError:
        raise
    except Exception as error:
        raise _failure(error, shard) from error


def _transform(shard: Shard, *, work: Work) -> dict[str, Any]:
    made = transform_shard(shard, work)
    return {
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


def _look(
    shard: Shard, *, questions: tuple[Question, ...], rule: SplitRule, paths: tuple[str, ...]
) -> dict[str, Any]:
    table = look_at_shard(shard, questions, rule, paths)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return {"look": sink.getvalue().to_pybytes()}


def _table(row: dict[str, Any]) -> pa.Table:
    with pa.ipc.open_stream(row["look"]) as reader:
        return reader.read_all()


def _failure(error: Exception, shard: Shard) -> StepFailed:
    """What the user's code raised, with its own frames: a traceback does not travel with Ray."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not Path(frame.filename).is_relative_to(_OWN)]
    return StepFailed(
        f"transforming {shard.path} raised {type(error).__name__}: {error}",
        step="transform_shards",
        kind=type(error).__name__,
        frames="".join(traceback.format_list(own or frames)),
    )


@contextmanager
def _quiet_context() -> Iterator[None]:
    """Ray Data's settings for this use, and no word of it on the terminal; put back at the end."""
    own = DataContext.get_current().copy()
    own.enable_progress_bars = False
    own.enable_operator_progress_bars = False
    own.print_on_execution_start = False
    own.log_internal_stack_trace = False
    own.raise_original_map_exception = True
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
    """Raise what a shard's task raised, without the many lines that Ray puts around it."""
    try:
        yield
    except RayTaskError as error:
        cause = error.cause
        if not isinstance(cause, RaypipeError):
            raise
        cause.args = (str(cause).partition(_ADDED)[0],)
        raise cause from None
