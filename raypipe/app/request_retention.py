"""Which segments of the request log have had their time, and nothing that reads it needs.

Who reads it: `feedback join` (joining, live quality, drift, captures), `feedback add`, and
`requests audit` and `export`, which hold the log while they do. Captured rows are in artifacts, and
publishing them reads no log; their requests stay all the same until they are data.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import Any

import pyarrow.compute as pc

from raypipe.app.alive import as_it_is
from raypipe.app.assemble import Workshop
from raypipe.app.captured import REVIEW, SUFFIX, captured_of
from raypipe.app.retention import DAY, asked_of_log
from raypipe.engine.records import Json, RunRecord, RunStatus
from raypipe.errors import StoreError
from raypipe.store.segments import (
    Found,
    Going,
    Segment,
    alone,
    inspect,
    read_removed,
    read_segment,
    remove,
)
from raypipe.values.feedback import Findings

JOINED = {RunStatus.SUCCEEDED, RunStatus.WAITING, RunStatus.REJECTED}
"""Ends of a run that joined all there was."""
LOOKED_AT = 50
"""Newest runs of a pipeline among which one is looked for that came so far."""
MARGIN = DAY
"""Seconds before a join began from which on it may not have read a label: it lists the log first,
and clocks differ.
"""


def retire_requests(workshop: Workshop, *, dry_run: bool) -> Json:
    """Remove segments that `store.keep.requests` keeps no longer; say which, and what keeps all."""
    folder = workshop.paths.requests
    days = asked_of_log(workshop)
    if not folder.is_dir() or (days is None and not read_removed(folder).going):
        return _told([])
    now = time.time()
    before = -inf if days is None else now - DAY * days
    with alone(folder) as is_mine:
        if not is_mine:
            return {**_told([]), "kept": "somebody reads the request log"}
        try:
            going = _old(workshop, before)
            if not dry_run:
                remove(folder, going, now)
        except StoreError as error:
            return {**_told([]), "kept": str(error)}
    return _told(going)


def _told(going: list[Going]) -> Json:
    return {
        "segments": len(going),
        "requests": sum(one.requests for one in going),
        "labels": sum(one.labels for one in going),
    }


@dataclass(frozen=True, kw_only=True)
class _Held:
    """What one segment holds, by the names that requests and labels go by."""

    going: Going
    requests: frozenset[str]
    """Our ids and the clients'."""
    told: frozenset[str]
    """Requests that its labels are of."""


def _old(workshop: Workshop, before: float) -> list[Going]:
    every = inspect(workshop.paths.requests)
    found = [one for one in every if one.segment.records]
    old = [one.segment for one in found if _is_sealed(one) and _newest(one.segment) < before]
    if not old:
        return []
    if not all(one.is_whole for one in every):
        raise StoreError("the request log is not whole: `raypipe requests audit` says why")
    if any(_joins(workshop, run) for run in workshop.ledger.running()):
        raise StoreError("a join of the request log is under way")
    needed = {*_waiting(workshop), *_labelled(workshop, [one.segment for one in found])}
    held = [one for one in map(_held, old) if not one.requests & needed]
    names = {one.going.uuid for one in held}
    kept = [one.segment for one in found if one.segment.uuid not in names]
    return [one.going for one in _whose_labels_are_of_nothing(held, kept)]


def _is_sealed(found: Found) -> bool:
    """Say whether a segment is sealed and whole, and no open one of its name is left."""
    open_one = found.segment.path.parent.parent / f"{found.segment.uuid}.seg"
    return found.segment.sealed and found.is_whole and not open_one.exists()


def _newest(segment: Segment) -> float:
    times = read_segment(segment, ["time"])["time"]
    newest = pc.max(times).as_py()
    return inf if newest is None or times.null_count else float(newest)


def _held(segment: Segment) -> _Held:
    columns = ["kind", "id", "client_id", "time", "request"]
    rows = read_segment(segment, columns).to_pydict()
    kinds, times = rows["kind"], rows["time"]
    going = Going(
        uuid=segment.uuid,
        requests=kinds.count("request"),
        labels=kinds.count("label"),
        first=min(times),
        last=max(times),
    )
    told = zip(kinds, rows["request"], strict=True)
    return _Held(
        going=going,
        requests=frozenset(_names(rows)),
        told=frozenset(request for kind, request in told if kind == "label"),
    )


