"""A loop of the user's own in Ray Train: as it is, with its shards of the rows."""

import inspect
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pyarrow as pa
import ray
import ray.train
from ray.data import Dataset
from ray.train.torch import TorchTrainer

from raypipe.engine.context import StepContext
from raypipe.errors import RaypipeError, StepFailed, UsageError
from raypipe.model.failures import own_frames
from raypipe.model.fit import Job
from raypipe.model.on_ray import no_group, scaling
from raypipe.model.outliving.on_ray import OutlivingConfig
from raypipe.model.own_loop.reported import Reported, trained_of
from raypipe.model.own_loop.reports.on_ray import REPORTS, Reports, plain, read_reports
from raypipe.model.rows.on_ray import GivenShares, cut, quietly
from raypipe.model.share import tensor_columns
from raypipe.runtime.imports import importing_from
from raypipe.runtime.shortage import HINT, shortage_of
from raypipe.values.code import resolve
from raypipe.values.dataset import TensorFile
from raypipe.values.hashing import one_chunk
from raypipe.values.training import Trained


def train_by_own_loop(
    job: Job,
    train: Sequence[TensorFile],
    validation: Sequence[TensorFile],
    context: StepContext,
) -> Trained:
    """Run the loop that the settings name on its workers; return what it reported.

    Ray keeps its checkpoints in the scratch folder: a loop that is killed finds its last one by
    ray.train.get_checkpoint() when it is run again.
    """
    settings, columns = job.settings, tensor_columns(job.signature)
    form = partial(as_tensors, {spec.name: spec.shape for spec in job.signature.tensors})
    if settings.workers.elastic:
        raise UsageError(
            "training.workers has min and max, and training.loop is set: a loop of your own is "
            "given its shard of the rows, cut for a number of workers that stays",
            hint="set training.workers.count",
        )
    storage = context.scratch / "own_loop"
    storage.mkdir(parents=True, exist_ok=True)
    with quietly():
        shares = {
            name: cut(files, columns, settings.workers, form)
            for name, files in (("train", train), ("validation", validation))
        }
        result = _run(job, shares, storage, context)
    kept = [
        Reported(number=number, metrics=metrics, folder=Path(checkpoint.path))
        for number, (checkpoint, metrics) in _numbered(result, storage)
    ]
    reports = read_reports(storage / REPORTS)
    return trained_of(reports, kept, settings, job.signature, context.scratch / "checkpoints")


def as_tensors(
    shapes: Mapping[str, tuple[int, ...]], rows: pa.Table
) -> dict[str, npt.NDArray[Any]]:
    """Give columns their shapes [rows, …], so that iter_torch_batches yields tensors."""
    return {
        name: _array(one_chunk(rows.column(name)), shapes.get(name, ()))
        for name in rows.column_names
    }


def _array(column: pa.Array, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if not pa.types.is_fixed_size_list(column.type):
        values: npt.NDArray[Any] = column.to_numpy(zero_copy_only=False)
        return values
    flat: npt.NDArray[Any] = column.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(column), *(shape or (column.type.list_size,)))


def _run(job: Job, shares: dict[str, list[Dataset]], storage: Path, context: StepContext) -> Any:
    settings, given = job.settings, GivenShares(shares)
    trainer = TorchTrainer(
        partial(_worker, job, context.paths),  # as its config Ray's controller would load it
        torch_config=OutlivingConfig(),
        scaling_config=scaling(settings.workers),
        run_config=ray.train.RunConfig(
            name="train",
            storage_path=str(storage),
            failure_config=ray.train.FailureConfig(max_failures=0, controller_failure_limit=1),
            callbacks=[Reports(storage / REPORTS, context, settings.epochs)],
        ),
        datasets=given.datasets(),
        dataset_config=given,
    )
    try:
        return trainer.fit()
    except ray.train.WorkerGroupError as error:
        rank, failure = min(error.worker_failures.items())
        if shortage := shortage_of(failure):
            raise StepFailed(
                f"the loop {settings.loop} {shortage.told({}, f'worker {rank}')}",
                kind="OutOfMemoryError",
                hint=f"let its workers hold less, or {HINT}",
            ) from error
        failure = getattr(failure, "_base_exc", failure)
        if isinstance(failure, RaypipeError):
            raise failure from error
        raise StepFailed(
            f"the loop {settings.loop} raised {type(failure).__name__}: {failure}",
            kind=type(failure).__name__,
        ) from error
    except ray.exceptions.RayError as error:  # what Ray wrote of the run is torn: it begins anew
        shutil.rmtree(storage, ignore_errors=True)
        raise no_group(settings.workers, error) from error
    except ray.train.TrainingFailedError as error:
        raise no_group(settings.workers, error) from error


def _worker(job: Job, paths: tuple[str, ...]) -> None:
    settings = job.settings
    with importing_from(paths):
        loop = resolve(str(settings.loop))
        if not callable(loop):
            raise UsageError(
                f"training.loop names {settings.loop!r}, which is a {type(loop).__name__} and no "
                "function",
                hint="name a train_loop_per_worker of Ray Train's",
            )
        try:
            if inspect.signature(loop).parameters:
                loop({**loop_config(job), **settings.loop_options})
            else:
                loop()
        except RaypipeError:
            raise
        except Exception as error:
            rank = ray.train.get_context().get_world_rank()
            raise StepFailed(
                f"the loop {settings.loop} raised {type(error).__name__} on worker {rank}: {error}",
                kind=type(error).__name__,
                frames=own_frames(error),
            ) from error


def loop_config(job: Job) -> dict[str, Any]:
    """Return what the loop is given as its config; its own options come on top."""
    settings = job.settings
    told = ("epochs", "batch_size", "learning_rate", "weight_decay", "seed", "task")
    return {name: getattr(settings, name) for name in told} | {
        "model": settings.model,
        "signature": job.signature,
    }


def _numbered(result: Any, storage: Path) -> list[tuple[int, tuple[Any, dict[str, Any]]]]:
    """Return each kept checkpoint with the place of its report among all."""
    rows = read_reports(storage / REPORTS)
    found, place = [], 0
    for checkpoint, metrics in result.best_checkpoints or ():
        wanted = {name: plain(value) for name, value in metrics.items()}
        place = next((n for n, row in enumerate(rows, 1) if n > place and row == wanted), place + 1)
        found.append((place, (checkpoint, metrics)))
    return found
