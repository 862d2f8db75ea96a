"""The workers that train together, as the loop sees them: one alone, or a group of torch's."""

from typing import Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


class World(Protocol):
    """Which worker this is, and what all of them do together."""

    @property
    def rank(self) -> int: ...
    @property
    def size(self) -> int: ...
    def wrap(self, module: nn.Module) -> nn.Module:
        """Return a module whose gradients are the mean over the workers."""
        ...

    def gather(self, rows: Tensor) -> Tensor:
        """Return the rows of all workers, by rank; each may have another number of them."""
        ...


class Alone:
    """One worker."""

    rank = 0
    size = 1

    def wrap(self, module: nn.Module) -> nn.Module:
        """Return the module as it is."""
        return module

    def gather(self, rows: Tensor) -> Tensor:
        """Return the rows as they are."""
        return rows


class Distributed:
    """A worker in torch's default process group, which whoever starts the workers has made."""

    def __init__(self) -> None:
        self.rank = dist.get_rank()
        self.size = dist.get_world_size()

    def wrap(self, module: nn.Module) -> nn.Module:
        """Return the module in DistributedDataParallel."""
        return DistributedDataParallel(module)

    def gather(self, rows: Tensor) -> Tensor:
        """Return the rows of all workers, by rank: padded to the longest, gathered, cut again."""
        counts = [torch.zeros(1, dtype=torch.int64, device=rows.device) for _ in range(self.size)]
        dist.all_gather(counts, counts[0].new_tensor([len(rows)]))
        sizes = [int(count) for count in counts]
        padded = rows.new_zeros((max(sizes), *rows.shape[1:]))
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])
