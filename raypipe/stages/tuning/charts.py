"""Charts of a sweep: parallel coordinates, what mattered, best so far, curves of its trials."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from raypipe.config.tuning import ChoicesConfig, RangeConfig
from raypipe.pages.charts import GREY, INK, SECOND, data, svg
from raypipe.values.tuning import Search, Trial

GOOD = 5
"""Best trials that stand out."""


def importance_chart(importance: Mapping[str, float]) -> str:
    """Return a bar for each setting."""
    rows = [{"setting": key, "share": value} for key, value in importance.items()]
    bars = (
        alt.Chart(data(rows))
        .mark_bar(color=INK)
        .encode(
            y=alt.Y("setting:N", title=None, sort=None, axis=alt.Axis(labelLimit=260)),
            x=alt.X("share:Q", title="how much it mattered"),
        )
    )
    return svg(bars.properties(width=360))


def best_chart(best: Sequence[Mapping[str, Any]], metric: str) -> str:
    """Return each trial as a point, and the best up to it as a line."""
    rows = [dict(one) for one in best if one["value"] is not None and one["best"] is not None]
    x = alt.X("number:Q", title="trial", axis=alt.Axis(tickMinStep=1))
    scale = alt.Scale(zero=False)
    points = (
        alt.Chart(data(rows))
        .mark_point(color=GREY, filled=True)
        .encode(x=x, y=alt.Y("value:Q", title=metric, scale=scale))
    )
    line = (
        alt.Chart(data(rows))
        .mark_line(color=INK, interpolate="step-after")
        .encode(x=x, y=alt.Y("best:Q", title=metric, scale=scale))
    )
    return svg((points + line).properties(width=420, height=220))


def curves_chart(trials: Sequence[Trial], search: Search, best: int | None) -> str:
    """Return the curve of each trial, epoch by epoch; the best one stands out."""
    rows = [
        {"trial": one.number, "epoch": row["epoch"], "value": row[search.metric]}
        for one in trials
        for row in one.history
        if math.isfinite(row.get(search.metric, math.nan))
    ]

    def lines(chosen: list[dict[str, Any]], color: str, width: float) -> Any:
        return (
            alt.Chart(data(chosen))
            .mark_line(color=color, strokeWidth=width, point={"color": color, "size": 12})
            .encode(
                x=alt.X("epoch:Q", axis=alt.Axis(tickMinStep=1)),
                y=alt.Y("value:Q", title=search.metric, scale=alt.Scale(zero=False)),
                detail="trial:N",
            )
        )

    others = [row for row in rows if row["trial"] != best]
    own = [row for row in rows if row["trial"] == best]
    drawn = lines(others, GREY, 0.8) + lines(own, INK, 2)
    return svg(drawn.properties(width=420, height=220))


def parallel_chart(trials: Sequence[Trial], search: Search, ranks: Mapping[int, int]) -> str:
    """Return a line for each trial over an axis for each setting and one for the metric.

    Each axis goes from its least at the bottom to its most; a choice is told by its place.
    """
    done = [one for one in trials if not one.failed]
    axes = [*search.space, search.metric]
    ends = {key: _ends(key, done, search) for key in axes}
    rows = [
        {
            "trial": one.number,
            "setting": key,
            "height": _height(_at(key, one, search), ends[key]),
            "best": ranks.get(one.number, GOOD) < GOOD,
        }
        for one in done
        for key in axes
    ]
    x = alt.X("setting:N", sort=axes, title=None, axis=alt.Axis(labelAngle=-20, labelLimit=260))
    y = alt.Y("height:Q", title=None, axis=None)

    def lines(chosen: list[dict[str, Any]], color: str, width: float) -> Any:
        drawn = alt.Chart(data(chosen)).mark_line(color=color, strokeWidth=width)
        return drawn.encode(x=x, y=y, detail="trial:N")

    words = [
        {"setting": key, "height": height, "said": said}
        for key in axes
        for height, said in zip((0.0, 1.0), _words(key, ends[key], search), strict=True)
    ]
    texts = (
        alt.Chart(data(words))
        .mark_text(color=SECOND, dx=6, align="left", fontSize=10)
        .encode(x=x, y=y, text="said:N")
    )
    others = [row for row in rows if not row["best"]]
    good = [row for row in rows if row["best"]]
    drawn = lines(others, GREY, 0.7) + lines(good, INK, 1.6) + texts
    return svg(drawn.properties(width=max(420, 110 * len(axes)), height=240))


def _at(key: str, trial: Trial, search: Search) -> float:
    """Return where a trial lies on an axis, in the magnitudes that are searched."""
    if key == search.metric and key not in search.space:
        return trial.metrics[key]
    dimension = search.space[key]
    if isinstance(dimension, ChoicesConfig):
        return [json.dumps(one) for one in dimension.choices].index(json.dumps(trial.chosen[key]))
    value = float(trial.chosen[key])
    return math.log(value) if dimension.log else value


def _ends(key: str, trials: Sequence[Trial], search: Search) -> tuple[float, float]:
    dimension = search.space.get(key)
    if isinstance(dimension, ChoicesConfig):
        return 0.0, len(dimension.choices) - 1.0
    if isinstance(dimension, RangeConfig):
        low, high = float(dimension.low), float(dimension.high)
        return (math.log(low), math.log(high)) if dimension.log else (low, high)
    values = [one.metrics[search.metric] for one in trials] or [0.0]
    return min(values), max(values)


def _height(value: float, ends: tuple[float, float]) -> float:
    low, high = ends
    return (value - low) / (high - low) if high > low else 0.5


def _words(key: str, ends: tuple[float, float], search: Search) -> tuple[str, str]:
    dimension = search.space.get(key)
    if isinstance(dimension, ChoicesConfig):
        first, *_, last = (json.dumps(one)[:24] for one in dimension.choices)
        return first, last
    if isinstance(dimension, RangeConfig):
        return f"{dimension.low:g}", f"{dimension.high:g}"
    return f"{ends[0]:.4g}", f"{ends[1]:.4g}"
