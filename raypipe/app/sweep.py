"""The sweep of a run: its trials, what mattered, and its report."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from raypipe.app.assemble import Workshop
from raypipe.app.cycle import searched
from raypipe.app.inspect import kept
from raypipe.app.look import look
from raypipe.config.cycle import CycleConfig
from raypipe.engine.records import Json, RunRecord
from raypipe.errors import NotFound
from raypipe.values.tuning import Trial, ranked


def sweep(name: str, home: Path | None, out: Path | None = None) -> Json:
    """Return the trials of a run's sweep, best so far, and how much each setting mattered.

    With `out` the report is written there too.
    """
    from raypipe.stages.tuning.importance import best_so_far, importance

    workshop = look(home)
    run = workshop.ledger.get_run(name)
    trials = trials_of(workshop, run)
    if not trials:
        raise NotFound(
            f"run {run.id} has no trials"
            + ("" if run.settings else ": it is of a script, which makes no sweeps"),
            hint="a sweep is made where a settings file has `tuning.space`",
        )
    search = searched(CycleConfig.model_validate(run.settings).tuning)
    if out is not None:
        from raypipe.pages.page import write
        from raypipe.stages.tuning.report import render

        write(render(trials, search, run.pipeline), out)
    order = ranked(trials, search)
    return {
        "run": run.id,
        "metric": search.metric,
        "more_is_better": search.more_is_better,
        "best": order[0].number if order else None,
        "importance": importance(trials, search),
        "best_so_far": best_so_far(trials, search),
        "trials": [{**asdict(one), "best": one is order[0]} for one in trials] if order else [],
        "out": None if out is None else str(out),
    }


def trials_of(workshop: Workshop, run: RunRecord) -> list[Trial]:
    """Return the trials that a run made or found, by their numbers."""
    states = workshop.ledger.run_steps(run.id)
    found: list[Any] = [kept(workshop, one) for one in states if one.name.startswith("trial[")]
    return sorted((one for one in found if isinstance(one, Trial)), key=lambda one: one.number)
