"""Runs and lineage as read-only records: what the terminal and scripts show."""

from dataclasses import asdict
from pathlib import Path

from raypipe.app.alive import as_it_is
from raypipe.app.look import look
from raypipe.app.models import find_version
from raypipe.engine.records import Json, RunRecord


def runs(home: Path | None, last: int = 20) -> list[RunRecord]:
    """Return the newest runs, newest first."""
    workshop = look(home)
    return [as_it_is(workshop, run) for run in workshop.ledger.list_runs(limit=last)]


def run(name: str, home: Path | None) -> Json:
    """Return one run with its steps, every attempt at one, and where each of its curves ended."""
    workshop = look(home)
    ledger = workshop.ledger
    record = as_it_is(workshop, ledger.get_run(name))
    steps = ledger.run_steps(record.id)
    last = {metric.name: metric.value for metric in ledger.metrics(record.id)}
    return {
        **asdict(record),
        "steps": [state.to_json() for state in steps],
        "executions": [asdict(row) for row in ledger.executions(record.id)],
        "metrics": last,
    }


def logs(name: str, home: Path | None) -> Json:
    """Return what the steps of a run printed, by step, and the curves that they logged."""
    workshop = look(home)
    record = workshop.ledger.get_run(name)
    folder = workshop.paths.runs / record.id
    printed = {file.stem: file.read_text().splitlines() for file in sorted(folder.glob("*.log"))}
    curves = [f"{m.name} {m.step}: {m.value:.6g}" for m in workshop.ledger.metrics(record.id)]
    return {**printed, **({"metrics": curves} if curves else {})}


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
