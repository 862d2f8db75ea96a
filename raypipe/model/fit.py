"""One worker's training from end to end: build, take up where it stopped, train, keep, report."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from raypipe.config.training import TrainingConfig
from raypipe.errors import StepFailed
from raypipe.model.build import build_module
from raypipe.model.checkpoint import Checkpoints
from raypipe.model.feed import Feed, TensorFeed
from raypipe.model.keeping import Keeper, Told
from raypipe.model.loop import EpochEnd, train_loop
from raypipe.model.losses import weight_of_classes
from raypipe.model.schedule import is_over
from raypipe.model.share import Share
from raypipe.model.state import TrainState
from raypipe.model.weights import begin_with
from raypipe.model.world import Alone, World
from raypipe.values.signature import Signature
from raypipe.values.transform.scaling import unscaled


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


class Streamed(Protocol):
    """Rows of the train split that are read while training goes on."""

    @property
    def labels(self) -> torch.Tensor:
        """Each label that there is among the rows of all workers, once."""
        ...

    @property
    def rows(self) -> int:
        """Rows of all workers."""
        ...

    def feed(self, settings: TrainingConfig, world: World, device: torch.device) -> Feed:
        """Return what hands out this worker's part."""
        ...


def fit(
    job: Job,
    train: "Share | Streamed",
    validation: Share,
    *,
    on_epoch: Callable[[EpochEnd], None] = lambda end: None,
    on_batch: Told = lambda epoch, batches, of: None,
    world: World | None = None,
    device: torch.device | None = None,
) -> None:
    """Train to the end; the result is what the checkpoints hold. Only rank 0 writes and reports."""
    world = world or Alone()
    device = device or torch.device("cpu")
    keeper = Keeper(job.checkpoints, job.settings, world, device, on_batch)
    resume = job.checkpoints.latest(workers=world.size)
    world.gather(torch.zeros(1, device=device))  # once all have read it
    if resume and world.rank == 0:
        job.checkpoints.tidy(resume)
    with keeper:
        _train(
            job.settings,
            job.signature,
            (train, validation),
            resume=resume,
            on_epoch=_on_epoch(job.checkpoints, on_epoch, keeper),
            watcher=keeper,
            world=world,
            device=device,
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
    shares = (train, validation)
    return _train(settings, signature, shares, on_epoch=on_epoch, device=device)


def _train(
    settings: TrainingConfig,
    signature: Signature,
    shares: tuple["Share | Streamed", Share],
    *,
    world: World | None = None,
    device: torch.device | None = None,
    **told: Any,
) -> tuple[dict[str, float], ...]:
    world = world or Alone()
    device = device or torch.device("cpu")
    given, validation = shares
    feed: Feed
    if isinstance(given, Share):
        train = given.to(device)
        label = world.gather(train.label)
        check_labels(label, signature)
        feed = _feed(settings, train, world)
    else:
        label = given.labels
        check_labels(label, signature, given.rows)
        feed = given.feed(settings, world, device)
    with _threads(settings.workers.cpus), deterministic(settings.deterministic):
        module = build_module(settings.model, signature, seed=settings.seed)
        if settings.pretrained is not None:
            begin_with(module, settings.pretrained)
        return train_loop(
            module.to(device),
            feed,
            validation.to(device),
            settings,
            world=world,
            own=lambda numbers: unscaled(numbers, signature.label),
            weigh=weight_of_classes(settings, signature.label, label),
            **told,
        )


@contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Let torch refuse, in the body, operations whose result differs from run to run."""
    before = torch.are_deterministic_algorithms_enabled()
    benchmark = torch.backends.cudnn.benchmark
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else cuBLAS refuses itself
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        if torch.are_deterministic_algorithms_enabled() != before:
            torch.use_deterministic_algorithms(before)  # imports torch's compiler: two seconds
        torch.backends.cudnn.benchmark = benchmark


@contextmanager
def _threads(cpus: float) -> Iterator[None]:
    """Compute on as many threads as the worker has CPUs; the weights' last bits depend on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, int(cpus)))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _feed(settings: TrainingConfig, train: Share, world: World) -> TensorFeed:
    sizes = world.gather(train.label.new_tensor([train.rows], dtype=torch.int64))
    return TensorFeed(
        share=train,
        batch_size=settings.batch_size,
        seed=settings.seed,
        rank=world.rank,
        shares=tuple(sizes.tolist()),
        accumulate=settings.accumulate,
    )


def check_labels(label: torch.Tensor, signature: Signature, rows: int | None = None) -> None:
    """Raise StepFailed unless there is something to learn from these labels of the train split.

    `rows` says how many rows they are of, where each is there but once.
    """
    name = signature.label.name
    rows = len(label) if rows is None else rows
    if not len(label):
        raise StepFailed(
            "the train split has no rows; there is nothing to train on",
            hint="look at `data.split`, or at what validation let through",
        )
    if signature.label.task == "regression":
        return
    if signature.label.task == "multilabel":
        _check_several(label, signature, rows)
        return
    found = torch.unique(label)
    if len(found) < 2:
        raise StepFailed(
            f"label {name!r} has one value in the train split ({int(found[0])}, in all "
            f"{rows:,} rows); there is nothing to tell apart",
            hint="look at the label, and at `data.split`: a split by time or group may cut it off",
        )
    allowed = max(2, len(signature.label.classes))
    if int(found.min()) < 0 or int(found.max()) >= allowed:
        raise StepFailed(
            f"label {name!r} goes from {int(found.min())} to {int(found.max())}; the signature has "
            f"{allowed} classes, counted from 0"
        )


def _check_several(label: torch.Tensor, signature: Signature, rows: int) -> None:
    """Raise StepFailed unless rows have a flag a label, and at least one label tells rows apart."""
    named = signature.label
    if label.dim() != 2 or label.shape[1] != named.outputs:
        raise StepFailed(
            f"label {named.name!r} has shape {list(label.shape)}; the signature has "
            f"{named.outputs} labels, so that [rows, {named.outputs}] is expected"
        )
    if bool((label == label[0]).all()):
        raise StepFailed(
            f"label {named.name!r} has the same labels in all {rows:,} rows of the train "
            "split; there is nothing to tell apart",
            hint="look at the label, and at `data.split`: a split by time or group may cut it off",
        )


def _on_epoch(
    checkpoints: Checkpoints, tell: Callable[[EpochEnd], None], keeper: Keeper
) -> Callable[[EpochEnd], None]:
    """Keep the epoch, then tell of it; the other workers, which hold the same state, do neither."""

    def keep_then_tell(end: EpochEnd) -> None:
        if keeper.world.rank == 0:
            keeper.wait()
            checkpoints.save(end.state)
            tell(end)

    return keep_then_tell
