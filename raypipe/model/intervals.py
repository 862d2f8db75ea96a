"""Intervals by resampling groups of rows, and paired differences on the same resamples.

Percentile bootstrap over clusters: Efron and Tibshirani (1993), chapters 8 and 13. A metric that
resampling moves away from its value has the basic interval: Davison and Hinkley (1997), 5.2.
"""

import numpy as np
from numpy.typing import NDArray

from raypipe.model.weighted import Floats, Prepared
from raypipe.values.evaluation import Estimate

SEED = 0
MOVED = frozenset({"calibration_error"})
"""Metrics, from 0 to 1, that are larger in resamples than in the rows: means of distances, to which
noise adds whichever way it goes."""

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
        name: _estimate(name, value, sampled[name], confidence, least=0.0)
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
        name: _estimate(
            name,
            ours[name] - theirs[name],
            sampled[name] - their_samples[name],
            confidence,
            least=-1.0,
        )
        for name in ours
        if name in theirs
    }


def _estimate(
    name: str, value: float, samples: NDArray[np.float64], confidence: float, *, least: float
) -> Estimate:
    """Return a figure with its interval: of one that is MOVED, from `least` to 1, the basic one.

    As far as resamples lie from the value, so far the value may lie from the truth, the same way.
    The value is let in where the interval leaves it out, which only makes it cover more.
    """
    found = _interval(samples, confidence)
    if name not in MOVED:
        return Estimate(value=value, **found)
    low, high = (min(max(2 * value - found[end], least), 1.0) for end in ("high", "low"))
    return Estimate(value=value, low=min(low, value), high=max(high, value))


def _interval(values: NDArray[np.float64], confidence: float) -> dict[str, float]:
    known = values[~np.isnan(values)]
    if not len(known):
        return {"low": float("nan"), "high": float("nan")}
    tail = (1 - confidence) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return {"low": float(low), "high": float(high)}
