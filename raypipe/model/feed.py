"""What feeds the loop: each epoch every row once, in a seeded order, in even batches."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from raypipe.model.bounds import bounds_of
from raypipe.model.share import Share

AHEAD = 2**27
"""Bytes of rows that are taken out of a share at once, on a GPU."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Rows of one worker for one step of training."""

    tensors: dict[str, Tensor]
    label: Tensor
    weight: Tensor | None
    """Weight of each row; None where all count 1. A padding row counts 0."""
    divisor: float
    """What the sum of row losses is divided by, so that the mean of the workers' gradients is
    the mean over all rows of the step: rows of the step on all workers / workers."""
    last: bool = True
    """Whether the step ends with it; else its gradients are added to those of the next."""


class Feed(Protocol):
    """Hands out rows in batches; every worker makes the same number of steps."""

    @property
    def rows(self) -> int:
        """Rows of all workers."""
        ...

    @property
    def batches(self) -> int:
        """Batches of an epoch: as many on every worker."""
        ...

    def epoch(self, epoch: int, begin: int = 0) -> Iterator[Batch]:
        """Hand out the rows of an epoch, which counts from 1, from a batch on."""
        ...

    def not_finite(self) -> list[str]:
        """Return what holds NaN or infinities among the rows."""
        ...


@dataclass(frozen=True, kw_only=True)
class TensorFeed:
    """A share in memory, handed out in batches; every worker makes the same number of steps.

    Batches of one epoch differ by at most a row: no tiny last batch, which would upset batch
    normalisation and weigh its few rows too much.
    """

    share: Share
    batch_size: int
    """Most rows in a batch."""
    seed: int = 0
    rank: int = 0
    shares: tuple[int, ...] = ()
    """Rows of every worker's share, by rank; empty: this is the only worker."""
    accumulate: int = 1
    """Batches that make one step."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Rows of every worker's share, by rank."""
        return self.shares or (self.share.rows,)

    @property
    def rows(self) -> int:
        """Rows of all workers."""
        return sum(self.sizes)

    @property
    def batches(self) -> int:
        """Batches of an epoch: as many on every worker."""
        return max(math.ceil(size / self.batch_size) for size in self.sizes)

    def epoch(self, epoch: int, begin: int = 0) -> Iterator[Batch]:
        """Hand out the rows of an epoch, which counts from 1, from a batch on, which counts from 0.

        That batch is the first of a step.
        """
        order, batches = self._order(epoch), self.batches
        taken = self._taken_ahead(order) if order.is_cuda else self._taken(order)
        for first in range(begin, batches, self.accumulate):
            group = range(first, min(first + self.accumulate, batches))
            divisor = sum(self._divisor(number, batches) for number in group)
            for number in group:
                yield self._batch(taken(number), divisor, last=number == group[-1])

    def not_finite(self) -> list[str]:
        """Return what holds NaN or infinities among the rows."""
        return self.share.not_finite()

    def _order(self, epoch: int) -> Tensor:
        order = generator(self.seed, epoch, self.rank).permutation(self.share.rows)
        return torch.from_numpy(order).to(self.share.label.device)

    def _divisor(self, number: int, batches: int) -> float:
        bounds = [bounds_of(size, number, batches) for size in self.sizes]
        return sum(stop - start for start, stop in bounds) / len(self.sizes)

    def _taken(self, order: Tensor) -> Callable[[int], Share]:
        """Return what takes the rows of a batch out of the share."""

        def taken(number: int) -> Share:
            start, stop = bounds_of(self.share.rows, number, self.batches)
            return self.share.at(order[start:stop])

        return taken

    def _taken_ahead(self, order: Tensor) -> Callable[[int], Share]:
        """Take the rows of many batches at once: on a GPU each call costs what many rows do."""
        rows, batches = self.share.rows, self.batches
        width = sum(t[:1].numel() * t.element_size() for t in self.share.tensors.values())
        many = max(1, int(AHEAD / max(1, width * self.batch_size)))
        held: dict[int, Share] = {}

        def taken(number: int) -> Share:
            block = number // many
            first, _ = bounds_of(rows, block * many, batches)
            if block not in held:
                _, last = bounds_of(rows, min((block + 1) * many, batches) - 1, batches)
                held.clear()
                held[block] = self.share.at(order[first:last])
            start, stop = bounds_of(rows, number, batches)
            return held[block].at(slice(start - first, stop - first))

        return taken

    def _batch(self, rows: Share, divisor: float, last: bool) -> Batch:
        if not rows.rows:
            return padding(self.share, divisor, last)
        return Batch(
            tensors=rows.tensors,
            label=rows.label,
            weight=rows.weight,
            divisor=divisor,
            last=last,
        )


def padding(like: Share, divisor: float, last: bool = True) -> Batch:
    """Two rows that count nothing: a worker without rows still takes its part in the step."""
    label = like.label
    return Batch(
        tensors={
            name: tensor.new_zeros((2, *tensor.shape[1:])) for name, tensor in like.tensors.items()
        },
        label=label.new_zeros((2, *label.shape[1:])),
        weight=torch.zeros(2, device=label.device),
        divisor=divisor,
        last=last,
    )


def generator(*parts: int) -> np.random.Generator:
    """Return a generator that these numbers seed: as seed, epoch and rank."""
    return np.random.default_rng([part % 2**64 for part in parts])