def _names(rows: dict[str, list[Any]]) -> Iterator[str]:
    for kind, ours, client in zip(rows["kind"], rows["id"], rows["client_id"], strict=True):
        if kind == "request":
            yield ours
            if client:
                yield client


def _whose_labels_are_of_nothing(held: list[_Held], kept: Iterable[Segment]) -> list[_Held]:
    """Return the segments that hold no label of a request that stays."""
    told = {name for one in held for name in one.told}
    stay: set[str] = set()
    for segment in kept:
        rows = read_segment(segment, ["kind", "id", "client_id"]).to_pydict()
        stay.update(told.intersection(_names(rows)))
    while keep := [one for one in held if one.told & stay]:
        held = [one for one in held if not one.told & stay]
        stay = stay.union(*(one.requests for one in keep))
    return held


# --- what may still become data -----------------------------------------------------------------


def _joins(workshop: Workshop, run: RunRecord) -> bool:
    is_join = run.pipeline.endswith(SUFFIX)
    return is_join and as_it_is(workshop, run).status == RunStatus.RUNNING


def _waiting(workshop: Workshop) -> Iterator[str]:
    """Yield the requests of captured rows that are offered, accepted or found, and no data yet."""
    ledger = workshop.ledger
    for review in ledger.list_reviews():
        if review.step != REVIEW or not review.pipeline.endswith(SUFFIX):
            continue
        done = {one.evidence for one in ledger.captures(review.project, review.pipeline)}
        if review.status in {"open", "approved"} and review.evidence not in done:
            yield from _requests(captured_of(workshop, review.evidence).requests)
    for join, _ in _newest_joins(workshop):
        if join is None or (found := _findings(workshop, join)) is None:
            continue
        captures = ledger.captures(join.project, join.pipeline)
        done_rows = {row for one in captures for row in _rows_of(workshop, one.evidence)}
        yield from _requests(row for row in found.captured.requests if row not in done_rows)


def _rows_of(workshop: Workshop, evidence: str) -> tuple[str, ...]:
    return captured_of(workshop, evidence).requests


def _requests(rows: Iterable[str]) -> Iterator[str]:
    return (row.rpartition("/")[0] for row in rows)


def _labelled(workshop: Workshop, segments: Iterable[Segment]) -> Iterator[str]:
    """Yield the requests with a label that not every join of their model is known to have read."""
    read: dict[str, float] = {}
    for join, run in _newest_joins(workshop):
        is_known = join is not None and _findings(workshop, join) is not None
        until = join.created - MARGIN if join is not None and is_known else -inf
        model = _model_of(run)
        read[model] = min(until, read.get(model, inf))
    of_any = min(read.values(), default=-inf)
    for segment in segments:
        table = read_segment(segment, ["kind", "time", "model", "request"])
        rows = table.filter(pc.equal(table["kind"], "label")).to_pydict()
        for at, model, request in zip(rows["time"], rows["model"], rows["request"], strict=True):
            if at >= (of_any if model is None else read.get(model, -inf)):
                yield request


def _newest_joins(workshop: Workshop) -> Iterator[tuple[RunRecord | None, RunRecord]]:
    """Yield for each pipeline of feedback its newest run that joined, if any, and its newest."""
    for run in workshop.ledger.newest_runs(1):
        if run.pipeline.endswith(SUFFIX):
            runs = workshop.ledger.list_runs(run.project, LOOKED_AT, pipeline=run.pipeline)
            yield next((one for one in runs if one.status in JOINED), None), run


def _model_of(run: RunRecord) -> str:
    return str(run.settings["registry"]["model"] or run.settings["name"])


def _findings(workshop: Workshop, join: RunRecord) -> Findings | None:
    """Return what a join captured; None where that is gone."""
    for state in workshop.ledger.run_steps(join.id):
        if state.name == "capture" and state.digest is not None:
            with suppress(StoreError):
                read = workshop.artifacts.read(state.digest)
                value: Any = workshop.codec.decode(read, workshop.artifacts)
                return value if isinstance(value, Findings) else None
    return None
