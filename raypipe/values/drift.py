"""How far apart two profiles of one column are: Jensen-Shannon divergence, from 0 to 1.

Base 2: 0 for the same distribution, 1 for two that share no value. What two samples of one
distribution differ by on average is taken off, so that a handful of new rows raises no alarm.
"""

import math
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from raypipe.values.columns import ColumnProfile
from raypipe.values.profile import Profile

Counts = npt.NDArray[np.int64]
K = TypeVar("K", str, int)


def drift_by_column(new: Profile, accepted: Profile) -> dict[str, float]:
    """Return the distance of each column that both have, where it can be said."""
    distances = {
        name: column_distance(column, accepted.columns[name])
        for name, column in new.columns.items()
        if name in accepted.columns
    }
    return {name: found for name, found in distances.items() if found is not None}


def column_distance(new: ColumnProfile, accepted: ColumnProfile) -> float | None:
    """Compare value counts where both are exact, else the buckets of numbers; nulls do not count.

    None where neither can be had: text of very many values, lists, a column of nulls.
    """
    if new.values is not None and accepted.values is not None:
        return divergence(*_aligned(new.values, accepted.values))
    if new.buckets is not None and accepted.buckets is not None:
        ours = dict(zip(new.buckets.keys.tolist(), new.buckets.counts.tolist(), strict=True))
        theirs = dict(
            zip(accepted.buckets.keys.tolist(), accepted.buckets.counts.tolist(), strict=True)
        )
        return divergence(*_aligned(ours, theirs))
    return None


def divergence(a: Counts, b: Counts) -> float | None:
    """Return the distance of two aligned histograms; None if one is empty."""
    rows_a, rows_b = int(a.sum()), int(b.sum())
    if not rows_a or not rows_b:
        return None
    p, q = a / rows_a, b / rows_b
    middle = (p + q) / 2
    found = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    by_chance = (len(a) - 1) * (1 / rows_a + 1 / rows_b) / (8 * math.log(2))
    return min(1.0, max(0.0, found - by_chance))


def _aligned(a: dict[K, int], b: dict[K, int]) -> tuple[Counts, Counts]:
    keys = sorted(a.keys() | b.keys())
    return (
        np.array([a.get(key, 0) for key in keys], np.int64),
        np.array([b.get(key, 0) for key in keys], np.int64),
    )


def _relative_entropy(p: npt.NDArray[np.float64], q: npt.NDArray[np.float64]) -> float:
    held = p > 0
    return float((p[held] * np.log2(p[held] / q[held])).sum())
