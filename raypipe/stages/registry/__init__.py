"""The registry stage: an approved candidate becomes a model version with its bundle."""

from raypipe.stages.registry.deriving import derive
from raypipe.stages.registry.stage import register

__all__ = ["derive", "register"]
