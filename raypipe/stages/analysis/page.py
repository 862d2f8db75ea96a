"""The evaluation as one HTML file that needs nothing else.

No script, no font, no picture from outside.
"""

from collections.abc import Sequence
from functools import partial
from math import isnan
from pathlib import Path

from markupsafe import Markup

from raypipe.pages import page
from raypipe.stages.analysis import charts
from raypipe.values.evaluation import Evaluation
from raypipe.values.validation import Validation


def render(
    evaluation: Evaluation,
    validation: Validation,
    history: Sequence[dict[str, float]],
    name: str,
    sweep: str = "",
) -> str:
    """Return the page; everything that comes from data is escaped.

    `sweep` is HTML already, as the tuning stage made it: it stands as it is.
    """
    first = next(iter(evaluation.metrics))
    return page.render(
        Path(__file__).with_name("templates"),
        "report.html",
        name=name,
        e=evaluation,
        v=validation,
        history=history,
        first=first,
        charts=_charts(evaluation, history, first),
        sweep=Markup(sweep),
        f="{:.4f}".format,
        d="{:+.4f}".format,
        n=_number,
        zip=partial(zip, strict=True),
    )


def _number(value: float) -> str:
    return "not defined" if isnan(value) else f"{value:.4f}".removesuffix(".0000")


def _charts(
    evaluation: Evaluation, history: Sequence[dict[str, float]], first: str
) -> dict[str, Markup]:
    drawn: dict[str, str] = {}
    if evaluation.curves:
        drawn |= {
            "roc": charts.roc_chart(evaluation),
            "pr": charts.pr_chart(evaluation),
            "calibration": charts.calibration_chart(evaluation),
            "histogram": charts.histogram_chart(evaluation),
        }
    if evaluation.slices:
        drawn["slices"] = charts.slices_chart(evaluation, first)
    if history:
        drawn["learning"] = charts.learning_chart(history)
    return {name: Markup(svg) for name, svg in drawn.items()}
