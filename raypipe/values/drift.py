"""How far apart two profiles of one column are, by four measures, and what chance explains of it.

- `js`: Jensen-Shannon divergence to base 2 (Lin 1991, IEEE Trans. Inf. Theory 37, 145-151): 0 for
  the same distribution, 1 for two that share no value.
- `psi`: population stability index, the symmetric form of the relative entropy (Kullback and
  Leibler 1951; Siddiqi 2006, Credit Risk Scorecards): 0.1 is some change and 0.25 much, by custom.
- `linf`: the largest change of one value's share, as TensorFlow Data Validation has it (Breck et
  al. 2019, MLSys).
- `ks`: the largest gap of the cumulative shares (Kolmogorov and Smirnov), of numbers.

What two samples of one distribution differ by on average is taken off `js` and `psi`, so that a
handful of new rows raises no alarm. `Distance.by_chance` is what one measure rarely exceeds.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

from raypipe.values.chance import ALARMS, chi_square_at_most, gap_at_most
from raypipe.values.columns import ColumnProfile
from raypipe.values.counting import ValueCounts
from raypipe.values.profile import Profile
from raypipe.values.sketches import Buckets

Measure = Literal["js", "psi", "linf", "ks"]
MEASURES: dict[Measure, str] = {
    "js": "Jensen-Shannon, 0 to 1",
    "psi": "population stability index",
    "linf": "largest change of one value's share",
    "ks": "Kolmogorov-Smirnov, 0 to 1",
}
Counts = npt.NDArray[np.int64]
A_CELL = 4
"""Rows a cell, of the smaller sample, below which a histogram of numbers is made coarser."""
PARTS = 10
"""Parts of equal size that the accepted numbers are cut into then."""
K = TypeVar("K", str, int, float)


@dataclass(frozen=True, kw_only=True)
class Gap:
    """How far two samples of a column lie apart by one measure."""

    distance: float
    by_chance: float
    """What two samples of this many rows of one distribution rarely exceed."""

    @property
    def is_real(self) -> bool:
        """Whether chance does not explain it."""
        return self.distance > self.by_chance


def gap_by_column(new: Profile, accepted: Profile) -> dict[str, Gap | None]:
    """Return how far each column that both have lies, by Jensen-Shannon; see `column_gap`."""
    return {
        name: column_gap(column, accepted.columns[name], "js")
        for name, column in new.columns.items()
        if name in accepted.columns
    }


def drift_by_column(new: Profile, accepted: Profile) -> dict[str, float]:
    """Return the distance of each column that both have, where it can be said."""
    return distances(gap_by_column(new, accepted))


def distances(gaps: Mapping[str, Gap | None]) -> dict[str, float]:
    """Return the distances of gaps, where there are any."""
    return {name: gap.distance for name, gap in gaps.items() if gap is not None}


def column_distance(new: ColumnProfile, accepted: ColumnProfile) -> float | None:
    """Return the Jensen-Shannon divergence of two columns; see `column_gap`."""
    gap = column_gap(new, accepted, "js")
    return None if gap is None else gap.distance


def column_gap(
    new: ColumnProfile, accepted: ColumnProfile, measure: Measure, alarms: float = ALARMS
) -> Gap | None:
    """Compare value counts where both are exact, else the buckets of numbers; nulls do not count.

    Where few rows lie in many cells, numbers are compared by the tenths of the accepted ones.

    None where neither can be had: text of very many values, lists, a column of nulls; and for `ks`
    of what is no number.
    """
    if measure == "ks":
        return _ks(new, accepted, alarms)
    pair = _histograms(new, accepted)
    if pair is None or not pair[0].sum() or not pair[1].sum():
        return None
    match measure:
        case "js":
            return _js(*pair, alarms)
        case "psi":
            return _psi(*pair, alarms)
        case "linf":
            return _linf(*pair, alarms)


def _histograms(new: ColumnProfile, accepted: ColumnProfile) -> tuple[Counts, Counts] | None:
    if new.counted is not None and accepted.counted is not None:
        ours, theirs = _aligned_values(new.counted, accepted.counted)
        if not _is_sparse(ours, theirs) or not (new.buckets and accepted.buckets):
            return _pooled(ours, theirs)
    if new.buckets is not None and accepted.buckets is not None:
        ours, theirs = _aligned_buckets(new.buckets, accepted.buckets)
        return _coarser(ours, theirs) if _is_sparse(ours, theirs) else (ours, theirs)
    return None


def _aligned_values(a: ValueCounts, b: ValueCounts) -> tuple[Counts, Counts]:
    if (ours := a.among(b)) is not None:
        return ours, b.counts
    if (theirs := b.among(a)) is not None:
        return a.counts, theirs
    return _aligned(a.pairs, b.pairs)


def _aligned_buckets(a: Buckets, b: Buckets) -> tuple[Counts, Counts]:
    keys = np.concatenate([a.keys, b.keys])
    order = np.argsort(keys, kind="stable")
    new = np.ones(len(keys), np.bool_)
    np.not_equal(keys[order[1:]], keys[order[:-1]], out=new[1:])
    places = np.empty(len(keys), np.int64)
    places[order] = np.cumsum(new) - 1
    ours, theirs = np.zeros((2, int(np.count_nonzero(new))), np.int64)
    ours[places[: len(a.keys)]] = a.counts
    theirs[places[len(a.keys) :]] = b.counts
    return ours, theirs


def _is_sparse(a: Counts, b: Counts) -> bool:
    """Say whether there are so many cells that chance alone would part two small samples."""
    return bool(len(a) * A_CELL > min(a.sum(), b.sum()))


def _pooled(new: Counts, accepted: Counts) -> tuple[Counts, Counts]:
    """Count values that are rare in both as one where there are too many to tell them apart."""
    if not _is_sparse(new, accepted):
        return new, accepted
    rare = (new < A_CELL) & (accepted < A_CELL)
    return (
        np.append(new[~rare], new[rare].sum()).astype(np.int64),
        np.append(accepted[~rare], accepted[rare].sum()).astype(np.int64),
    )


def _coarser(new: Counts, accepted: Counts) -> tuple[Counts, Counts]:
    """Add up cells, which are in the order of their values, to parts of equal accepted size."""
    if not accepted.sum():
        return new, accepted
    part = np.minimum(np.cumsum(accepted) * PARTS // (accepted.sum() + 1), PARTS - 1)
    return (
        np.bincount(part, new, PARTS).astype(np.int64),
        np.bincount(part, accepted, PARTS).astype(np.int64),
    )


def counts_gap(new: dict[K, int], accepted: dict[K, int], alarms: float = ALARMS) -> Gap:
    """Compare two counts of values, both of some, by Jensen-Shannon."""
    return _js(*_pooled(*_aligned(new, accepted)), alarms)


def divergence(a: Counts, b: Counts) -> float | None:
    """Return the distance of two aligned histograms; None if one is empty."""
    if not a.sum() or not b.sum():
        return None
    return _js(a, b, ALARMS).distance


def _js(a: Counts, b: Counts, alarms: float) -> Gap:
    p, q = a / a.sum(), b / b.sum()
    middle = (p + q) / 2
    found = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    unit = _unit(a, b) / (8 * math.log(2))
    return _less_chance(found, unit, a, b, alarms, most=1.0)


def _psi(a: Counts, b: Counts, alarms: float) -> Gap:
    p, q = ((one + 0.5) / (one.sum() + 0.5 * len(one)) for one in (a, b))
    found = float(((p - q) * np.log(p / q)).sum())
    return _less_chance(found, _unit(a, b), a, b, alarms, most=math.inf)


def _linf(a: Counts, b: Counts, alarms: float) -> Gap:
    p, q = a / a.sum(), b / b.sum()
    shared = (a + b) / (a.sum() + b.sum())
    error = np.sqrt(shared * (1 - shared) * _unit(a, b))
    bound = float(error.max()) * math.sqrt(chi_square_at_most(1, alarms / (2 * len(a))))
    return Gap(distance=float(np.abs(p - q).max()), by_chance=bound)


def _ks(new: ColumnProfile, accepted: ColumnProfile, alarms: float) -> Gap | None:
    if new.buckets is None or accepted.buckets is None:
        return None
    ours, theirs = _aligned_buckets(new.buckets, accepted.buckets)
    if not ours.sum() or not theirs.sum():
        return None
    apart = np.abs(np.cumsum(ours) / ours.sum() - np.cumsum(theirs) / theirs.sum())
    bound = gap_at_most(int(ours.sum()), int(theirs.sum()), alarms)
    return Gap(distance=float(apart.max()), by_chance=bound)


def _unit(a: Counts, b: Counts) -> float:
    return float(1 / a.sum() + 1 / b.sum())


def _less_chance(
    found: float, unit: float, a: Counts, b: Counts, alarms: float, *, most: float
) -> Gap:
    """Both entropies are, by chance, `unit` times a chi-square of the cells less one."""
    freedom = len(a) - 1
    bound = unit * (chi_square_at_most(freedom, alarms) - freedom)
    return Gap(distance=min(most, max(0.0, found - unit * freedom)), by_chance=bound)


def _aligned(a: dict[K, int], b: dict[K, int]) -> tuple[Counts, Counts]:
    keys = sorted(a.keys() | b.keys())
    return (
        np.array([a.get(key, 0) for key in keys], np.int64),
        np.array([b.get(key, 0) for key in keys], np.int64),
    )


def _relative_entropy(p: npt.NDArray[np.float64], q: npt.NDArray[np.float64]) -> float:
    held = p > 0
    return float((p[held] * np.log2(p[held] / q[held])).sum())
