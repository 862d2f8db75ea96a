"""The training loop: one plain function, without Ray, files or clocks in it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from raypipe.config.training import TrainingConfig
from raypipe.errors import RaypipeError, StepFailed
from raypipe.model.extra_metrics import extra_metrics_of
from raypipe.model.failures import Place, as_failure
from raypipe.model.feed import Feed, generator
from raypipe.model.losses import loss_of
from raypipe.model.metrics import metrics_of
from raypipe.model.schedule import is_over
from raypipe.model.share import Share
from raypipe.model.state import TrainState, Within, random_state, set_random_state
from raypipe.model.stepping import Stepper
from raypipe.model.tasks import scores
from raypipe.model.world import Alone, World

CHECK_EVERY = 64
"""Batches between looks at whether the loss is still a number: each look waits for the device."""
EVALUATION_ROWS = 8192
"""Rows that are evaluated at once."""


Enough = Callable[[tuple[dict[str, float], ...]], bool]
"""Says by the rows so far, one an epoch, whether training ends before its time."""


@dataclass(frozen=True, kw_only=True)
class EpochEnd:
    """An epoch is done."""

    epochs: int
    """Most epochs of this training."""
    state: TrainState
    """Live tensors, good until the callback returns."""

    @property
    def epoch(self) -> int:
        """The epoch, counted from 1."""
        return self.state.epoch

    @property
    def metrics(self) -> dict[str, float]:
        """The epoch's row of the history, without the epoch."""
        return {name: value for name, value in self.state.history[-1].items() if name != "epoch"}


class Watcher(Protocol):
    """What is told of each step within an epoch, and may ask for the state."""

    def wants_state(self, epoch: int, batches: int, of: int) -> bool:
        """Take note that so many batches of an epoch are done; say whether to give the state."""
        ...

    def take(self, state: TrainState) -> None:
        """Take the state: live tensors, good until this returns."""
        ...


class Unwatched:
    """Nobody looks on."""

    def wants_state(self, epoch: int, batches: int, of: int) -> bool:
        """Never ask for the state."""
        return False

    def take(self, state: TrainState) -> None:
        """Leave it."""


def train_loop(
    module: nn.Module,
    feed: Feed,
    validation: Share,
    settings: TrainingConfig,
    *,
    resume: TrainState | None = None,
    on_epoch: Callable[[EpochEnd], None] = lambda end: None,
    watcher: Watcher | None = None,
    world: World | None = None,
    weigh: Callable[[Tensor], Tensor] | None = None,
    own: Callable[[NDArray[Any]], NDArray[Any]] = lambda numbers: numbers,
    enough: Enough = lambda history: False,
) -> tuple[dict[str, float], ...]:
    """Train `module` in place on the device it is on, and return one row an epoch.

    `weigh` says what rows count by their labels; None: each 1. `own` turns labels, as the module
    learns them, and its scores into those that metrics are told of. `enough` is asked after each
    epoch whether training ends; of several workers each asks it, of the same rows.
    """
    world = world or Alone()
    training = _Training(module, feed, validation, settings, world, weigh)
    training.own = own
    training.watcher = watcher or Unwatched()
    history: tuple[dict[str, float], ...] = ()
    within = None
    if resume:
        training.restore(resume)
        history, within = resume.history, resume.within
    with torch.random.fork_rng(devices=_devices(module)):
        while not (
            is_over(history, epochs=settings.epochs, patience=settings.patience) or enough(history)
        ):
            history = (*history, training.epoch(history, within))
            within = None
            on_epoch(EpochEnd(epochs=settings.epochs, state=training.state(history)))
    return history


