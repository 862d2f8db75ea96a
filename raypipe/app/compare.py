"""Two runs side by side: what they were given, which code, and what came of it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from raypipe.app.alive import as_it_is
from raypipe.app.assemble import Workshop
from raypipe.app.look import look
from raypipe.engine.difference import Change, changes
from raypipe.engine.records import Fingerprint, Json, RunRecord


def compare(first: str, second: str, home: Path | None) -> Json:
    """Return what differs between two runs, and their metrics side by side."""
    workshop = look(home)
    pair = [as_it_is(workshop, workshop.ledger.get_run(name)) for name in (first, second)]
    keys = [_keys(workshop, run) for run in pair]
    before, now = pair
    return {
        "runs": [
            {"id": r.id, "pipeline": r.pipeline, "status": r.status, "created": r.created}
            for r in pair
        ],
        "settings": differing(flat(before.settings), flat(now.settings)),
        "parameters": differing(_parameters(before), _parameters(now)),
        "commits": differing(before.commits, now.commits),
        "code": {"kept": [before.code, now.code], "changes": _code(workshop, *keys)},
        "steps": list(_steps(workshop, pair, keys)),
        "metrics": both(
            _last_points(workshop, before, keys[0]), _last_points(workshop, now, keys[1])
        ),
    }


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


def differing(before: Mapping[str, Json], now: Mapping[str, Json]) -> dict[str, list[Json]]:
    """Return what differs by name, each with both values; what one has not is None."""
    names = dict.fromkeys([*before, *now])
    return {
        name: [before.get(name), now.get(name)]
        for name in names
        if before.get(name) != now.get(name) or (name in before) != (name in now)
    }


def both(before: Mapping[str, float], now: Mapping[str, float]) -> dict[str, list[float | None]]:
    """Return every name with both values."""
    names = dict.fromkeys([*before, *now])
    return {name: [before.get(name), now.get(name)] for name in names}


# --- what the ledger has ------------------------------------------------------------------------


def _parameters(run: RunRecord) -> dict[str, Json]:
    return dict((run.parameters or {}).get("parameters") or {})


def _keys(workshop: Workshop, run: RunRecord) -> dict[str, str]:
    """Return the key of each step of a run, that of its attempts where it was killed."""
    ledger = workshop.ledger
    tried = {row.step: row.key for row in ledger.executions(run.id) if row.key}
    return tried | {state.name: state.key for state in ledger.run_steps(run.id) if state.key}


def _code(workshop: Workshop, before: Mapping[str, str], now: Mapping[str, str]) -> list[Json]:
    """Return the symbols and packages that differ, each with the steps that reach it."""
    found: dict[Change, list[str]] = {}
    for step in before.keys() & now.keys():
        if before[step] != now[step]:
            for change in _changes(workshop, before[step], now[step]):
                found.setdefault(change, []).append(step)
    ordered = sorted(found.items(), key=lambda item: (item[0].kind, item[0].what))
    return [{**change.to_json(), "steps": sorted(steps)} for change, steps in ordered]


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
    workshop: Workshop, pair: Sequence[RunRecord], keys: Sequence[Mapping[str, str]]
) -> Iterator[Json]:
    """Yield each step of either run: whether it was the same, gave the same, and took how long."""
    states = [{s.name: s for s in workshop.ledger.run_steps(run.id)} for run in pair]
    for name in dict.fromkeys([*states[0], *states[1]]):
        was, now = (found.get(name) for found in states)
        alike = was is not None and now is not None
        yield {
            "name": name,
            "same": alike and keys[0].get(name) == keys[1].get(name),
            "gave the same": bool(alike and was and now and was.digest == now.digest),
            "actions": [one and one.action for one in (was, now)],
            "seconds": [one and one.seconds for one in (was, now)],
        }


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
