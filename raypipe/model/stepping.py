"""One step of training: forward, backward, clip, and the optimizer's turn."""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from raypipe.config.training import TrainingConfig
from raypipe.model import optimizer as optimizers
from raypipe.model.feed import Batch
from raypipe.model.losses import Loss
from raypipe.model.schedule import rate_at
from raypipe.model.world import World


class Stepper:
    """A module with its optimizer, on one worker of a world."""

    def __init__(
        self,
        module: nn.Module,
        settings: TrainingConfig,
        loss: Loss,
        world: World,
        weigh: Callable[[Tensor], Tensor] | None,
        device: torch.device,
    ) -> None:
        self.plain = module
        self.settings = settings
        self.world = world
        self._loss = loss
        self._weigh = weigh
        self._shared = world.wrap(module)
        self.module = cast(
            nn.Module, torch.compile(self._shared) if settings.compile else self._shared
        )
        self._parameters = [p for p in module.parameters() if p.requires_grad]
        self.optimizer = optimizers.optimizer_of(module, settings, fused=not world.sharded)
        self._device = device.type
        self._begun = False

    def take(self, batch: Batch, step: int, steps: int) -> Tensor:
        """Take a batch, and the step that it may end; return the sum of its losses.

        `step` is counted from 0 over all epochs, of so many `steps` each.
        """
        if not self._begun:
            self._begin(step, steps)
        if batch.last:
            total = self._backward(batch)
            self._end()
        else:
            with self.world.alone(self._shared):
                total = self._backward(batch)
        return total

    def _begin(self, step: int, steps: int) -> None:
        told = self.settings
        rate = rate_at(told.schedule, told.learning_rate, step, epochs=told.epochs, steps=steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        self._begun = True

    def _backward(self, batch: Batch) -> Tensor:
        total = self._losses(self._logits(batch), batch).sum()
        (total / batch.divisor).backward()  # type: ignore[no-untyped-call]
        return total.detach()

    def _logits(self, batch: Batch) -> Tensor:
        if self.settings.precision == "float32":
            return cast(Tensor, self.module(batch.tensors))
        with torch.autocast(self._device, dtype=torch.bfloat16):
            return cast(Tensor, self.module(batch.tensors)).float()

    def _losses(self, logits: Tensor, batch: Batch) -> Tensor:
        losses = self._loss(logits, batch.label)
        if self._weigh is not None:
            losses = losses * self._weigh(batch.label)
        return losses if batch.weight is None else losses * batch.weight

    def _end(self) -> None:
        if (longest := self.settings.clip_norm) is not None:
            nn.utils.clip_grad_norm_(self._parameters, longest)
        self.optimizer.step()
        self._begun = False

    def state(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the weights, and the optimizer's tensors; whole ones, however they are sharded."""
        weights, optimizer = (
            self.plain.state_dict(),
            optimizers.tensors_of(self.optimizer, self.plain),
        )
        if not self.world.sharded:
            return weights, optimizer
        whole = self.world.whole
        return {k: whole(v) for k, v in weights.items()}, {
            k: whole(v) for k, v in optimizer.items()
        }

    def restore(self, weights: dict[str, Tensor], optimizer: dict[str, Tensor]) -> None:
        """Take what `state` returned."""
        if self.world.sharded:
            like = self.plain.state_dict()
            weights = {name: self.world.part(t, like[name]) for name, t in weights.items()}
            of = dict(self.plain.named_parameters())
            optimizer = {
                key: self.world.part(t, of[key.partition("/")[2]]) for key, t in optimizer.items()
            }
        self.plain.load_state_dict(weights)
        optimizers.load(self.optimizer, self.plain, optimizer)
