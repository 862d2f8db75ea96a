"""What a fitted group needs of a column, from its profile alone: moments, median, vocabulary.

Where every value is counted (up to 1,000 distinct ones) these are exact. Beyond that the mean and
the deviation are exact too, but those of log(1 + x) and the median come from the logarithmic
buckets (each value counts as the middle of its bucket, at most 0.8 % off), and a vocabulary from
the sample of the profile.
"""

import math
from collections.abc import Iterable

import numpy as np
import pyarrow.compute as pc

from raypipe.values.columns import ColumnProfile
from raypipe.values.hashing import canonical_text
from raypipe.values.profile import Profile

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


def log_moments(column: ColumnProfile, fill: float) -> tuple[float, float]:
    """Return mean and divisor of log(1 + x), where negative numbers count as 0."""
    logs = [(math.log1p(max(x, 0.0)), count) for x, count in _weighted(column)]
    total = sum(count for _, count in logs)
    if not total:
        return math.log1p(max(fill, 0.0)), 1.0
    middle = math.fsum(x * count for x, count in logs) / total
    spread = math.fsum(count * (x - middle) ** 2 for x, count in logs) / total
    return middle, _divisor(math.sqrt(spread))


def vocabulary(profile: Profile, name: str, *, limit: int, min_count: int = 1) -> tuple[str, ...]:
    """Return the most frequent values as canonical text, ties in the order of the text."""
    column = profile.columns.get(name)
    if column is None:
        return ()
    counts = column.values if column.values is not None else _estimated(profile, name)
    kept = [(text, count) for text, count in counts.items() if count >= min_count]
    return tuple(text for text, _ in sorted(kept, key=lambda pair: (-pair[1], pair[0]))[:limit])


def _estimated(profile: Profile, name: str) -> dict[str, float]:
    """Count values in the sample, each sampled row for as many as there are."""
    rows = profile.sample.rows
    pairs = pc.value_counts(rows[name].combine_chunks().drop_null())
    share = profile.rows / max(1, rows.num_rows)
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
    usable = spread is not None and math.isfinite(spread) and spread > np.finfo(np.float32).tiny
    return spread if usable and spread is not None else 1.0
