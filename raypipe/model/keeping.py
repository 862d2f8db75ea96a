"""Keeping states while training goes on: written by a thread, one at a time, whole or not."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

import torch

from raypipe.config.training import TrainingConfig
from raypipe.model.checkpoint import Checkpoints
from raypipe.model.state import TrainState
from raypipe.model.weights import own
from raypipe.model.world import World

Told = Callable[[int, int, int], None]
"""Takes the epoch, its batches that are done, and how many there are."""


@dataclass
class Keeper:
    """Says when a state within an epoch is due, and writes it beside the training.

    As a context it waits at the end for what is being written, and raises what went wrong there.
    Only rank 0 writes; the others hold the same state.
    """

    checkpoints: Checkpoints
    settings: TrainingConfig
    world: World
    device: torch.device
    tell: Told = lambda epoch, batches, of: None
    clock: Callable[[], float] = time.monotonic
    _last: float = 0.0
    _writer: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "checkpoint"))
    _writing: "Future[object] | None" = None

    def __enter__(self) -> Self:
        self._last = self.clock()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._writer.shutdown(wait=True)
        if kind is None:
            self.wait()

    def wants_state(self, epoch: int, batches: int, of: int) -> bool:
        """Say whether a state is due after so many batches; all workers say the same."""
        self.tell(epoch, batches, of)
        if self._is_round(batches) or self._is_time():
            self._last = self.clock()
            return True
        return False

    def _is_round(self, batches: int) -> bool:
        """Say whether the step that is done took the batches over a multiple."""
        every, step = self.settings.checkpoint.steps, self.settings.accumulate
        return every is not None and batches // every > max(0, batches - step) // every

    def _is_time(self) -> bool:
        """Go by the clock of rank 0: on others it would be another batch."""
        seconds = self.settings.checkpoint.seconds
        if seconds is None:
            return False
        due = self.clock() - self._last >= seconds
        return bool(self.world.gather(torch.tensor([due], device=self.device))[0])

    def take(self, state: TrainState) -> None:
        """Copy a state, and write it while training goes on; the one before is written first."""
        if self.world.rank:
            return
        self.wait()
        self._writing = self._writer.submit(self.checkpoints.save, copied(state))

    def wait(self) -> None:
        """Wait until nothing is being written; raise what went wrong."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()


def copied(state: TrainState) -> TrainState:
    """Return a state in memory of its own, which training does not change."""
    return replace(
        state,
        weights={name: own(tensor) for name, tensor in state.weights.items()},
        optimizer={name: own(tensor) for name, tensor in state.optimizer.items()},
    )
