"""Figures of a column in words and digits: by the type that they are of."""

import math
from collections.abc import Callable

import numpy as np

from raypipe.stages.validation.report.numbers import is_moment, quantile_of
from raypipe.stages.validation.words import percent
from raypipe.values.columns import ColumnProfile, Lengths
from raypipe.values.schema import kind_of

DAY = 86_400
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def figure(value: float) -> str:
    """Write a number as short as it can be read: 1,234,567; 0.00012; 3.14159; 6.02e+23."""
    if not math.isfinite(value):
        return {math.inf: "∞", -math.inf: "−∞"}.get(value, "NaN")
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if not 1e-4 <= abs(value) < 1e12:
        return f"{value:.6g}"
    digits = max(0, 5 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def value_of(kind: str, value: float | str | None) -> str:
    """Write a value of a column of some type: seconds as the date, time or duration they are."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value or "(empty)"
    match kind_of(kind):
        case "date" | "timestamp" as which if abs(value) < 2**53:
            moment = str(np.datetime64(math.floor(value), "s"))
            return moment.partition("T")[0] if which == "date" else moment.replace("T", " ")
        case "time of day" if 0 <= value <= DAY:
            return str(np.datetime64(math.floor(value), "s")).partition("T")[2]
        case "duration":
            return f"{figure(value)} s"
        case "boolean":
            return "true" if value == 1 else "false" if value == 0 else figure(value)
    return figure(value)


def facts() -> dict[str, Callable[[ColumnProfile], str]]:
    """Return the statistics that a column may have, each with how it is written."""
    return {
        "values": lambda c: figure(c.count),
        "missing": lambda c: percent(c.null_share) if c.nulls else "none",
        "not a number": lambda c: _share(c.nans, c),
        "infinite": lambda c: _share(c.infinities, c),
        "distinct": distinct,
        "zero": lambda c: _share(c.zeros, c) if kind_of(c.type) in ("integer", "number") else "",
        "smallest": lambda c: value_of(c.type, c.min),
        **{_name(share): _quantile(share) for share in QUANTILES},
        "largest": lambda c: value_of(c.type, c.max),
        "mean": lambda c: value_of(c.type, c.mean),
        "deviation": _deviation,
        "length": lambda c: _lengths(c.lengths),
        "looks like": _looks,
    }


def distinct(column: ColumnProfile) -> str:
    """Write how many values differ: an estimate may not exceed how many there are."""
    if column.values is not None:
        return figure(column.distinct)
    return f"about {figure(min(column.distinct, column.count - column.nulls))}"


def _name(share: float) -> str:
    return "median" if share == 0.5 else f"{share:.0%}".replace("%", " % below")


def _quantile(share: float) -> Callable[[ColumnProfile], str]:
    def told(column: ColumnProfile) -> str:
        kind, value = kind_of(column.type), quantile_of(column, share)
        if value is None or kind == "boolean":
            return ""
        return value_of(column.type, value if column.values is not None else as_sure(column, value))

    return told


def as_sure(column: ColumnProfile, value: float) -> float:
    """Round a quantile to what is known of it: it is off by up to 1 %."""
    if is_moment(column):
        return value
    rounded = float(f"{value:.3g}")
    return round(value) if kind_of(column.type) == "integer" and abs(value) < 1000 else rounded


def _share(count: int, column: ColumnProfile) -> str:
    return percent(count / column.count) if count else ""


def _deviation(column: ColumnProfile) -> str:
    spread = column.deviation
    if spread is None or not math.isfinite(spread) or kind_of(column.type) == "boolean":
        return ""
    if is_moment(column):
        return f"{figure(float(f'{spread / DAY:.3g}'))} days"
    return value_of("duration", spread) if kind_of(column.type) == "duration" else figure(spread)


def _lengths(lengths: Lengths | None) -> str:
    if lengths is None:
        return ""
    if lengths.min == lengths.max:
        return figure(lengths.min)
    mean = float(f"{lengths.mean:.3g}")
    return f"{figure(lengths.min)} to {figure(lengths.max)}, {figure(mean)} on average"


_LOOKS = {"bool": "truth value", "missing": "placeholder of nothing", "float": "number"}


def _looks(column: ColumnProfile) -> str:
    total = sum(column.looks.values())
    known = sorted(column.looks.items(), key=lambda item: -item[1])
    if [look for look, _ in known] == ["text"]:
        return ""
    return ", ".join(f"{_LOOKS.get(look, look)} {percent(n / total)}" for look, n in known)
