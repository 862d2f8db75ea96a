"""Which trials end early: a function of what others came to after so many epochs.

The stopping rule of ASHA (Li et al., "A System for Massively Parallel Hyperparameter Tuning",
2020): nobody waits for a rung to be full. What a trial is held to is known when it begins, so that
a trial in another process asks nobody.
"""

from collections.abc import Iterable, Sequence

from raypipe.config.tuning import HalvingConfig
from raypipe.values.tuning import Search, Trial

History = Sequence[dict[str, float]]
"""One row an epoch."""


def bars(search: Search, known: Iterable[Trial], epochs: int) -> dict[int, float]:
    """Return what the metric must be after which epochs, given the trials that are known.

    There is none before as many trials as `factor`, less one, came so far.
    """
    if search.halving is None:
        return {}
    trials = list(known)
    found = {}
    for rung in search.halving.rungs(epochs):
        reached = [best_by(one.history, rung, search) for one in trials if len(one.history) >= rung]
        values = [value for value in reached if value is not None]
        if (bar := bar_of(values, search.halving, more=search.more_is_better)) is not None:
            found[rung] = bar
    return found


def bar_of(values: Sequence[float], halving: HalvingConfig, *, more: bool) -> float | None:
    """Return the worst value with which one more is among the best one of `factor`."""
    kept = (len(values) + 1) // halving.factor
    if not kept:
        return None
    return sorted(values, reverse=more)[kept - 1]


def falls_short(history: History, bars: dict[int, float], search: Search) -> bool:
    """Say whether a trial ends here: its best so far is worse than the bar of this epoch."""
    bar = bars.get(len(history))
    if bar is None:
        return False
    value = best_by(history, len(history), search)
    if value is None:
        return True
    return value < bar if search.more_is_better else value > bar


def best_by(history: History, epoch: int, search: Search) -> float | None:
    """Return the best value of the metric within so many epochs; None where it was no number."""
    values = [row.get(search.metric) for row in history[:epoch]]
    known = [value for value in values if value is not None and value == value]
    if not known:
        return None
    return max(known) if search.more_is_better else min(known)
