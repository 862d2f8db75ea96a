"""The train split as a stream: which part of it a worker takes, and how it is read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from raypipe.config.training import TrainingConfig
from raypipe.model.bounds import share_bounds
from raypipe.model.share import Share
from raypipe.model.streaming.feed import BUFFER, Read, StreamFeed
from raypipe.model.streaming.source import Arrays, Counted, Piece, Source
from raypipe.model.world import World


@dataclass(frozen=True, kw_only=True)
class Stream:
    """What all workers read, each its part."""

    source: Source
    train: Counted
    validation: Counted
    read: Read | None = None
    """How pieces are read; None: one after the other, in this process."""
    buffer: int = BUFFER

    @property
    def labels(self) -> torch.Tensor:
        """Each label that there is, once."""
        return torch.from_numpy(self.train.labels)

    @property
    def rows(self) -> int:
        """Rows of all workers."""
        return self.train.rows

    def feed(self, settings: TrainingConfig, world: World, device: torch.device) -> StreamFeed:
        """Return what hands out this worker's part."""
        bounds = share_bounds(self.rows, world.size)
        return StreamFeed(
            pieces=self.train.part(*bounds[world.rank]),
            read=self.read or self._here,
            signature=self.source.signature,
            batch_size=settings.batch_size,
            device=device,
            seed=settings.seed,
            rank=world.rank,
            shares=tuple(stop - start for start, stop in bounds),
            accumulate=settings.accumulate,
            buffer=self.buffer,
            epochs=settings.epochs,
        )

    def validation_share(self, rank: int, size: int) -> Share:
        """Read a worker's part of the validation split into memory."""
        bounds = share_bounds(self.validation.rows, size)[rank]
        return self.source.share(self.validation.part(*bounds), "validation")

    def _here(self, pieces: Sequence[Piece]) -> Iterator[Arrays]:
        for piece in pieces:
            yield from self.source.read(piece, "train")


def stream_of(source: Source) -> Stream:
    """Look once at how many rows each split has, and where."""
    return Stream(source=source, train=source.count("train"), validation=source.count("validation"))
