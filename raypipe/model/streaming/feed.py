"""What feeds the loop from a stream: each epoch every row once, in a seeded order, even batches."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from raypipe.model.bounds import bounds_of
from raypipe.model.feed import Batch, generator, padding
from raypipe.model.share import Share
from raypipe.model.streaming.source import Arrays, Piece, share_of_arrays
from raypipe.values.signature import Signature

BUFFER = 131_072
"""Rows that are mixed among one another, at least; pieces come in another order each epoch."""
MOST = 1024
"""Pieces that are asked for at once, unless one epoch has more."""
Read = Callable[[Sequence[Piece]], Iterator[Arrays]]
"""Reads pieces in the order given."""


@dataclass(kw_only=True)
class StreamFeed:
    """Rows that are read anew each epoch; every worker makes the same number of steps.

    Rows are mixed within buffers of some pieces, whose order is another one each epoch.
    """

    pieces: tuple[Piece, ...]
    """This worker's."""
    read: Read
    signature: Signature
    batch_size: int
    """Most rows in a batch."""
    device: torch.device
    seed: int = 0
    rank: int = 0
    shares: tuple[int, ...]
    """Rows of every worker, by rank."""
    accumulate: int = 1
    """Batches that make one step."""
    buffer: int = BUFFER
    epochs: int = 1
    """The last epoch: reading goes on to it, so that it starts once."""
    _coming: tuple[range, Iterator[Arrays]] | None = None
    """The epochs that a reading which is under way comes to next, in their order."""

    @property
    def rows(self) -> int:
        """Rows of all workers."""
        return sum(self.shares)

    @property
    def batches(self) -> int:
        """Batches of an epoch: as many on every worker."""
        return max(math.ceil(size / self.batch_size) for size in self.shares)

    def epoch(self, epoch: int, begin: int = 0) -> Iterator[Batch]:
        """Hand out the rows of an epoch, which counts from 1, from a batch on, which counts from 0.

        That batch is the first of a step. What comes before it is read all the same.
        """
        own, batches = self.shares[self.rank], self.batches
        rows = self._cut(epoch, [bounds_of(own, number, batches) for number in range(batches)])
        for first in range(0, batches, self.accumulate):
            group = range(first, min(first + self.accumulate, batches))
            divisor = sum(self._divisor(number) for number in group)
            for number in group:
                share = next(rows)
                if number < begin:
                    continue
                last = number == group[-1]
                if not share.rows:
                    yield padding(share, divisor, last)
                    continue
                moved = share.to(self.device)
                yield Batch(
                    tensors=moved.tensors,
                    label=moved.label,
                    weight=moved.weight,
                    divisor=divisor,
                    last=last,
                )

    def not_finite(self) -> list[str]:
        """Return what holds NaN or infinities among the rows of the first such piece."""
        for rows in self.read(self.pieces):
            if found := share_of_arrays([rows], self.signature).not_finite():
                return found
        return []

    def _cut(self, epoch: int, bounds: Sequence[tuple[int, int]]) -> Iterator[Share]:
        """Yield the rows of each batch; where there are no rows for one, none."""
        left: Share | None = None
        mixed = self._mixed(epoch)
        for start, stop in bounds:
            wanted = stop - start
            while (left.rows if left else 0) < wanted:
                more = next(mixed)
                left = more if left is None or not left.rows else _joined(left, more)
            if left is None:
                left = share_of_arrays([], self.signature)
            yield left.at(slice(wanted))
            left = left.at(slice(wanted, None))

    def _mixed(self, epoch: int) -> Iterator[Share]:
        draw, label = self._draw(epoch), self.signature.label.name
        draw.permutation(len(self.pieces))  # which gave the order
        held: list[Arrays] = []
        rows = 0
        for arrays in self._read(epoch):
            held.append(arrays)
            rows += len(arrays[label])
            if rows >= self.buffer:
                yield _permuted(share_of_arrays(held, self.signature), draw)
                held, rows = [], 0
        if held:
            yield _permuted(share_of_arrays(held, self.signature), draw)

    def _draw(self, epoch: int) -> np.random.Generator:
        return generator(self.seed, epoch, self.rank)

    def _order(self, epoch: int) -> list[Piece]:
        return [self.pieces[place] for place in self._draw(epoch).permutation(len(self.pieces))]

    def _read(self, epoch: int) -> Iterator[Arrays]:
        """Read the rows of an epoch, and of later ones in the same go: each start costs seconds."""
        coming, self._coming = self._coming, None
        if coming is None or coming[0][:1] != range(epoch, epoch + 1):
            count = max(1, MOST // max(1, len(self.pieces)))
            epochs = range(epoch, max(epoch, min(self.epochs, epoch + count - 1)) + 1)
            coming = epochs, self.read([one for at in epochs for one in self._order(at)])
        left = self.shares[self.rank]
        while left:
            arrays = next(coming[1])
            left -= len(arrays[self.signature.label.name])
            if not left:
                self._coming = coming[0][1:], coming[1]
            yield arrays

    def _divisor(self, number: int) -> float:
        bounds = [bounds_of(size, number, self.batches) for size in self.shares]
        return sum(stop - start for start, stop in bounds) / len(self.shares)


def _permuted(share: Share, draw: np.random.Generator) -> Share:
    return share.at(torch.from_numpy(draw.permutation(share.rows)))


def _joined(one: Share, other: Share) -> Share:
    return Share(
        tensors={name: torch.cat([t, other.tensors[name]]) for name, t in one.tensors.items()},
        label=torch.cat([one.label, other.label]),
        weight=None
        if one.weight is None or other.weight is None
        else torch.cat([one.weight, other.weight]),
        columns=one.columns,
    )
