"""What training gives: checkpoints, and the one that is the candidate."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The weights after one epoch."""

    epoch: int
    """Counted from 1."""

    metrics: dict[str, float]
    """Of the validation split: `loss` first, then those of the task."""

    weights: Path
    """A safetensors file."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A finished training."""

    checkpoints: tuple[Checkpoint, ...]
    """Those that were kept, best first by validation loss."""

    history: tuple[dict[str, float], ...]
    """One row an epoch: epoch, train_loss, loss and the validation metrics."""

    candidate: Checkpoint
    """The best checkpoint: a trained model that has no version yet."""
