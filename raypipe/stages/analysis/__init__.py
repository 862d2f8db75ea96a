"""How good is the candidate, on data that it never saw."""

from raypipe.stages.analysis.stage import (
    bless,
    evaluate,
    evaluate_edge_cases,
    judge,
    report,
    report_look,
)

__all__ = ["bless", "evaluate", "evaluate_edge_cases", "judge", "report", "report_look"]
