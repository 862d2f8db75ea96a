"""All that training needs to go on as if it had never stopped, and the randomness in it."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Within:
    """How far an epoch is that was not done yet."""

    batches: int
    """Batches that are done, all steps with them."""
    of: int
    """Batches of the epoch on each worker."""
    losses: Tensor
    """Sum of the losses of each batch that is done, [workers, batches], float32."""
    random: Tensor
    """State of the random numbers of each worker, [workers, bytes], uint8."""

    @property
    def workers(self) -> int:
        """Number of workers that were at it."""
        return len(self.losses)


@dataclass(frozen=True, kw_only=True)
class TrainState:
    """All that training needs to go on as if it had never stopped.

    After an epoch there is no random state in it: each epoch seeds itself by (seed, epoch, rank).
    """

    epoch: int
    """The last one that is done; counted from 1."""
    history: tuple[dict[str, float], ...]
    """One row an epoch: epoch, train_loss, loss and the metrics of the validation split."""
    weights: dict[str, Tensor]
    """The module's state."""
    optimizer: dict[str, Tensor]
    """The optimizer's tensors, by `key/parameter`."""
    within: Within | None = None
    """How far the next epoch is; None: it was not begun."""


def random_state(device: torch.device) -> Tensor:
    """Return the state of torch's random numbers, of a GPU too where the device is one."""
    here = torch.get_rng_state()
    if device.type != "cuda":
        return here
    return torch.cat([here, torch.cuda.get_rng_state(device)])


def set_random_state(state: Tensor, device: torch.device) -> None:
    """Set what `random_state` returned."""
    size = len(torch.get_rng_state())
    # torch 2.13 reads from where the storage begins, not the view: of rank 1, a SIGSEGV.
    torch.set_rng_state(state[:size].clone())
    if device.type == "cuda":
        torch.cuda.set_rng_state(state[size:].clone(), device)