class _Training:
    """What stays the same from epoch to epoch."""

    watcher: Watcher
    own: Callable[[NDArray[Any]], NDArray[Any]]

    def __init__(
        self,
        module: nn.Module,
        feed: Feed,
        validation: Share,
        settings: TrainingConfig,
        world: World,
        weigh: Callable[[Tensor], Tensor] | None,
    ) -> None:
        self.module = module
        self.feed = feed
        self.validation = validation
        self.settings = settings
        self.world = world
        self.loss = loss_of(settings)
        self.device = validation.label.device
        self.stepper = Stepper(module, settings, self.loss, world, weigh, self.device)

    def restore(self, state: TrainState) -> None:
        self.stepper.restore(state.weights, state.optimizer)

    def state(self, history: tuple[dict[str, float], ...]) -> TrainState:
        weights, optimizer = self.stepper.state()
        return TrainState(epoch=len(history), history=history, weights=weights, optimizer=optimizer)

    def epoch(
        self, history: tuple[dict[str, float], ...], within: Within | None
    ) -> dict[str, float]:
        epoch = len(history) + 1
        sums = torch.zeros(self.feed.batches, device=self.device)
        begin = 0
        if within is None:
            seed = generator(self.settings.seed, epoch, self.world.rank).integers(2**63)
            torch.manual_seed(int(seed))
        else:
            begin = within.batches
            sums[:begin] = within.losses[self.world.rank].to(self.device)
            set_random_state(within.random[self.world.rank], self.device)
        train_loss = self._train(history, sums, begin)
        return {"epoch": float(epoch), "train_loss": train_loss, **self._evaluate(epoch)}

    def _train(self, history: tuple[dict[str, float], ...], sums: Tensor, begin: int) -> float:
        epoch, batches = len(history) + 1, self.feed.batches
        steps = math.ceil(batches / self.settings.accumulate)
        self.stepper.module.train()
        for number, batch in enumerate(self.feed.epoch(epoch, begin), begin):
            step = (epoch - 1) * steps + number // self.settings.accumulate
            try:
                sums[number] = self.stepper.take(batch, step, steps)
            except RaypipeError:
                raise
            except Exception as error:
                at = self._place(epoch, number)
                raise as_failure(error, at, in_words(batch.tensors)) from error
            if (number + 1) % CHECK_EVERY == 0:
                self._check(sums, epoch)
            if (
                batch.last
                and self.watcher.wants_state(epoch, number + 1, batches)
                and number + 1 < batches
            ):
                self._check(sums, epoch)
                self.watcher.take(self._within(history, sums[: number + 1]))
        self._check(sums, epoch)
        return float(self.world.gather(sums.double().sum()[None]).sum()) / self.feed.rows

    def _within(self, history: tuple[dict[str, float], ...], losses: Tensor) -> TrainState:
        within = Within(
            batches=len(losses),
            of=self.feed.batches,
            losses=self.world.gather(losses[None]).cpu(),
            random=self.world.gather(random_state(self.device)[None].to(self.device)).cpu(),
        )
        return replace(self.state(history), within=within)

    def _place(self, epoch: int, number: int, rank: int | None = None) -> Place:
        return Place(
            epoch=epoch,
            batch=number + 1,
            batches=self.feed.batches,
            rank=self.world.rank if rank is None else rank,
            workers=self.world.size,
        )

    def _check(self, sums: Tensor, epoch: int) -> None:
        """Raise StepFailed if a worker's loss is no number: on all of them, of who was first.

        A step later all have its gradients, so that each would speak of itself.
        """
        bad = (~torch.isfinite(sums)).nonzero()[:1]
        mine = bad[0] if len(bad) else bad.new_tensor([len(sums)])
        firsts = self.world.gather(mine).tolist()
        if min(firsts) == len(sums):
            return
        number = min(firsts)
        rank = firsts.index(number)
        loss = self.world.gather(sums[number][None])[rank]
        raise StepFailed(
            f"the loss is {float(loss):g} at {self._place(epoch, number, rank)}",
            kind="NotANumber",
            hint=_why_not_finite(self._culprits(self.feed.not_finite())),
        )

    def _culprits(self, own: list[str]) -> list[str]:
        """Return what the first worker found that found something."""
        letters = torch.tensor(list("\n".join(own).encode()), dtype=torch.uint8)
        sizes = self.world.gather(torch.tensor([len(letters)], device=self.device)).tolist()
        told = bytes(self.world.gather(letters.to(self.device)).tolist())
        first = next((size for size in sizes if size), 0)
        return told[:first].decode().split("\n") if first else []

    def _evaluate(self, epoch: int) -> dict[str, float]:
        """Measure the workers' parts together: all get the same numbers, so all decide alike."""
        logits = self.world.gather(self._logits(epoch))
        label = self.world.gather(self.validation.label)
        loss = float(self.loss(logits, label).double().mean())
        if not math.isfinite(loss):
            raise StepFailed(
                f"the validation loss is {loss:g} after epoch {epoch}",
                kind="NotANumber",
                hint=_why_not_finite(self._culprits(self.validation.not_finite())),
            )
        task = self.settings.task
        found, truth = self._own(scores(task, logits)), self._own(label)
        measured = metrics_of(task, found.numpy(), truth.numpy())
        extra = extra_metrics_of(self.settings.metrics, task, found, truth)
        return {"loss": loss, **measured, **extra}

    def _own(self, numbers: Tensor) -> Tensor:
        return torch.from_numpy(self.own(numbers.cpu().numpy()))

    def _logits(self, epoch: int) -> Tensor:
        """Return the logits of the validation share, in float32, as the model will answer."""
        self.module.eval()
        rows = self.validation.rows
        parts = self.world.most(math.ceil(max(rows, 1) / EVALUATION_ROWS))
        found = []
        with self.world.evaluating():
            for part in range(parts):
                given = self._rows(part * EVALUATION_ROWS, (part + 1) * EVALUATION_ROWS)
                try:
                    found.append(self.module(given))
                except Exception as error:
                    at = replace(self._place(epoch, part), batches=parts, what="validation batch")
                    raise as_failure(error, at, in_words(given)) from error
        return torch.cat(found)[:rows]

    def _rows(self, start: int, stop: int) -> dict[str, Tensor]:
        """Rows of the validation share; one of zeros if there are none, as a model may need one."""
        tensors = self.validation.tensors
        if start >= self.validation.rows:
            return {name: t.new_zeros((1, *t.shape[1:])) for name, t in tensors.items()}
        return {name: t[start:stop] for name, t in tensors.items()}


def in_words(tensors: dict[str, Tensor]) -> str:
    """Return what a batch is, for a person: its rows, and the shape of each tensor."""
    shapes = ", ".join(
        f"{name} {str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}"
        for name, tensor in tensors.items()
    )
    return f"{max(map(len, tensors.values()), default=0)} rows: {shapes}"


def _why_not_finite(culprits: list[str]) -> str:
    if culprits:
        named = ", ".join(culprits[:5])
        return f"these inputs are not finite: {named}; mend them in the recipe or the data"
    return (
        "all inputs are finite; lower training.learning_rate, or look for a log, a root or a "
        "division in the model"
    )


def _devices(module: nn.Module) -> list[int]:
    devices = {p.device for p in module.parameters() if p.device.type == "cuda"}
    return sorted(device.index or 0 for device in devices)
