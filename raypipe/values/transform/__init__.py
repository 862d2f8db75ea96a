"""How raw columns become tensors: a fitted recipe whose state is data."""

from raypipe.values.transform.transform import Transform

__all__ = ["Transform"]
