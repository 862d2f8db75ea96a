"""One worker's training from end to end: build, take up where it stopped, train, keep, report."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from raypipe.config.training import TrainingConfig
from raypipe.errors import StepFailed
from raypipe.model.build import build_module
from raypipe.model.checkpoint import Checkpoints
from raypipe.model.feed import TensorFeed
from raypipe.model.loop import EpochEnd, TrainState, train_loop
from raypipe.model.schedule import is_over
from raypipe.model.share import Share
from raypipe.model.world import Alone, World
from raypipe.values.signature import Signature


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be trained, and where its checkpoints lie."""

    signature: Signature
    settings: TrainingConfig
    folder: Path
    """Checkpoints: survives a kill, and is seen by every worker."""

    @property
    def checkpoints(self) -> Checkpoints:
        """The checkpoints of this training."""
        return Checkpoints(folder=self.folder, keep=self.settings.keep)

    def finished(self) -> TrainState | None:
        """Return the last state if nothing is left to train."""
        state = self.checkpoints.latest()
        settings = self.settings
        if state and is_over(state.history, epochs=settings.epochs, patience=settings.patience):
            return state
        return None


def fit(
    job: Job,
    train: Share,
    validation: Share,
    *,
    on_epoch: Callable[[EpochEnd], None] = lambda end: None,
    world: World | None = None,
    device: torch.device | None = None,
) -> None:
    """Train to the end; the result is what the checkpoints hold. Only rank 0 writes and reports."""
    world = world or Alone()
    device = device or torch.device("cpu")
    feed = _feed(job.settings, job.signature, train.to(device), world)
    with _threads(job.settings.workers.cpus):
        module = build_module(job.settings.model, job.signature, seed=job.settings.seed).to(device)
        train_loop(
            module,
            feed,
            validation.to(device),
            job.settings,
            resume=job.checkpoints.latest(),
            on_epoch=_on_epoch(job.checkpoints, on_epoch, world),
            world=world,
        )


def measure(
    settings: TrainingConfig,
    signature: Signature,
    train: Share,
    validation: Share,
    *,
    on_epoch: Callable[[EpochEnd], None] = lambda end: None,
    device: torch.device | None = None,
) -> tuple[dict[str, float], ...]:
    """Train alone, to see what settings come to: one row an epoch, and no checkpoint is kept."""
    device = device or torch.device("cpu")
    feed = _feed(settings, signature, train.to(device), Alone())
    with _threads(settings.workers.cpus):
        module = build_module(settings.model, signature, seed=settings.seed).to(device)
        return train_loop(module, feed, validation.to(device), settings, on_epoch=on_epoch)


@contextmanager
def _threads(cpus: float) -> Iterator[None]:
    """Compute on as many threads as the worker has CPUs; the weights' last bits depend on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, int(cpus)))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _feed(settings: TrainingConfig, signature: Signature, train: Share, world: World) -> TensorFeed:
    sizes = world.gather(train.label.new_tensor([train.rows], dtype=torch.int64))
    check_labels(world.gather(train.label), signature)
    return TensorFeed(
        share=train,
        batch_size=settings.batch_size,
        seed=settings.seed,
        rank=world.rank,
        shares=tuple(sizes.tolist()),
    )


def check_labels(label: torch.Tensor, signature: Signature) -> None:
    """Raise StepFailed unless there is something to learn from these labels of the train split."""
    name = signature.label.name
    if not len(label):
        raise StepFailed(
            "the train split has no rows; there is nothing to train on",
            hint="look at `data.split`, or at what validation let through",
        )
    if signature.label.task == "regression":
        return
    found = torch.unique(label)
    if len(found) < 2:
        raise StepFailed(
            f"label {name!r} has one value in the train split ({int(found[0])}, in all "
            f"{len(label):,} rows); there is nothing to tell apart",
            hint="look at the label, and at `data.split`: a split by time or group may cut it off",
        )
    allowed = max(2, len(signature.label.classes))
    if int(found.min()) < 0 or int(found.max()) >= allowed:
        raise StepFailed(
            f"label {name!r} goes from {int(found.min())} to {int(found.max())}; the signature has "
            f"{allowed} classes, counted from 0"
        )


def _on_epoch(
    checkpoints: Checkpoints, tell: Callable[[EpochEnd], None], world: World
) -> Callable[[EpochEnd], None]:
    """Keep the epoch, then tell of it; the other workers, which hold the same state, do neither."""

    def keep_then_tell(end: EpochEnd) -> None:
        if world.rank == 0:
            checkpoints.save(end.state)
            tell(end)

    return keep_then_tell
