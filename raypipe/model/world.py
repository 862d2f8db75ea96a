"""The workers that train together, as the loop sees them: one alone, or a group of torch's."""

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

LARGE = 2**20
"""Parameters from which on an entry of a list of modules is sharded by itself."""


class World(Protocol):
    """Which worker this is, and what all of them do together."""

    @property
    def rank(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def sharded(self) -> bool:
        """Whether each worker holds a part of every weight."""
        ...

    def wrap(self, module: nn.Module) -> nn.Module:
        """Return a module whose gradients are the mean over the workers."""
        ...

    def alone(self, wrapped: nn.Module) -> AbstractContextManager[None]:
        """Leave gradients on their worker in the body: a later batch of the step sends all."""
        ...

    def evaluating(self) -> AbstractContextManager[object]:
        """Record no gradients in the body."""
        ...

    def gather(self, rows: Tensor) -> Tensor:
        """Return the rows of all workers, by rank; each may have another number of them."""
        ...

    def most(self, count: int) -> int:
        """Return how often all workers call the module in evaluation, should they have to alike."""
        ...

    def whole(self, tensor: Tensor) -> Tensor:
        """Return a tensor of which this worker may hold a part."""
        ...

    def part(self, tensor: Tensor, like: Tensor) -> Tensor:
        """Return of a whole tensor what this worker holds of one like it."""
        ...


class Alone:
    """One worker."""

    rank = 0
    size = 1
    sharded = False

    def wrap(self, module: nn.Module) -> nn.Module:
        """Return the module as it is."""
        return module

    def alone(self, wrapped: nn.Module) -> AbstractContextManager[None]:
        """Do nothing: it is alone anyhow."""
        return nullcontext()

    def evaluating(self) -> AbstractContextManager[object]:
        """Record no gradients in the body."""
        return torch.inference_mode()

    def gather(self, rows: Tensor) -> Tensor:
        """Return the rows as they are."""
        return rows

    def most(self, count: int) -> int:
        """Return the count."""
        return count

    def whole(self, tensor: Tensor) -> Tensor:
        """Return the tensor."""
        return tensor

    def part(self, tensor: Tensor, like: Tensor) -> Tensor:
        """Return the tensor."""
        return tensor


class Distributed(Alone):
    """A worker in torch's default process group, which whoever starts the workers has made.

    Each holds all weights: DistributedDataParallel.
    """

    def __init__(self) -> None:
        self.rank = dist.get_rank()
        self.size = dist.get_world_size()

    def wrap(self, module: nn.Module) -> nn.Module:
        """Return the module in DistributedDataParallel."""
        return DistributedDataParallel(module)

    def alone(self, wrapped: nn.Module) -> AbstractContextManager[None]:
        """Leave gradients on their worker in the body."""
        return cast(AbstractContextManager[None], cast(DistributedDataParallel, wrapped).no_sync())

    def gather(self, rows: Tensor) -> Tensor:
        """Return the rows of all workers, by rank: padded to the longest, gathered, cut again."""
        counts = [torch.zeros(1, dtype=torch.int64, device=rows.device) for _ in range(self.size)]
        dist.all_gather(counts, torch.tensor([len(rows)], device=rows.device))
        sizes = [int(count) for count in counts]
        padded = rows.new_zeros((max(sizes), *rows.shape[1:]))
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])


class Sharded(Distributed):
    """A worker that holds a part of every weight: torch's fully_shard (FSDP2)."""

    sharded = True

    def wrap(self, module: nn.Module) -> nn.Module:
        """Shard the module in place: the large entries of its lists by themselves, then the rest.

        A module whose weights do not fit one worker holds its layers in a ModuleList or Sequential.
        """
        from torch.distributed.fsdp import fully_shard

        for layers in list(module.modules()):
            if isinstance(layers, nn.ModuleList | nn.Sequential):
                for layer in layers:
                    if sum(p.numel() for p in layer.parameters()) >= LARGE:
                        fully_shard(layer)
        return cast(nn.Module, fully_shard(module))

    def alone(self, wrapped: nn.Module) -> AbstractContextManager[None]:
        """Send gradients all the same: to hold them whole would need what sharding saves."""
        return nullcontext()

    def evaluating(self) -> AbstractContextManager[object]:
        """Record no gradients in the body; inference mode does not go with sharded weights."""
        return torch.no_grad()

    def most(self, count: int) -> int:
        """Return the largest count: each call gathers weights, for which all are needed."""
        device = torch.device("cuda", torch.cuda.current_device()) if _on_gpu() else None
        return int(self.gather(torch.tensor([count], device=device)).max())

    def whole(self, tensor: Tensor) -> Tensor:
        """Gather the parts."""
        from torch.distributed.tensor import DTensor

        return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor

    def part(self, tensor: Tensor, like: Tensor) -> Tensor:
        """Keep this worker's part of a tensor, where one like it is sharded."""
        from torch.distributed.tensor import DTensor, distribute_tensor

        if not isinstance(like, DTensor) or tensor.shape != like.shape:
            return tensor
        return distribute_tensor(
            tensor.to(like.device), like.device_mesh, like.placements, src_data_rank=None
        )


def _on_gpu() -> bool:
    return dist.get_backend() == "nccl"
