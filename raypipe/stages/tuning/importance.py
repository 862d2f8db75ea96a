"""What a sweep's trials say of its settings: how much each mattered, and what did best by then."""

from __future__ import annotations

import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

from raypipe.stages.tuning.suggesting import distributions, quietly, told
from raypipe.values.tuning import Search, Trial

FEWEST = 4
"""Trials below which nothing is said of what mattered."""
GOOD = 0.25
"""Share of the trials that are looked at as the good ones."""


def importance(trials: list[Trial], search: Search) -> dict[str, float]:
    """Return how much it mattered, for a trial to be among the good ones, what each setting was.

    Together they are 1. By PED-ANOVA (Watanabe et al., "PED-ANOVA: Efficiently Quantifying
    Hyperparameter Importance in Arbitrary Subspaces", 2023), as Optuna has it, which draws no
    random numbers. Empty where too few trials came to their end, or all of
    them to the same. Trials that ended early, or were not made since another was like them, are
    left out.
    """
    whole = [one for one in trials if _counts(one)]
    values = {one.metrics[search.metric] for one in whole}
    if len(whole) < FEWEST or len(values) < 2:
        return {}
    places = distributions(search.space)
    with quietly():
        study = optuna.create_study(direction="maximize" if search.more_is_better else "minimize")
        study.add_trials([told(one, search, places) for one in whole])
        evaluator = PedAnovaImportanceEvaluator(target_quantile=GOOD)
        found = get_param_importances(study, evaluator=evaluator)
    return {key: float(value) for key, value in found.items()}


def best_so_far(trials: list[Trial], search: Search) -> list[dict[str, float | int | None]]:
    """Return, trial by trial, what it came to and the best of those up to it."""
    best: float | None = None
    found: list[dict[str, float | int | None]] = []
    for one in sorted(trials, key=lambda trial: trial.number):
        value = None if one.failed else one.metrics[search.metric]
        if value is not None and one.stopped is None:
            better = max if search.more_is_better else min
            best = value if best is None else better(best, value)
        found.append({"number": one.number, "value": value, "best": best})
    return found


def _counts(trial: Trial) -> bool:
    return not trial.failed and trial.stopped is None and trial.like is None
