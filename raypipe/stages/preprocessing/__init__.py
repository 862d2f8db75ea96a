"""How rows become tensors: the fitted transform, and shards that were turned into tensors by it."""

from raypipe.stages.preprocessing.stage import fit, look_at_shards, transform_shards

__all__ = ["fit", "look_at_shards", "transform_shards"]
