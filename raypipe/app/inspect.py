"""Runs and lineage as read-only records: what the terminal and scripts show."""

import math
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from raypipe.app.alive import as_it_is
from raypipe.app.assemble import Workshop
from raypipe.app.look import look
from raypipe.app.models import find_version
from raypipe.engine.records import Json, RunRecord, RunStatus, StepState
from raypipe.errors import StoreError
from raypipe.values.tuning import Trial, Tuned

MANY = 1000
"""Newest runs among which the one is looked for that went on after a review."""
CHOOSING = ("choose", "recall")
"""Steps that say which settings training goes on with."""


def runs(home: Path | None, last: int = 20) -> list[Json]:
    """Return the newest runs, newest first, with the reviews that each waits for."""
    workshop = look(home)
    found = [as_it_is(workshop, run) for run in workshop.ledger.list_runs(limit=last)]
    return [{**asdict(run), "reviews": _reviews(workshop, run, found)} for run in found]


def _reviews(workshop: Workshop, run: RunRecord, runs: Iterable[RunRecord]) -> list[Json]:
    """Return the reviews that a run waits for: their status, and whether a run went on since."""
    if run.status != RunStatus.WAITING:
        return []
    begun = [other.created for other in runs if _name(other) == _name(run)]
    reviews = [
        workshop.ledger.get_review(state.reason.what)
        for state in workshop.ledger.run_steps(run.id)
        if state.action == "wait" and state.reason.kind == "review"
    ]
    return [
        {
            "id": review.id,
            "step": review.step,
            "status": review.status,
            "went_on": any(time > (review.decided or math.inf) for time in begun),
        }
        for review in reviews
    ]


def _name(run: RunRecord) -> tuple[str, str]:
    return run.project, run.pipeline


def run(name: str, home: Path | None) -> Json:
    """Return one run with its steps, every attempt at one, and where each of its curves ended."""
    workshop = look(home)
    ledger = workshop.ledger
    record = as_it_is(workshop, ledger.get_run(name))
    steps = ledger.run_steps(record.id)
    names = dict.fromkeys(state.name.partition("[")[0] for state in steps)  # not of each trial
    points = [metric for step in names for metric in ledger.metrics(record.id, step)]
    since = ledger.list_runs(record.project, limit=MANY)
    return {
        **asdict(record),
        "reviews": _reviews(workshop, record, since),
        "steps": [state.to_json() for state in steps],
        "executions": [asdict(row) for row in ledger.executions(record.id)],
        "metrics": {metric.name: metric.value for metric in points},
        "trials": _trials(workshop, steps),
    }


def _trials(workshop: Workshop, steps: list[StepState]) -> list[Json]:
    """Return the trials of a run's sweep, and which of them its training went on with."""
    kept = {state.name: _kept(workshop, state) for state in steps if state.name in CHOOSING}
    best = next((value.trial for value in kept.values() if isinstance(value, Tuned)), None)
    found = [_kept(workshop, state) for state in steps if state.name.startswith("trial[")]
    return [{**asdict(one), "best": one.number == best} for one in found if isinstance(one, Trial)]


def _kept(workshop: Workshop, state: StepState) -> Any:
    """Return what a step gave; None if there is nothing, or it is gone."""
    if state.digest is None:
        return None
    try:
        return workshop.codec.decode(workshop.artifacts.read(state.digest), workshop.artifacts)
    except StoreError:
        return None


def logs(name: str, home: Path | None) -> Json:
    """Return what the steps of a run printed, by step, and the curves that they logged."""
    workshop = look(home)
    record = workshop.ledger.get_run(name)
    folder = workshop.paths.runs / record.id
    printed = {file.stem: file.read_text().splitlines() for file in sorted(folder.glob("*.log"))}
    steps = dict.fromkeys(state.name for state in workshop.ledger.run_steps(record.id))
    bases = dict.fromkeys(name.partition("[")[0] for name in steps)
    curves = {
        f"metrics of {step}": [f"{m.name} {m.step}: {m.value:.6g}" for m in points]
        for step in {**bases, **steps}
        if (points := workshop.ledger.metrics(record.id, step))
    }
    return {**printed, **curves}


def lineage(model: str, home: Path | None) -> Json:
    """Return what a version was made of: run, commit, shards, code, settings, review."""
    workshop = look(home)
    row = find_version(workshop.ledger, model)
    record = workshop.ledger.get_run(row.run)
    decided = [
        asdict(review)
        for review in workshop.ledger.list_reviews("approved")
        if review.evidence == row.evaluation
    ]
    return {
        "model": row.model,
        "version": row.version,
        "run": row.run,
        "commits": dict(record.commits),
        "lineage": row.lineage,
        "review": decided[0] if decided else None,
    }
