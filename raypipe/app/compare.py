"""Runs side by side: what they were given, which code, and what came of it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from raypipe.app.alive import as_it_is
from raypipe.app.assemble import Workshop
from raypipe.app.inspect import kept
from raypipe.app.look import look
from raypipe.app.remarks import told
from raypipe.engine.difference import Change, changes
from raypipe.engine.records import Fingerprint, Json, RunRecord, StepState
from raypipe.errors import UsageError
from raypipe.values.profile import SplitProfiles


def compare(names: Sequence[str], home: Path | None, *, every: bool = False) -> Json:
    """Return what differs between runs, and their metrics, side by side in the order given.

    With `every` also what is alike. Code is held against that of the first run.
    """
    if len(names) < 2:
        raise UsageError(
            "a comparison needs two runs or more", hint="`raypipe runs list` shows those there are"
        )
    workshop = look(home)
    runs = [as_it_is(workshop, workshop.ledger.get_run(name)) for name in names]
    keys = [_keys(workshop, run) for run in runs]
    states = [{s.name: s for s in workshop.ledger.run_steps(run.id)} for run in runs]
    remarks = workshop.ledger.remarks([run.id for run in runs])
    beside = together if every else differing
    return {
        "runs": [
            {
                "id": r.id,
                "pipeline": r.pipeline,
                "status": r.status,
                "created": r.created,
                **told(remarks.get(r.id, ())),
            }
            for r in runs
        ],
        "settings": beside(*(flat(run.settings) for run in runs)),
        "parameters": beside(*map(_parameters, runs)),
        "commits": beside(*(run.commits for run in runs)),
        "rows": beside(*(_rows(workshop, known) for known in states)),
        "code": {"kept": [run.code for run in runs], "changes": _code(workshop, runs, keys)},
        "steps": list(_steps(states, keys)),
        "metrics": together(
            *(_last_points(workshop, run, own) for run, own in zip(runs, keys, strict=True))
        ),
    }


PROFILED = "merge_profiles"
"""The step that knows all rows; where they are many, it merges parts of them before."""


# --- decisions (pure) ---------------------------------------------------------------------------


def flat(data: Json, place: str = "") -> dict[str, Json]:
    """Return nested data as dotted names to values; an empty container counts as a value."""
    items: Iterator[tuple[Any, Json]] | None = None
    if isinstance(data, Mapping) and data:
        items = iter(data.items())
    elif isinstance(data, list) and any(isinstance(item, Mapping | list) for item in data):
        items = iter(enumerate(data))
    if items is None:
        return {place: data} if place else {}
    found: dict[str, Json] = {}
    for key, item in items:
        found |= flat(item, f"{place}.{key}" if place else str(key))
    return found


def differing(*data: Mapping[str, Json]) -> dict[str, list[Json]]:
    """Return what differs by name, each with its value in each; what one has not is None."""
    return {
        name: values
        for name, values in together(*data).items()
        if any(one != values[0] for one in values) or len({name in one for one in data}) > 1
    }


def together(*data: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return every name with its value in each; what one has not is None."""
    names = dict.fromkeys(name for one in data for name in one)
    return {name: [one.get(name) for one in data] for name in names}


# --- what the ledger has ------------------------------------------------------------------------


def _parameters(run: RunRecord) -> dict[str, Json]:
    return dict((run.parameters or {}).get("parameters") or {})


def _keys(workshop: Workshop, run: RunRecord) -> dict[str, str]:
    """Return the key of each step of a run, that of its attempts where it was killed."""
    ledger = workshop.ledger
    tried = {row.step: row.key for row in ledger.executions(run.id) if row.key}
    return tried | {state.name: state.key for state in ledger.run_steps(run.id) if state.key}


def _code(
    workshop: Workshop, runs: Sequence[RunRecord], keys: Sequence[Mapping[str, str]]
) -> list[Json]:
    """Return the symbols and packages that differ from the first run's, and where.

    Each has the steps that reach it, and the runs in which it is so.
    """
    steps: dict[Change, set[str]] = {}
    where: dict[Change, list[str]] = {}
    first = keys[0]
    for run, own in zip(runs[1:], keys[1:], strict=True):
        for step in sorted(first.keys() & own.keys()):
            if first[step] != own[step]:
                for change in _changes(workshop, first[step], own[step]):
                    steps.setdefault(change, set()).add(step)
                    if run.id not in where.setdefault(change, []):
                        where[change].append(run.id)
    ordered = sorted(steps, key=lambda change: (change.kind, change.what))
    return [{**one.to_json(), "steps": sorted(steps[one]), "runs": where[one]} for one in ordered]


def _changes(workshop: Workshop, before: str, now: str) -> Iterator[Change]:
    ledger = workshop.ledger
    old, new = ledger.result_of(before), ledger.result_of(now)
    if old is None or new is None:
        return
    code_now = ledger.fingerprint(new.explanation.fingerprint)
    code_before = ledger.fingerprint(old.explanation.fingerprint)
    unknown = Fingerprint(digest="", symbols={}, packages={})
    for change in changes(old.explanation, new.explanation, code_before, code_now or unknown):
        if change.kind in {"code", "package"}:
            yield change


def _steps(
    states: Sequence[Mapping[str, StepState]], keys: Sequence[Mapping[str, str]]
) -> Iterator[Json]:
    """Yield each step of any run: whether it was the same, gave the same, and took how long."""
    for name in dict.fromkeys(name for known in states for name in known):
        found = [known.get(name) for known in states]
        alike = None not in found
        yield {
            "name": name,
            "same": alike and len({own.get(name) for own in keys}) == 1,
            "gave the same": alike and len({one.digest for one in found if one}) == 1,
            "actions": [one and one.action for one in found],
            "seconds": [one and one.seconds for one in found],
        }


def _rows(workshop: Workshop, states: Mapping[str, StepState]) -> dict[str, int]:
    """Return how many rows a run looked at, by split; nothing where it profiled none."""
    merged = [
        value
        for name, state in states.items()
        if name.partition("#")[0] == PROFILED
        and isinstance(value := kept(workshop, state), SplitProfiles)
    ]
    if not merged:
        return {}
    whole = max(merged, key=lambda value: value.train.rows + value.analysis.rows)
    return {name: getattr(whole, name).rows for name in ("train", "validation", "analysis")}


def _last_points(workshop: Workshop, run: RunRecord, keys: Mapping[str, str]) -> dict[str, float]:
    """Return where each curve ended, of the run that made a result where it was kept."""
    found: dict[str, float] = {}
    for step in dict.fromkeys(name.partition("[")[0] for name in keys):
        points = workshop.ledger.metrics(run.id, step)
        if not points and step in keys:
            made = workshop.ledger.result_of(keys[step])
            points = workshop.ledger.metrics(made.run, step) if made is not None else []
        found |= {f"{step}.{point.name}": point.value for point in points}
    return found
