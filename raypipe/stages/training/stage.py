"""The training stage, as a run calls it."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raypipe.config.training import TrainingConfig
from raypipe.engine.context import StepContext, current
from raypipe.engine.step import step
from raypipe.errors import StepFailed, UsageError
from raypipe.stages.training.telling import Teller
from raypipe.values.dataset import Shard, TensorFile
from raypipe.values.signature import Signature
from raypipe.values.training import Checkpoint, Trained

if TYPE_CHECKING:
    from raypipe.model.fit import Job
    from raypipe.model.state import TrainState


@step(num_cpus=0)
def train(
    train: list[TensorFile],
    validation: list[TensorFile],
    signature: Signature,
    settings: TrainingConfig,
    shards: list[Shard] | None = None,
    transform: Any = None,
    rule: Any = None,
) -> Trained:
    """Train a model on the train split; keep the checkpoints that are best on the validation split.

    A training that was killed goes on from its last checkpoint. `shards`, `transform`
    and `rule` (a Transform and a SplitRule) are given where rows are transformed on the way.
    """
    from raypipe.model.fit import Job

    check_task(signature, settings)
    context = current()
    job = Job(signature=signature, settings=settings, folder=_folder(context))
    if shards is not None:
        return _streamed(job, shards, transform, rule, context)
    check_rows(train, validation)
    if settings.loop is not None:
        return _by_own_loop(job, train, validation, context)
    if job.finished() is None:
        _run(job, train, validation, context)
    return _trained(job, _finished(job))


def _folder(context: StepContext) -> Path:
    """Where checkpoints lie: in the scratch folder of this step's key, to be found again."""
    if context.runtime == "plain":  # a plain call has no key, and its scratch folder is everyone's
        return Path(tempfile.mkdtemp(dir=context.scratch))
    return context.scratch / "checkpoints"


def _teller(job: "Job", train: Sequence[TensorFile], context: StepContext) -> Teller:
    rows = sum(file.rows for file in train)
    return Teller(context=context, rows=rows, epochs=job.settings.epochs)


def check_rows(train: Sequence[TensorFile], validation: Sequence[TensorFile]) -> None:
    """Raise StepFailed unless both splits have rows."""
    for name, files in (("train", train), ("validation", validation)):
        check_some(name, sum(file.rows for file in files), len(files))


def check_some(name: str, rows: int, shards: int) -> None:
    """Raise StepFailed for a split without rows."""
    if not rows:
        raise StepFailed(
            f"the {name} split has no rows (shards: {shards}); training needs some",
            hint="look at `data.split` (its shares, or its column), or import more data",
        )


def check_task(signature: Signature, settings: TrainingConfig) -> None:
    """Raise UsageError where the settings and the label disagree."""
    if settings.task != signature.label.task:
        raise UsageError(
            f"training.task is {settings.task!r}, but the label {signature.label.name!r} is "
            f"{signature.label.task}",
            hint=f"set training.task to {signature.label.task}",
        )


def _run(
    job: "Job", train: Sequence[TensorFile], validation: Sequence[TensorFile], context: StepContext
) -> None:
    context.progress(0, job.settings.epochs, "reading rows")
    if context.runtime == "ray":
        from raypipe.model.build import build_module
        from raypipe.model.on_ray import Work, train_on_ray

        build_module(
            job.settings.model, job.signature
        )  # a fault of the model shows before Ray starts
        tell = _teller(job, train, context)
        work = Work(job=job, tell=tell, tell_batch=tell.batch, paths=context.paths)
        train_on_ray(work, train, validation, context.scratch)
        return
    _run_here(job, train, validation, context)


def _streamed(
    job: "Job", shards: Sequence[Shard], transform: Any, rule: Any, context: StepContext
) -> Trained:
    from raypipe.model.streaming.source import Source
    from raypipe.model.streaming.stream import stream_of

    context.progress(0, job.settings.epochs, "counting rows")
    source = Source(shards=tuple(shards), transform=transform, rule=rule, paths=context.paths)
    stream = stream_of(source)
    for name, rows in (("train", stream.rows), ("validation", stream.validation.rows)):
        check_some(name, rows, len(shards))
    tell = Teller(context=context, rows=stream.rows, epochs=job.settings.epochs)
    if job.finished() is None:
        if context.runtime == "ray":
            from raypipe.model.on_ray import Work, train_on_ray

            work = Work(
                job=job, tell=tell, tell_batch=tell.batch, paths=context.paths, stream=stream
            )
            train_on_ray(work, (), (), context.scratch)
        else:
            from raypipe.model.fit import fit

            check_alone(job)
            held = stream.validation_share(0, 1)
            fit(job, stream, held, on_epoch=tell, on_batch=tell.batch)
    return _trained(job, _finished(job))


def _finished(job: "Job") -> "TrainState":
    state = job.finished()
    if state is None:
        raise StepFailed(
            "training ended before its last epoch, and its last checkpoint is gone",
            hint="run again: it goes on from the checkpoint before",
        )
    return state


def _by_own_loop(
    job: "Job", train: Sequence[TensorFile], validation: Sequence[TensorFile], context: StepContext
) -> Trained:
    if context.runtime != "ray":
        raise UsageError(
            f"training.loop is {str(job.settings.loop)!r}, which Ray Train runs, but this run goes "
            "without Ray",
            hint="run with --runtime ray, or leave training.loop away",
        )
    from raypipe.model.build import build_module
    from raypipe.model.own_loop.on_ray import train_by_own_loop

    build_module(job.settings.model, job.signature)  # its weights must fit this one
    context.progress(0, job.settings.epochs, "reading rows")
    return train_by_own_loop(job, train, validation, context)


def _run_here(
    job: "Job", train: Sequence[TensorFile], validation: Sequence[TensorFile], context: StepContext
) -> None:
    from raypipe.model.fit import fit
    from raypipe.model.share import read_share

    check_alone(job)
    tell = _teller(job, train, context)
    fit(
        job,
        read_share(train, job.signature),
        read_share(validation, job.signature),
        on_epoch=tell,
        on_batch=tell.batch,
    )


def check_alone(job: "Job") -> None:
    """Raise UsageError where several workers are asked for, but there is only this process."""
    if (fewest := job.settings.workers.fewest) > 1:
        raise UsageError(
            f"training.workers.{'min' if job.settings.workers.elastic else 'count'} is {fewest}, "
            "but without Ray there is one worker, this process",
            hint="run with --runtime ray, or set training.workers.count to 1",
        )


def _trained(job: "Job", state: "TrainState") -> Trained:
    rows = {int(row["epoch"]): row for row in state.history}
    kept = tuple(
        Checkpoint(epoch=epoch, metrics=_of_validation(rows[epoch]), weights=weights)
        for epoch, weights in job.checkpoints.best(state.history)
    )
    return Trained(checkpoints=kept, history=state.history, candidate=kept[0])


def _of_validation(row: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in row.items() if name not in {"epoch", "train_loss"}}
