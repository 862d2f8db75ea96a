"""How rows become tensors: the fitted transform, and shards that were turned into tensors by it."""

from raypipe.stages.preprocessing.stage import fit, transform_shards

__all__ = ["fit", "transform_shards"]
