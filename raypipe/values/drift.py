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
from raypipe.values.sketches import Buckets

Counts = npt.NDArray[np.int64]
A_CELL = 4
"""Rows a cell, of the smaller sample, below which a histogram of numbers is made coarser."""
PARTS = 10
"""Parts of equal size that the accepted numbers are cut into then."""
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

    Where few rows lie in many cells, numbers are compared by the tenths of the accepted ones.

    None where neither can be had: text of very many values, lists, a column of nulls.
    """
    if new.values is not None and accepted.values is not None:
        ours, theirs = _aligned(new.values, accepted.values)
        if not _is_sparse(ours, theirs) or not (new.buckets and accepted.buckets):
            return divergence(ours, theirs)
    if new.buckets is not None and accepted.buckets is not None:
        ours, theirs = _aligned(_by_key(new.buckets), _by_key(accepted.buckets))
        if _is_sparse(ours, theirs):
            ours, theirs = _coarser(ours, theirs)
        return divergence(ours, theirs)
    return None


def _by_key(buckets: Buckets) -> dict[int, int]:
    return dict(zip(buckets.keys.tolist(), buckets.counts.tolist(), strict=True))


def _is_sparse(a: Counts, b: Counts) -> bool:
    """Say whether there are so many cells that chance alone would part two small samples."""
    return bool(len(a) * A_CELL > min(a.sum(), b.sum()))


def _coarser(new: Counts, accepted: Counts) -> tuple[Counts, Counts]:
    """Add up cells, which are in the order of their values, to parts of equal accepted size."""
    if not accepted.sum():
        return new, accepted
    part = np.minimum(np.cumsum(accepted) * PARTS // (accepted.sum() + 1), PARTS - 1)
    return (
        np.bincount(part, new, PARTS).astype(np.int64),
        np.bincount(part, accepted, PARTS).astype(np.int64),
    )


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
