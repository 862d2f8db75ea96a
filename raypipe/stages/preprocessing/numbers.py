"""A numeric group, fitted: what fills, clips, centres and scales each column."""

from collections.abc import Callable

from raypipe.config.preprocessing import NumericGroup
from raypipe.stages.preprocessing import statistics
from raypipe.values.columns import ColumnProfile
from raypipe.values.profile import Profile
from raypipe.values.transform.groups import Numeric

_Bounds = tuple[float | None, float | None]


def fit_numeric(group: NumericGroup, train: Profile) -> Numeric:
    """Fit a numeric group; a column that the train split has no value of is filled with 0."""
    columns = [train.columns.get(name) for name in group.columns]
    fills = [_fill(column, group.impute) for column in columns]
    bounds = [_bounds(column, group) for column in columns]
    scales = [
        (0.0, 1.0) if column is None else _scale(column, fill, ends, group)
        for column, fill, ends in zip(columns, fills, bounds, strict=True)
    ]
    return Numeric(
        columns=group.columns,
        tensor=group.tensor,
        fill=tuple(fills),
        log=group.log,
        center=tuple(center for center, _ in scales),
        scale=tuple(scale for _, scale in scales),
        low=tuple(low for low, _ in bounds) if group.clip else (),
        high=tuple(high for _, high in bounds) if group.clip else (),
    )


def _fill(column: ColumnProfile | None, impute: str) -> float:
    if column is None or impute == "zero":
        return 0.0
    return statistics.mean(column) if impute == "mean" else statistics.median(column)


def _bounds(column: ColumnProfile | None, group: NumericGroup) -> _Bounds:
    clip = group.clip
    if clip is None:
        return None, None
    if clip.quantiles is None:
        return clip.low, clip.high
    if column is None or column.moments is None:
        return None, None
    low, high = clip.quantiles
    return statistics.quantile(column, low), statistics.quantile(column, high)


def _scale(
    column: ColumnProfile, fill: float, bounds: _Bounds, group: NumericGroup
) -> tuple[float, float]:
    """Return what is subtracted and divided by. Clipping and log keep numbers in their order."""
    change = _changer(bounds, group.log)
    match group.scale:
        case "none":
            return 0.0, 1.0
        case "standard":
            return statistics.standard(column, fill, change)
        case "min_max":
            ends = (column.min, column.max)
            numbers = [end if isinstance(end, float) else fill for end in ends]
            low, high = map(change, numbers) if change else numbers
            return low, statistics.spread(low, high)
        case "robust":
            numbers = [statistics.quantile(column, share) for share in (0.25, 0.75)]
            numbers.append(statistics.median(column))
            low, high, middle = map(change, numbers) if change else numbers
            return middle, statistics.spread(low, high)


def _changer(bounds: _Bounds, log: bool) -> Callable[[float], float] | None:
    """Return what clipping and log do to a number; None where they are not asked for."""
    low, high = bounds
    if low is None and high is None and not log:
        return None

    def change(number: float) -> float:
        number = number if low is None else max(number, low)
        number = number if high is None else min(number, high)
        return statistics.logged(number) if log else number

    return change
