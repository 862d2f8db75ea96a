"""Charts of an evaluation: curves, calibration, slices and learning."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from raypipe.pages.charts import GREY, INK, SECOND
from raypipe.pages.charts import data as _data
from raypipe.pages.charts import svg as _svg
from raypipe.values.evaluation import Evaluation

DIAGONAL = [{"x": 0.0, "y": 0.0}, {"x": 1.0, "y": 1.0}]


def slices_chart(evaluation: Evaluation, metric: str) -> str:
    """Return each slice's metric with its interval, beside that of all rows."""
    rows = [
        {
            "slice": f"{one.column} = {one.value}",
            "value": one.metrics[metric].value,
            "low": one.metrics[metric].low,
            "high": one.metrics[metric].high,
        }
        for one in evaluation.slices
    ]
    base = alt.Chart(_data(rows)).encode(y=alt.Y("slice:N", title=None, sort=None))
    scale = alt.Scale(zero=False)
    ranges = base.mark_rule(color=INK).encode(
        x=alt.X("low:Q", title=metric, scale=scale), x2="high:Q"
    )
    points = base.mark_point(filled=True, size=50, color=INK).encode(x="value:Q")
    overall = alt.Chart(_data([{"value": evaluation.metrics[metric].value}])).mark_rule(
        color=GREY, strokeDash=[4, 3]
    )
    return _svg((ranges + points + overall.encode(x="value:Q")).properties(width=420))


def calibration_chart(evaluation: Evaluation) -> str:
    """Return the share of positives by predicted probability."""
    rows = [
        {"predicted": float(mean), "observed": float(seen), "rows": float(count)}
        for count, mean, seen in evaluation.curves["calibration"]
        if count
    ]
    domain = alt.Scale(domain=[0, 1])
    diagonal = _line(DIAGONAL, GREY, "predicted probability", "share observed")
    points = (
        alt.Chart(_data(rows))
        .mark_line(point=True, color=INK)
        .encode(
            x=alt.X("predicted:Q", title="predicted probability", scale=domain),
            y=alt.Y("observed:Q", title="share observed", scale=domain),
        )
    )
    return _svg((diagonal + points).properties(width=260, height=260))


def roc_chart(evaluation: Evaluation) -> str:
    """Return the ROC curve."""
    points = [{"x": float(x), "y": float(y)} for x, y in evaluation.curves["roc"]]
    curve = _line(points, INK, "false positive rate", "true positive rate")
    diagonal = _line(DIAGONAL, GREY, "false positive rate", "true positive rate")
    return _svg((diagonal + curve).properties(width=260, height=260))


def pr_chart(evaluation: Evaluation) -> str:
    """Return precision by recall."""
    points = [{"x": float(x), "y": float(y)} for x, y in evaluation.curves["pr"]]
    curve = _line(points, INK, "recall", "precision")
    return _svg(curve.properties(width=260, height=260))


def histogram_chart(evaluation: Evaluation, classes: Sequence[str] = ("no", "yes")) -> str:
    """Return how often each score was given, by the true class."""
    rows = [
        {"score": (place + 0.5) / 20, "rows": float(counts[side]), "class": classes[side]}
        for place, counts in enumerate(evaluation.curves["histogram"])
        for side in (0, 1)
    ]
    chart = (
        alt.Chart(_data(rows))
        .mark_area(opacity=0.55, interpolate="step")
        .encode(
            x=alt.X("score:Q", title="score"),
            y=alt.Y("rows:Q", title="rows", stack=None),
            color=alt.Color("class:N", scale=alt.Scale(range=[INK, SECOND])),
        )
    )
    return _svg(chart.properties(width=260, height=220))


def learning_chart(history: Sequence[dict[str, float]]) -> str:
    """Return train and validation loss by epoch."""
    rows = [
        {"epoch": row["epoch"], "loss": row[name], "split": split}
        for row in history
        for name, split in (("train_loss", "train"), ("loss", "validation"))
        if name in row
    ]
    chart = (
        alt.Chart(_data(rows))
        .mark_line(point=True)
        .encode(
            x=alt.X("epoch:Q", axis=alt.Axis(tickMinStep=1)),
            y=alt.Y("loss:Q", scale=alt.Scale(zero=False)),
            color=alt.Color("split:N", scale=alt.Scale(range=[INK, SECOND])),
        )
    )
    return _svg(chart.properties(width=320, height=220))


def _line(rows: list[dict[str, float]], color: str, x: str = "", y: str = "") -> Any:
    encoding = {
        "x": alt.X("x:Q", title=x or None, scale=alt.Scale(domain=[0, 1])),
        "y": alt.Y("y:Q", title=y or None, scale=alt.Scale(domain=[0, 1])),
        "order": alt.Order("x:Q"),
    }
    dash = [4, 3] if color == GREY else [1, 0]
    return alt.Chart(_data(rows)).mark_line(color=color, strokeDash=dash).encode(**encoding)
