"""Tuning: settings are searched, each trial is kept, and what did best feeds training."""

from raypipe.stages.tuning.stage import choose, recall, report_sweep, sweep_look, trial

__all__ = ["choose", "recall", "report_sweep", "sweep_look", "trial"]
