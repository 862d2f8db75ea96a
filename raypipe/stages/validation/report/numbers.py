"""The numbers of a column as finely as its profile knows them: counted, in buckets, or sampled.

Buckets are as wide as 1.6 % of their values. Of seconds since 1970 that is most of a year, so that
moments that are too many to be counted are told by the sample.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from raypipe.values.columns import ColumnProfile
from raypipe.values.measure import as_floats
from raypipe.values.schema import kind_of
from raypipe.values.sketches import Buckets

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """Points, or buckets in which numbers lie evenly, each with its count."""

    low: Floats
    high: Floats
    counts: Floats
    sampled: bool = False

    @property
    def widths(self) -> float:
        """How wide a bucket is on average: what is finer than this cannot be told."""
        return float((self.high - self.low) @ (self.counts / self.counts.sum()))

    def within(self, edges: Floats) -> tuple[float, ...]:
        """Return the share of all numbers in each bin; the last bin holds its upper edge."""
        points = self.low == self.high
        found = np.histogram(self.low[points], edges, weights=self.counts[points])[0]
        if not points.all():
            low, high, counts = self.low[~points], self.high[~points], self.counts[~points]
            ends = np.column_stack([low, high]).ravel()
            below = np.cumsum(np.column_stack([np.zeros(len(counts)), counts]).ravel())
            found = found + np.diff(np.interp(edges, ends, below))
        return tuple((found / self.counts.sum()).tolist())

    def quantile(self, share: float) -> float:
        """Return the number below which this share lies."""
        order = np.argsort(self.low, kind="stable")
        reached = np.cumsum(self.counts[order])
        place = int(np.searchsorted(reached, share * (reached[-1] - 1), side="right"))
        at = order[min(place, len(order) - 1)]
        return float(self.low[at] / 2 + self.high[at] / 2)


def is_moment(column: ColumnProfile) -> bool:
    """Say whether a column's numbers are seconds since 1970."""
    return kind_of(column.type) in ("date", "timestamp")


def numbers_of(column: ColumnProfile, width: float = 0.0) -> Numbers | None:
    """Return the numbers, None if there are none; `width` is of the bins that they go into."""
    if (counted := _counted(column)) is not None:
        return counted
    if column.buckets is None or not column.buckets.total:
        return None
    found = _bucketed(column, column.buckets)
    if is_moment(column) or found.widths > 2 * width > 0:
        return _sampled(column) or found
    return found


def quantile_of(column: ColumnProfile, share: float) -> float | None:
    """Return the number below which this share lies: exact, or to within 1 %, or of the sample."""
    if column.buckets is None:
        return None
    if column.values is None and not is_moment(column):
        return column.quantile(share)
    found = numbers_of(column)
    return column.quantile(share) if found is None else found.quantile(share)


def one_array(values: pa.ChunkedArray) -> pa.Array:
    """Return a sample's values that are there, as one array."""
    return values.drop_null().combine_chunks()


def _counted(column: ColumnProfile) -> Numbers | None:
    if not column.values or column.buckets is None:
        return None
    try:
        points = np.array([_number(column.type, text) for text in column.values], float)
    except ValueError:  # of a type that is not written as a number, or of two that met
        return None
    counts = np.array(list(column.values.values()), float)
    held = np.isfinite(points)
    if not held.any():
        return None
    return Numbers(low=points[held], high=points[held], counts=counts[held])


def _number(kind: str, text: str) -> float:
    match kind_of(kind):
        case "date" | "timestamp":
            moment = np.datetime64(text.removesuffix("Z"), "us")
            return float(moment.astype(np.int64)) / 1e6
        case "integer" | "number":
            return float(text)
        case "boolean":
            return float(text == "true")
        case "duration":
            return float(text.removesuffix("us")) / 1e6
    raise ValueError(kind)


def _bucketed(column: ColumnProfile, buckets: Buckets) -> Numbers:
    low, high = buckets.bounds
    if isinstance(column.min, float) and isinstance(column.max, float):
        low, high = (np.clip(ends, column.min, column.max) for ends in (low, high))
    return Numbers(low=low, high=high, counts=buckets.counts.astype(float))


def _sampled(column: ColumnProfile) -> Numbers | None:
    drawn = None if column.drawn is None else as_floats(one_array(column.drawn))
    if drawn is None:
        return None
    finite = drawn[np.isfinite(drawn)]
    if not len(finite):
        return None
    return Numbers(low=finite, high=finite, counts=np.ones(len(finite)), sampled=True)
