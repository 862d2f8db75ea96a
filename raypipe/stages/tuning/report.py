"""A sweep as HTML that needs nothing else: no script, no font, nothing from outside.

A page of its own, or a part of the report of the run that made it.
"""

from pathlib import Path
from typing import Any

from markupsafe import Markup

from raypipe.pages import page
from raypipe.stages.tuning import charts
from raypipe.stages.tuning.importance import best_so_far, importance
from raypipe.values.tuning import Search, Trial, ranked

FOLDER = Path(__file__).with_name("templates")


def render(trials: list[Trial], search: Search, name: str) -> str:
    """Return the page; everything that comes from settings is escaped."""
    return page.render(FOLDER, "sweep.html", name=name, level=2, **_found(trials, search))


def render_part(trials: list[Trial], search: Search) -> str:
    """Return what the page says, to stand under a heading of another page."""
    template = page.templates(FOLDER).get_template("found.html")
    return template.render(level=3, **_found(trials, search))


def _found(trials: list[Trial], search: Search) -> dict[str, Any]:
    order = ranked(trials, search)
    mattered = importance(trials, search)
    best = order[0].number if order else None
    drawn = {
        "best": charts.best_chart(best_so_far(trials, search), search.metric),
        "parallel": charts.parallel_chart(
            trials, search, {one.number: place for place, one in enumerate(order)}
        ),
        "curves": charts.curves_chart(trials, search, best),
    }
    if mattered:
        drawn["importance"] = charts.importance_chart(mattered)
    return {
        "trials": [*order, *(one for one in trials if one.failed)],
        "search": search,
        "importance": mattered,
        "best": best,
        "charts": {key: Markup(svg) for key, svg in drawn.items()},
    }
