"""Training by Ray Train: workers that take their shares of the rows and train together."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import ray
import ray.train
from ray.train.torch import TorchTrainer, get_device
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from raypipe.config.training import WorkersConfig
from raypipe.errors import ClusterError, RaypipeError, StepFailed
from raypipe.model.failures import own_frames
from raypipe.model.fit import Job, Streamed, fit
from raypipe.model.keeping import Told
from raypipe.model.loop import Enough, EpochEnd
from raypipe.model.outliving.on_ray import OutlivingConfig
from raypipe.model.rows.on_ray import GivenShares, Held, hold, my_share, quietly
from raypipe.model.share import Share, tensor_columns
from raypipe.model.streaming.on_ray import read_by_data
from raypipe.model.streaming.stream import Stream
from raypipe.model.world import Alone, Distributed, Sharded, World
from raypipe.runtime.imports import importing_from
from raypipe.runtime.notes import Note, note_in, notes_in
from raypipe.runtime.shortage import HINT, shortage_of
from raypipe.values.dataset import TensorFile

ATTEMPTS = 3
"""Times that training is started from one checkpoint, should workers die; it goes on where it was.

Each loss after a further checkpoint is the first again: nodes may come and go for days.
"""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a worker is told."""

    job: Job
    tell: Callable[[EpochEnd], None]
    tell_batch: Told = lambda epoch, batches, of: None
    paths: tuple[str, ...]
    """Folders that a model of the user's own is imported from."""
    stream: Stream | None = None
    """Rows that each worker reads by itself; None: it is given them."""
    rows: Mapping[str, int] | None = None
    """Rows of each split, of which each worker takes its part; None: it is given its own."""
    enough: Enough = lambda history: False


def train_on_ray(
    work: Work, train: Sequence[TensorFile], validation: Sequence[TensorFile], scratch: Path
) -> None:
    """Train on the workers that the settings ask for; the result is what the checkpoints hold."""
    workers = work.job.settings.workers
    columns = tensor_columns(work.job.signature)
    with quietly():
        rows = {} if work.stream else {"train": train, "validation": validation}
        shares = {name: hold(files, columns, workers) for name, files in rows.items()}
        if workers.elastic:
            counts = {name: sum(file.rows for file in files) for name, files in rows.items()}
            work = replace(work, rows=counts)
        attempt, reached = 0, work.job.checkpoints.newest()
        while True:
            error = _fit(work, shares, scratch / "ray_train")
            if error is None:
                return
            if not isinstance(error, ray.train.WorkerGroupError):
                raise _short_of_memory(error, work, "the process that conducts it") or no_group(
                    workers, error
                ) from error
            before, reached = reached, work.job.checkpoints.newest()
            attempt = attempt + 1 if reached == before else 1
            if attempt == ATTEMPTS or not _process_died(error):
                raise _cause(error, work) from error


def _fit(work: Work, shares: Mapping[str, Sequence[Held]], storage: Path) -> Exception | None:
    shutil.rmtree(storage, ignore_errors=True)
    workers = work.job.settings.workers
    # Without a group to form, the trainer that knows nothing of torch starts 1.7 s sooner.
    together = partial(TorchTrainer, torch_config=OutlivingConfig())
    trainer_class = together if workers.most > 1 else DataParallelTrainer
    given = GivenShares(shares)
    trainer = trainer_class(
        partial(_worker, work),  # as its config Ray's controller would load it, and torch with it
        scaling_config=scaling(workers),
        run_config=ray.train.RunConfig(
            name="train",
            storage_path=str(storage),
            failure_config=ray.train.FailureConfig(max_failures=0, controller_failure_limit=1),
        ),
        datasets=given.datasets(),
        dataset_config=given,
    )
    try:
        trainer.fit()
    except (ray.train.TrainingFailedError, ray.exceptions.RayError) as error:
        failed: Exception = error
        return failed
    finally:
        shutil.rmtree(storage, ignore_errors=True)
    return None


def scaling(workers: WorkersConfig) -> ray.train.ScalingConfig:
    """Return how many workers there are, and what each holds."""
    return ray.train.ScalingConfig(
        num_workers=(workers.fewest, workers.most) if workers.elastic else workers.count,
        use_gpu=workers.gpu,
        resources_per_worker={"CPU": workers.cpus, **({"GPU": 1} if workers.gpu else {})},
    )


def _worker(work: Work) -> None:
    """Train this worker's share."""
    try:
        with importing_from(work.paths):
            _train(work)
    except RaypipeError:
        raise
    except Exception as error:
        raise _as_failure(error, ray.train.get_context().get_world_rank()) from error


