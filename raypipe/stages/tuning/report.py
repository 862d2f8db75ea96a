"""A sweep as one HTML file that needs nothing else: no script, no font, nothing from outside."""

from pathlib import Path

from markupsafe import Markup

from raypipe.pages import page
from raypipe.stages.tuning import charts
from raypipe.stages.tuning.importance import best_so_far, importance
from raypipe.values.tuning import Search, Trial, ranked


def render(trials: list[Trial], search: Search, name: str) -> str:
    """Return the page; everything that comes from settings is escaped."""
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
    return page.render(
        Path(__file__).with_name("templates"),
        "sweep.html",
        name=name,
        trials=[*order, *(one for one in trials if one.failed)],
        search=search,
        importance=mattered,
        best=best,
        charts={key: Markup(svg) for key, svg in drawn.items()},
    )
