"""What fitted groups of numbers and moments do to columns, beside the numeric and cyclic ones.

Each row's values depend on that row alone, bit for bit: see raypipe.values.transform.parts.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from raypipe.values.hashing import as_numbers
from raypipe.values.transform.number_groups import ROUND, Buckets, Date
from raypipe.values.transform.reading import Column, as_array
from raypipe.values.transform.stacking import Part, Target, stacked

Moments = npt.NDArray["np.datetime64"]
Floats = npt.NDArray[np.float64]

_DAY = 86_400_000_000
_YEAR = 365.2425 * 86_400
"""Seconds of a mean year of the Gregorian calendar."""
_LARGEST = float(np.finfo(np.float32).max)


def buckets_part(group: Buckets) -> Part:
    """Find numbers' buckets."""
    edges = [np.array(ends, np.float64) for ends in group.edges]
    sizes = [1 + len(ends) for ends in edges]
    starts = np.cumsum([0, *sizes[:-1]])

    def apply(columns: Sequence[Column], target: Target) -> None:
        values = stacked(columns)
        there = np.isfinite(values)
        if not group.index:
            target[:] = 0
        for place, ends in enumerate(edges):
            found = np.searchsorted(ends, values[place], side="right")
            if group.index:
                target[:, place] = (found + 1) * there[place]
            else:
                rows = np.flatnonzero(there[place])
                target[rows, starts[place] + found[rows]] = 1

    return apply


def date_part(group: Date, types: Sequence[pa.DataType]) -> Part:
    """Tell the parts of moments."""
    reads = [_reader(kind, group.zone) for kind in types]
    width = len(group.names) // len(group.columns)

    def apply(columns: Sequence[Column], target: Target) -> None:
        for place, (column, read) in enumerate(zip(columns, reads, strict=True)):
            moments, absolute, there = read(column)
            told = _told(group, place, moments, absolute)
            for number, values in enumerate(told, place * width):
                target[:, number] = values * there

    return apply


_Read = Callable[
    [Column], tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]
]


def _reader(kind: pa.DataType, zone: str | None) -> _Read:
    """Return what reads moments: microseconds by the calendar, since 1970, and which are there."""
    local = pa.timestamp("us", tz=zone) if zone and getattr(kind, "tz", None) else None

    def read(
        column: Column,
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        array = as_array(column, kind)
        there = pc.is_valid(array).to_numpy(zero_copy_only=False)
        absolute = as_numbers(array)
        assert absolute is not None
        if local is None:
            return absolute, absolute, there
        shown = as_numbers(pc.local_timestamp(array.cast(local, safe=False)))
        assert shown is not None
        return shown, absolute, there

    return read


def _told(
    group: Date, place: int, moments: npt.NDArray[np.int64], absolute: npt.NDArray[np.int64]
) -> list[Floats]:
    """Return a column's parts, one array a value of a row."""
    days, clock = np.divmod(moments, _DAY)
    dates = days.astype("datetime64[D]")
    told: list[Floats] = []
    for part in group.parts:
        if part == "epoch":
            told.append(_limited((absolute / 1e6 - group.center[place]) / group.scale[place]))
        elif part == "year":
            years = dates.astype("datetime64[Y]").astype(np.int64).astype(np.float64)
            told.append(
                _limited((years - group.center[place] / _YEAR) / (group.scale[place] / _YEAR))
            )
        elif part == "is_weekend":
            told.append(((days + 3) % 7 >= 5).astype(np.float64))
        else:
            steps = _steps(part, days, dates, clock).astype(np.float64)
            if group.cyclic:
                angles = steps * (2 * np.pi / ROUND[part])
                told += [np.sin(angles), np.cos(angles)]
            else:
                told.append(steps / (ROUND[part] - 1))
    return told


def _steps(
    part: str, days: npt.NDArray[np.int64], dates: Moments, clock: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return how many steps from the beginning of its round a part is."""
    if part == "weekday":  # 1970 began on a Thursday; a week begins on Monday
        return (days + 3) % 7
    if part == "hour":
        return clock // 3_600_000_000
    if part == "minute":
        return clock // 60_000_000 % 60
    months = dates.astype("datetime64[M]")
    if part == "month":
        return months.astype(np.int64) % 12
    first = months if part == "day" else dates.astype("datetime64[Y]")
    steps: npt.NDArray[np.int64] = (dates - first.astype("datetime64[D]")).astype(np.int64)
    return steps


def _limited(values: Floats) -> Floats:
    return np.clip(values, -_LARGEST, _LARGEST)
