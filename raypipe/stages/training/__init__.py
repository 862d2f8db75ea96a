"""Training: transformed shards in, checkpoints and a candidate out."""

from raypipe.stages.training.stage import train

__all__ = ["train"]
