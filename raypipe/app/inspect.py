"""Runs and lineage as read-only records: what the terminal and scripts show."""

import math
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from raypipe.app.alive import as_it_is
from raypipe.app.assemble import Workshop
from raypipe.app.facts import FIELDS, Facts
from raypipe.app.find_runs import find_runs
from raypipe.app.journal import at_work, journal_file
from raypipe.app.logs import undeclared
from raypipe.app.look import look
from raypipe.app.models import find_version
from raypipe.app.moments import read_since
from raypipe.app.remarks import told
from raypipe.app.where import read_where
from raypipe.engine.records import Json, RunRecord, RunStatus, StepState
from raypipe.errors import NotFound, StoreError
from raypipe.values.tuning import Trial, Tuned

MANY = 1000
"""Newest runs among which the one is looked for that went on after a review."""
CHOOSING = ("choose", "recall")
"""Steps that say which settings training goes on with."""


def runs(
    home: Path | None,
    last: int = 20,
    *,
    status: str | None = None,
    pipeline: str | None = None,
    since: str | None = None,
    where: str | None = None,
    sort: str | None = None,
) -> list[Json]:
    """Return the newest runs, newest first, with the reviews that each waits for.

    `where` is an expression that must hold of them, and `sort` what they are ordered by instead.
    """
    workshop = look(home)
    after = None if since is None else read_since(since, time.time())
    if where is None and sort is None:
        found = _runs(workshop, last, status, pipeline, after)
        remarks = workshop.ledger.remarks([run.id for run in found])
        shown: dict[str, dict[str, Json]] = {}
        whole: dict[str, dict[str, str]] = {}
    else:
        asked = read_where(where) if where is not None else None
        facts = find_runs(
            workshop, last, asked, sort, status=status, pipeline=pipeline, since=after
        )
        names = [*(asked.names if asked else ()), *([sort.removeprefix("-")] if sort else [])]
        found = [one.run for one in facts]
        remarks = {one.run.id: one.remarks for one in facts}
        shown = {one.run.id: _shown(one, names) for one in facts}
        whole = {one.run.id: {n: one.whole_name(n) for n in shown[one.run.id]} for one in facts}
    return [
        {
            **asdict(run),
            "reviews": _reviews(workshop, run, found),
            **told(remarks.get(run.id, ())),
            "shown": shown.get(run.id, {}),
            "shown_as": whole.get(run.id, {}),
        }
        for run in found
    ]


def _shown(facts: Facts, names: Iterable[str]) -> dict[str, Json]:
    """Return what a person asked for by name, and the list has no column of."""
    found = {}
    for name in names:
        if name not in FIELDS and name not in {"tags", "notes"}:
            with suppress(KeyError):
                found[name] = facts.find(name)
    return found


def _runs(
    workshop: Workshop, last: int, status: str | None, pipeline: str | None, since: float | None
) -> list[RunRecord]:
    """Return runs as they are: a lost one has failed, though the ledger has it as running."""

    def of(status: str | None) -> list[RunRecord]:
        found = workshop.ledger.list_runs(limit=last, pipeline=pipeline, status=status, since=since)
        return [as_it_is(workshop, run) for run in found]

    found = of(status)
    if status == RunStatus.FAILED:
        found += of(RunStatus.RUNNING)
        found.sort(key=lambda run: (run.created, run.id), reverse=True)
    return [run for run in found if status is None or run.status == status][:last]


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
            "note": review.note,
            "newer": review.newer,
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
    now = at_work(journal_file(workshop.paths, record.id))
    known = [*(state.name for state in steps), *(row.step for row in ledger.executions(record.id))]
    names = dict.fromkeys(name.partition("[")[0] for name in known)  # not of each trial
    points = [metric for step in names for metric in ledger.metrics(record.id, step)]
    since = ledger.list_runs(record.project, limit=MANY)
    return {
        **asdict(record),
        "reviews": _reviews(workshop, record, since),
        **told(ledger.remarks([record.id]).get(record.id, ())),
        "steps": [state.to_json() for state in steps] or now.ended,
        "at_work": list(now.at_work.values()) if record.status == RunStatus.RUNNING else [],
        "to_come": now.to_come if record.status == RunStatus.RUNNING else 0,
        "executions": [asdict(row) for row in ledger.executions(record.id)],
        "metrics": {metric.name: metric.value for metric in points},
        "trials": _trials(workshop, steps),
        "undeclared": undeclared(workshop, record),
    }


def _trials(workshop: Workshop, steps: list[StepState]) -> list[Json]:
    """Return the trials of a run's sweep, and which of them its training went on with."""
    chosen = {state.name: kept(workshop, state) for state in steps if state.name in CHOOSING}
    best = next((value.trial for value in chosen.values() if isinstance(value, Tuned)), None)
    found = [kept(workshop, state) for state in steps if state.name.startswith("trial[")]
    return [{**asdict(one), "best": one.number == best} for one in found if isinstance(one, Trial)]


def kept(workshop: Workshop, state: StepState) -> Any:
    """Return what a step gave; None if there is nothing, or it is gone."""
    if state.digest is None:
        return None
    try:
        return workshop.codec.decode(workshop.artifacts.read(state.digest), workshop.artifacts)
    except StoreError:
        return None


def code(name: str, home: Path | None, out: Path | None) -> Json:
    """Return the files of the code that a run used; with `out` they are written there."""
    from raypipe.app.code import packed_code, write_out
    from raypipe.store.snapshot import contents

    workshop = look(home)
    record = workshop.ledger.get_run(name)
    if not record.code:
        raise NotFound(
            f"run {record.id} kept no code",
            hint="code is kept once a run executes something; this one executed nothing",
        )
    packed = packed_code(workshop, record.code)
    if out is not None:
        write_out(packed, out)
    return {
        "run": record.id,
        "code": record.code,
        "out": None if out is None else str(out),
        "files": {name: len(content) for name, content in sorted(contents(packed).items())},
    }


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
