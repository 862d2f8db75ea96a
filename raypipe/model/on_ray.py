"""Training by Ray Train: workers that take their shares of the rows and train together."""

import logging
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import ray.data
import ray.train
from ray.train.torch import TorchTrainer, get_device
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from raypipe.config.training import WorkersConfig
from raypipe.errors import ClusterError, RaypipeError, StepFailed
from raypipe.model.failures import own_frames
from raypipe.model.feed import share_bounds
from raypipe.model.fit import Job, fit
from raypipe.model.keeping import Told
from raypipe.model.loop import EpochEnd
from raypipe.model.share import Share, share_of, tensor_columns
from raypipe.model.world import Alone, Distributed
from raypipe.runtime.imports import importing_from
from raypipe.values.dataset import TensorFile

ATTEMPTS = 3
"""Times that training is started, should a worker's process die; it goes on where it was."""
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


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a worker is told."""

    job: Job
    tell: Callable[[EpochEnd], None]
    tell_batch: Told = lambda epoch, batches, of: None
    paths: tuple[str, ...]
    """Folders that a model of the user's own is imported from."""


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
            {name: shares[rank].iterator() for name, shares in self._shares.items()}
            for rank in range(world_size)
        ]


def train_on_ray(
    work: Work, train: Sequence[TensorFile], validation: Sequence[TensorFile], scratch: Path
) -> None:
    """Train on the workers that the settings ask for; the result is what the checkpoints hold."""
    workers = work.job.settings.workers
    columns = tensor_columns(work.job.signature)
    with _quietly():
        shares = {
            "train": _shares(train, columns, workers.count),
            "validation": _shares(validation, columns, workers.count),
        }
        for attempt in range(1, ATTEMPTS + 1):
            error = _fit(work, shares, scratch / "ray_train")
            if error is None:
                return
            if not isinstance(error, ray.train.WorkerGroupError):
                raise _no_group(workers, error) from error
            if attempt == ATTEMPTS or not _process_died(error):
                raise _cause(error, workers.count) from error


def _shares(
    files: Sequence[TensorFile], columns: list[str], workers: int
) -> list[ray.data.Dataset]:
    """Cut the rows, in the order of the files, into one dataset a worker, in Ray's store.

    Read now: once the workers hold the CPUs, a lazy dataset may find none, and wait for ever.
    """
    paths = [str(file.file) for file in files if file.rows]
    if not paths:
        return [ray.data.from_arrow([]) for _ in range(workers)]
    rows = ray.data.read_parquet(paths, partitioning=None).select_columns(columns).materialize()
    if workers == 1:
        return [rows]
    cuts = [start for start, _ in share_bounds(rows.count(), workers)]
    return list(rows.split_at_indices(cuts[1:]))


def _fit(
    work: Work, shares: Mapping[str, Sequence[ray.data.Dataset]], storage: Path
) -> Exception | None:
    shutil.rmtree(storage, ignore_errors=True)
    workers = work.job.settings.workers
    # Without a group to form, the trainer that knows nothing of torch starts 1.7 s sooner.
    trainer_class = TorchTrainer if workers.count > 1 else DataParallelTrainer
    trainer = trainer_class(
        _worker,
        train_loop_config={"work": work},
        scaling_config=ray.train.ScalingConfig(
            num_workers=workers.count,
            use_gpu=workers.gpu,
            resources_per_worker={"CPU": workers.cpus, **({"GPU": 1} if workers.gpu else {})},
        ),
        run_config=ray.train.RunConfig(
            name="train",
            storage_path=str(storage),
            failure_config=ray.train.FailureConfig(max_failures=0, controller_failure_limit=1),
        ),
        datasets={name: given[0] for name, given in shares.items()},
        dataset_config=GivenShares(shares),
    )
    try:
        trainer.fit()
    except (ray.train.TrainingFailedError, ray.exceptions.RayError) as error:
        failed: Exception = error
        return failed
    finally:
        shutil.rmtree(storage, ignore_errors=True)
    return None


def _worker(config: dict[str, Any]) -> None:
    """Train this worker's share."""
    work: Work = config["work"]
    try:
        with importing_from(work.paths):
            _train(work)
    except RaypipeError:
        raise
    except Exception as error:
        raise _as_failure(error, ray.train.get_context().get_world_rank()) from error


def _train(work: Work) -> None:
    alone = ray.train.get_context().get_world_size() == 1
    fit(
        work.job,
        _my_share("train", work.job),
        _my_share("validation", work.job),
        on_epoch=work.tell,
        on_batch=work.tell_batch,
        world=Alone() if alone else Distributed(),
        device=get_device(),
    )


def _as_failure(error: Exception, rank: int) -> StepFailed:
    """Return what a worker raised, with the frames of its own code, which else stay behind."""
    return StepFailed(
        f"training raised {type(error).__name__} on worker {rank}: {error}",
        kind=type(error).__name__,
        frames=own_frames(error),
    )


def _my_share(name: str, job: Job) -> Share:
    """Take this worker's rows into memory, once, as Arrow."""
    rows = ray.train.get_dataset_shard(name)
    tables = rows.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1)
    return share_of([table for table in tables if table.num_rows], job.signature)


def _process_died(error: ray.train.WorkerGroupError) -> bool:
    """Say whether a worker's process is gone, so that another try may do."""
    return any(_is_death(failure) for failure in error.worker_failures.values())


def _is_death(failure: Exception) -> bool:
    return isinstance(failure, ray.exceptions.RayError) or "HealthCheck" in type(failure).__name__


def _cause(error: ray.train.WorkerGroupError, workers: int) -> Exception:
    """Return the failure that says most: that of the worker which broke first."""
    failures = error.worker_failures.items()
    rank, failure = min(failures, key=lambda item: (_is_echo(item[1]), item[0]))
    failure = getattr(failure, "_base_exc", failure)
    if isinstance(failure, RaypipeError):
        return failure
    return StepFailed(
        f"training lost worker {rank} of {workers}, and gave up after {ATTEMPTS} attempts: "
        f"{_first_line(failure)}",
        kind=type(failure).__name__,
        hint="look at the machine's memory; a smaller training.batch_size needs less",
    )


def _is_echo(failure: Exception) -> bool:
    """Say whether a worker failed only because another was gone from their collective."""
    return _is_death(failure) or any(
        word in str(failure) for word in ("Connection", "gloo", "NCCL")
    )


def _no_group(workers: WorkersConfig, error: Exception) -> ClusterError:
    if not isinstance(error, ray.train.ControllerError):
        return ClusterError(
            f"Ray Train broke off: {type(error).__name__}: {_first_line(error)}",
            hint="run again: training goes on from its last checkpoint",
        )
    needs = f"{workers.count} × {workers.cpus:g} CPU" + (" and a GPU each" if workers.gpu else "")
    has = ray.cluster_resources()
    offer = f"{has.get('CPU', 0):g} CPU" + (f", {has.get('GPU', 0):g} GPU" if workers.gpu else "")
    return ClusterError(
        f"Ray could not start the workers of training: they need {needs}, the cluster has "
        f"{offer}: {_first_line(error)}",
        hint="lower training.workers.count or .cpus, or give --address of a larger cluster",
    )


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__


@contextmanager
def _quietly() -> Iterator[None]:
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
