"""The training loop: one plain function, without Ray, files or clocks in it."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from raypipe.config.training import TrainingConfig
from raypipe.errors import StepFailed
from raypipe.model import optimizer as optimizers
from raypipe.model.feed import Batch, TensorFeed, generator
from raypipe.model.metrics import metrics_of
from raypipe.model.schedule import is_over, learning_rate
from raypipe.model.share import Share
from raypipe.model.tasks import row_losses, scores
from raypipe.model.world import Alone, World

CHECK_EVERY = 64
"""Steps between looks at whether the loss is still a number: each look waits for the device."""
EVALUATION_ROWS = 8192
"""Rows that are evaluated at once."""
GRADIENT_NORM = 1.0
"""Largest norm of the gradient of a step; longer ones are shortened to it."""


@dataclass(frozen=True, kw_only=True)
class TrainState:
    """All that training needs to go on after an epoch as if it had never stopped.

    There is no random state in it: each epoch seeds itself by (seed, epoch, rank).
    """

    epoch: int
    """The last one that is done; counted from 1."""
    history: tuple[dict[str, float], ...]
    """One row an epoch: epoch, train_loss, loss and the metrics of the validation split."""
    weights: dict[str, Tensor]
    """The module's state."""
    optimizer: dict[str, Tensor]
    """The optimizer's tensors, by `key/parameter`."""


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


def train_loop(
    module: nn.Module,
    feed: TensorFeed,
    validation: Share,
    settings: TrainingConfig,
    *,
    resume: TrainState | None = None,
    on_epoch: Callable[[EpochEnd], None] = lambda end: None,
    world: World | None = None,
) -> tuple[dict[str, float], ...]:
    """Train `module` in place on the device it is on, and return one row an epoch."""
    world = world or Alone()
    training = _Training(module, feed, validation, settings, world)
    history = training.restore(resume) if resume else ()
    with torch.random.fork_rng(devices=_devices(module)):
        while not is_over(history, epochs=settings.epochs, patience=settings.patience):
            history = (*history, training.epoch(len(history) + 1))
            state = training.state(history)
            on_epoch(EpochEnd(epochs=settings.epochs, state=state))
    return history


class _Training:
    """What stays the same from epoch to epoch."""

    def __init__(
        self,
        module: nn.Module,
        feed: TensorFeed,
        validation: Share,
        settings: TrainingConfig,
        world: World,
    ) -> None:
        self.module = module
        self.wrapped = world.wrap(module)
        self.feed = feed
        self.validation = validation
        self.settings = settings
        self.world = world
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        self.optimizer = optimizers.adamw(module, settings.learning_rate, settings.weight_decay)

    def restore(self, state: TrainState) -> tuple[dict[str, float], ...]:
        self.module.load_state_dict(state.weights)
        optimizers.load(self.optimizer, self.module, state.optimizer)
        return state.history

    def state(self, history: tuple[dict[str, float], ...]) -> TrainState:
        return TrainState(
            epoch=len(history),
            history=history,
            weights=self.module.state_dict(),
            optimizer=optimizers.tensors_of(self.optimizer, self.module),
        )

    def epoch(self, epoch: int) -> dict[str, float]:
        torch.manual_seed(
            int(generator(self.settings.seed, epoch, self.world.rank).integers(2**63))
        )
        train_loss = self._train(epoch)
        return {"epoch": float(epoch), "train_loss": train_loss, **self._evaluate(epoch)}

    def _train(self, epoch: int) -> float:
        self.wrapped.train()
        sums = torch.zeros(self.feed.steps, device=self.validation.label.device)
        for step, batch in enumerate(self.feed.epoch(epoch)):
            sums[step] = self._step(batch, (epoch - 1) * self.feed.steps + step)
            if (step + 1) % CHECK_EVERY == 0:
                self._check(sums, epoch)
        self._check(sums, epoch)
        return float(self.world.gather(sums.double().sum()[None]).sum()) / self.feed.rows

    def _step(self, batch: Batch, step: int) -> Tensor:
        rate = learning_rate(
            self.settings.learning_rate, step, self.settings.epochs * self.feed.steps
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        losses = self._losses(self.wrapped(batch.tensors), batch)
        total = losses.sum()
        (total / batch.divisor).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.parameters, GRADIENT_NORM)
        self.optimizer.step()
        return total.detach()

    def _losses(self, logits: Tensor, batch: Batch) -> Tensor:
        losses = row_losses(self.settings.task, logits, batch.label)
        return losses if batch.weight is None else losses * batch.weight

    def _check(self, sums: Tensor, epoch: int) -> None:
        finite = torch.isfinite(sums)
        if bool(finite.all()):
            return
        step = int((~finite).nonzero()[0])
        raise not_a_number(float(sums[step]), epoch, step + 1, self.feed, self.world)

    def _evaluate(self, epoch: int) -> dict[str, float]:
        """Measure the workers' parts together: all get the same numbers, so all decide alike."""
        logits = self.world.gather(self._logits())
        label = self.world.gather(self.validation.label)
        losses = row_losses(self.settings.task, logits, label)
        loss = float(losses.double().mean())
        if not math.isfinite(loss):
            raise StepFailed(
                f"the validation loss is {loss:g} after epoch {epoch}",
                kind="NotANumber",
                hint=_why_not_finite(self.validation),
            )
        found = scores(self.settings.task, logits).cpu().numpy()
        return {"loss": loss, **metrics_of(self.settings.task, found, label.cpu().numpy())}

    def _logits(self) -> Tensor:
        self.module.eval()
        padded = max(self.validation.rows, 1)
        with torch.inference_mode():
            parts = [
                self.module(self._rows(start, start + EVALUATION_ROWS))
                for start in range(0, padded, EVALUATION_ROWS)
            ]
        return torch.cat(parts)[: self.validation.rows]

    def _rows(self, start: int, stop: int) -> dict[str, Tensor]:
        """Rows of the validation share; one of zeros if it has none, since a model may need one."""
        tensors = self.validation.tensors
        if not self.validation.rows:
            return {name: t.new_zeros((1, *t.shape[1:])) for name, t in tensors.items()}
        return {name: t[start:stop] for name, t in tensors.items()}


def not_a_number(loss: float, epoch: int, batch: int, feed: TensorFeed, world: World) -> StepFailed:
    """Return the error for a loss that is not finite: where it was seen, and what may be why."""
    worker = f" on worker {world.rank} of {world.size}" if world.size > 1 else ""
    return StepFailed(
        f"the loss is {loss:g} at epoch {epoch}, batch {batch} of {feed.steps}{worker}",
        kind="NotANumber",
        hint=_why_not_finite(feed.share),
    )


def _why_not_finite(share: Share) -> str:
    if culprits := share.not_finite():
        named = ", ".join(culprits[:5])
        return f"these inputs are not finite: {named}; mend them in the recipe or the data"
    return (
        "all inputs are finite; lower training.learning_rate, or look for a log, a root or a "
        "division in the model"
    )


def _devices(module: nn.Module) -> list[int]:
    devices = {p.device for p in module.parameters() if p.device.type == "cuda"}
    return sorted(device.index or 0 for device in devices)
