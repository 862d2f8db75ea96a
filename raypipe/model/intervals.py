"""Intervals by resampling groups of rows, and paired differences on the same resamples.

Percentile bootstrap over clusters: Efron and Tibshirani (1993), chapters 8 and 13.
"""

import numpy as np
from numpy.typing import NDArray

from raypipe.model.weighted import Floats, Prepared
from raypipe.values.evaluation import Estimate

SEED = 0

Sampled = dict[str, Floats]
"""Metric to its value in each resample."""


def draw(groups: int, resamples: int) -> Floats:
    """Return how often each group is drawn in each resample, [resamples, groups].

    Always the same.
    """
    random = np.random.default_rng(SEED)
    return random.multinomial(groups, np.full(groups, 1 / groups), size=resamples).astype(float)


def sample(prepared: Prepared, draws: Floats) -> Sampled:
    """Return each metric in each resample."""
    rows = [prepared.at(weights) for weights in draws]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def point(prepared: Prepared, groups: int) -> dict[str, float]:
    """Return the metrics of the rows as they are."""
    return prepared.at(np.ones(groups))


def estimates(values: dict[str, float], sampled: Sampled, confidence: float) -> dict[str, Estimate]:
    """Put values and resamples together to figures with intervals."""
    return {
        name: Estimate(value=value, **_interval(sampled[name], confidence))
        for name, value in values.items()
    }


def differences(
    ours: dict[str, float],
    theirs: dict[str, float],
    sampled: Sampled,
    their_samples: Sampled,
    confidence: float,
) -> dict[str, Estimate]:
    """Return ours less theirs for each metric, resample by resample."""
    return {
        name: Estimate(
            value=ours[name] - theirs[name],
            **_interval(sampled[name] - their_samples[name], confidence),
        )
        for name in ours
        if name in theirs
    }


def _interval(values: NDArray[np.float64], confidence: float) -> dict[str, float]:
    known = values[~np.isnan(values)]
    if not len(known):
        return {"low": float("nan"), "high": float("nan")}
    tail = (1 - confidence) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return {"low": float(low), "high": float(high)}