def _train(work: Work) -> None:
    here, signature = ray.train.get_context(), work.job.signature
    rank, rows = here.get_world_rank(), work.rows or {}
    note = Note(_scratch(work), rank)
    worker = f"worker {rank} of {here.get_world_size()}"

    def on_batch(epoch: int, batches: int, of: int) -> None:
        note.write(f"{worker} after epoch {epoch}, batch {batches} of {of}")
        if not rank:
            work.tell_batch(epoch, batches, of)

    try:
        train: Share | Streamed
        if work.stream:
            read = partial(read_by_data, work.stream.source, "train")
            train = replace(work.stream, read=read)
            validation = work.stream.validation_share(rank, here.get_world_size())
        else:
            train = my_share("train", signature, rows.get("train"))
            validation = my_share("validation", signature, rows.get("validation"))
        fit(
            work.job,
            train,
            validation,
            on_epoch=work.tell,
            on_batch=on_batch,
            world=_world(work.job.settings.workers, here.get_world_size()),
            device=get_device(),
            enough=work.enough,
        )
    finally:
        note.close()


def _world(workers: WorkersConfig, size: int) -> World:
    if size == 1:
        return Alone()
    return Sharded() if workers.strategy == "fsdp" else Distributed()


def _scratch(work: Work) -> Path:
    """Where workers note how far they are."""
    return work.job.folder.parent


def _as_failure(error: Exception, rank: int) -> StepFailed:
    """Return what a worker raised, with the frames of its own code, which else stay behind."""
    return StepFailed(
        f"training raised {type(error).__name__} on worker {rank}: {error}",
        kind=type(error).__name__,
        frames=own_frames(error),
    )


def _process_died(error: ray.train.WorkerGroupError) -> bool:
    """Say whether a worker's process is gone, so that another try may do.

    Of a node that is lost, the others may be all that Ray has heard of: they miss their peer.
    """
    failures = error.worker_failures.values()
    return any(map(_is_death, failures)) or all(map(_is_echo, failures))


def _is_death(failure: Exception) -> bool:
    return isinstance(failure, ray.exceptions.RayError) or "HealthCheck" in type(failure).__name__


def _cause(error: ray.train.WorkerGroupError, work: Work) -> Exception:
    """Return the failure that says most: that of the worker which broke first."""
    failures = error.worker_failures.items()
    rank, failure = min(failures, key=lambda item: (_is_echo(item[1]), not _is_death(item[1])))
    if not _is_echo(failure):
        failure = getattr(failure, "_base_exc", failure)
        if isinstance(failure, RaypipeError):
            return failure
    gave_up = f", and gave up after {ATTEMPTS} attempts that came no further"
    if short := _short_of_memory(failure, work, _noted(work, rank), gave_up):
        return short
    lost = "" if _is_death(failure) else "the peer of "
    return StepFailed(
        f"training lost {lost}{_noted(work, rank)}{gave_up}: {_first_line(failure)}",
        kind=type(failure).__name__,
        hint="look at the machine's memory; a smaller training.batch_size needs less. A run with "
        "--resume goes on from the last checkpoint",
    )


def _short_of_memory(error: Exception, work: Work, who: str, then: str = "") -> StepFailed | None:
    """Return what an error says if it is that Ray ended processes for want of memory."""
    if (shortage := shortage_of(error)) is None:
        return None
    return StepFailed(
        f"training {shortage.told(notes_in(_scratch(work)), who)}{then}",
        kind="OutOfMemoryError",
        hint=f"lower training.batch_size, or {HINT}. A run with --resume goes on from the last "
        "checkpoint",
    )


def _noted(work: Work, rank: int) -> str:
    return note_in(_scratch(work), rank) or f"worker {rank} before its first batch"


def _is_echo(failure: Exception) -> bool:
    """Say whether a worker failed only because another was gone from their collective."""
    if _is_death(failure):
        return True
    said = str(getattr(failure, "_base_exc", failure))
    return any(word in said for word in ("Connection", "gloo", "NCCL"))


def no_group(workers: WorkersConfig, error: Exception) -> ClusterError:
    """Return the error for a group of workers that could not be started."""
    if not isinstance(error, ray.train.ControllerError):
        return ClusterError(
            f"Ray Train broke off: {type(error).__name__}: {_first_line(error)}",
            hint="run again: training goes on from its last checkpoint",
        )
    needs = f"{workers.fewest} × {workers.cpus:g} CPU" + (" and a GPU each" if workers.gpu else "")
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
