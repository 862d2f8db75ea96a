"""How good is the candidate, on data that it never saw."""

from raypipe.stages.analysis.stage import bless, evaluate, report

__all__ = ["bless", "evaluate", "report"]
