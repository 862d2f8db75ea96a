"""What a fitted group needs of a column, from its profile alone: moments, quantiles, values.

Where every value is counted (up to 1,000 distinct ones) these are exact. Beyond that the mean and
the deviation are exact too, but those of clipped or logged numbers and quantiles come from the
logarithmic buckets (each value counts as the middle of its bucket, at most 0.8 % off; DDSketch,
Masson et al. 2019), and values with their frequencies from the sample of the profile.
"""

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raypipe.values.columns import ColumnProfile
from raypipe.values.counting import ValueCounts
from raypipe.values.hashing import canonical_text
from raypipe.values.profile import Profile

_SMALLEST = float(np.finfo(np.float32).tiny)
Weighted = list[tuple[float, int]]


def mean(column: ColumnProfile) -> float:
    """Return the mean of the finite numbers; 0 if there are none."""
    return column.mean if column.mean is not None and math.isfinite(column.mean) else 0.0


def deviation(column: ColumnProfile) -> float:
    """Return the standard deviation of the finite numbers; 1 for a constant, so that it divides."""
    return _divisor(column.deviation)


def median(column: ColumnProfile) -> float:
    """Return the median of the finite numbers; 0 if there are none."""
    if column.values is None:
        return column.quantile(0.5) or 0.0
    numbers = sorted(_weighted(column))
    half, reached = sum(n for _, n in numbers) / 2, 0
    for place, (value, count) in enumerate(numbers):
        reached += count
        if reached > half:
            return value
        if reached == half:
            return value / 2 + numbers[place + 1][0] / 2
    return 0.0


def quantile(column: ColumnProfile, share: float) -> float:
    """Return the finite number below which this share of them lies; 0 if there are none."""
    if column.values is None:
        return column.quantile(share) or 0.0
    numbers = sorted(_weighted(column))
    place, reached = share * (sum(count for _, count in numbers) - 1), 0
    for value, count in numbers:
        reached += count
        if reached > place:
            return value
    return 0.0


def edges(column: ColumnProfile, buckets: int) -> tuple[float, ...]:
    """Return where buckets of equal shares begin, each once; none where there is one number."""
    ends = {quantile(column, place / buckets) for place in range(1, buckets)}
    smallest = column.min if isinstance(column.min, float) else math.inf
    return tuple(sorted(end for end in ends if end > smallest))


def changed_moments(
    column: ColumnProfile, fill: float, change: Callable[[float], float]
) -> tuple[float, float]:
    """Return mean and divisor of the numbers after a change, such as log(1 + x)."""
    changed = [(change(x), count) for x, count in _weighted(column)]
    total = sum(count for _, count in changed)
    if not total:
        return change(fill), 1.0
    middle = _sum(x * count for x, count in changed) / total
    if not math.isfinite(middle):
        return 0.0, 1.0
    spread = _sum(count * (x - middle) * (x - middle) for x, count in changed) / total
    return middle, _divisor(math.sqrt(spread))


def _sum(numbers: Iterable[float]) -> float:
    """Return the sum rounded once, so that their order does not show; infinite if it overflows."""
    try:
        return math.fsum(numbers)
    except (OverflowError, ValueError):
        return math.inf


def standard(
    column: ColumnProfile, fill: float, change: Callable[[float], float] | None = None
) -> tuple[float, float]:
    """Return mean and divisor of the numbers, after a change if there is one."""
    if change is None:
        return mean(column), deviation(column)
    return changed_moments(column, fill, change)


def logged(number: float) -> float:
    """Return log(1 + x) of a number, where negative ones count as 0."""
    return math.log1p(max(number, 0.0))


def spread(low: float, high: float) -> float:
    """Return the distance of two numbers as what can be divided by: 1 where there is none."""
    return _divisor(high - low)


def vocabulary(profile: Profile, name: str, *, limit: int, min_count: int = 1) -> tuple[str, ...]:
    """Return the most frequent values as canonical text, ties in the order of the text."""
    counts = frequencies(profile, name, limit=limit)
    return tuple(text for text, count in counts if count >= min_count)


def frequencies(profile: Profile, name: str, *, limit: int) -> Sequence[tuple[str, float]]:
    """Return the most frequent values, and in how many rows each is (of the sample: about)."""
    column = profile.columns.get(name)
    if column is None:
        return []
    return _most(column.counted, profile, profile.sample.rows[name], limit)


def listed(profile: Profile, name: str, *, limit: int) -> tuple[str, ...]:
    """Return the most frequent values of a column of lists."""
    column = profile.columns.get(name)
    inner = None if column is None else column.inner.get("[]")
    if inner is None:
        return ()
    values = pc.list_flatten(profile.sample.rows[name])
    return tuple(text for text, _ in _most(inner.counted, profile, values, limit))


def _most(
    counted: ValueCounts | None, profile: Profile, sample: pa.ChunkedArray, limit: int
) -> Sequence[tuple[str, float]]:
    if counted is not None:
        return counted.most(limit)
    counts = _estimated(profile, sample)
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:limit]


def _estimated(profile: Profile, sample: pa.ChunkedArray) -> dict[str, float]:
    """Count values in the sample, each sampled row for as many as there are."""
    pairs = pc.value_counts(sample.combine_chunks().drop_null())
    share = profile.rows / max(1, profile.sample.rows.num_rows)
    texts = canonical_text(pairs.field("values"))
    counts = pairs.field("counts").to_pylist()
    return {t: n * share for t, n in zip(texts, counts, strict=True) if t not in (None, "nan")}


def _weighted(column: ColumnProfile) -> Weighted:
    """Return the finite numbers and how often each occurs."""
    if column.values is not None:
        pairs: Iterable[tuple[float, int]] = (
            (_as_number(text), count) for text, count in column.values.items()
        )
    elif column.buckets is not None:
        buckets = column.buckets
        pairs = zip(buckets.values.tolist(), buckets.counts.tolist(), strict=True)
    else:
        return []
    return [(x, count) for x, count in pairs if math.isfinite(x)]


def _as_number(text: str) -> float:
    return float(text) if text not in ("true", "false") else float(text == "true")


def _divisor(spread: float | None) -> float:
    """A spread that can be divided by: 1 where there is none, or none to speak of."""
    usable = spread is not None and math.isfinite(spread) and spread > _SMALLEST
    return spread if usable and spread is not None else 1.0
