"""A ledger with very many runs in it, made by bulk inserts: what a team has after some years."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import asdict
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from raypipe.engine.records import (
    Action,
    Actor,
    Explanation,
    Reason,
    RunRecord,
    RunStatus,
    StepState,
)
from raypipe.store.given import Given, given_of
from raypipe.store.ledger import SqlLedger
from raypipe.store.postgres_url import PostgresUrl
from raypipe.store.rows import dump

RUNS = 100_000
METRICS = 10
"""Of each run."""
STEPS = ("load", "validate", "preprocess", "train", "analyze")
PIPELINES = ("flow", "nightly", "sweep")
FIRST = 1_600_000_000.0
EVERY = 1_000.0
"""Seconds from run to run."""
ANN = Actor(user="ann", host="laptop")

Table = tuple[str, Iterable[tuple[Any, ...]]]


def fill(place: Path | PostgresUrl, runs: int = RUNS, target: str = "flow.py") -> None:
    """Make a ledger of many runs of three pipelines.

    Each run makes one result of five, finds the others, and logs a curve.
    """
    SqlLedger.open(place).close()
    if isinstance(place, Path):
        _fill_sqlite(place, tables(runs, target))
    else:
        _fill_postgres(place, tables(runs, target))


def tables(runs: int, target: str) -> Iterator[Table]:
    """Yield each table's name with its columns, and its rows."""
    yield (
        "runs (id, project, pipeline, status, created, ended, record, backwards, given)",
        (_run(n, target) for n in range(runs)),
    )
    yield (
        "given (digest, name, value)",
        sorted({(g.digest, *one) for n in range(7) for g in [_given(n)] for one in g.values}),
    )
    yield (
        "run_steps (run, position, name, key, state)",
        (_step(n, place) for n in range(runs) for place in range(len(STEPS))),
    )
    yield (
        "executions (run, step, key, attempt, status, started, ended, host, reason)",
        (_execution(n) for n in range(runs)),
    )
    yield (
        "results (id, key, project, pipeline, step, root, explanation, run, seconds, created)",
        (_result(n) for n in range(runs)),
    )
    yield (
        "result_artifacts (result, position, digest, size, mtime_ns)",
        ((n + 1, place, digest(n, place), 100, n) for n in range(runs) for place in range(2)),
    )
    yield (
        "uses (project, pipeline, step, key, run, at)",
        (_use(n) for n in range(runs)),
    )
    yield (
        "metrics (run, step, name, at, value, time)",
        (
            (run_id(n), "train", "loss", at, 1 / (at + 1), created(n))
            for n in range(runs)
            for at in range(METRICS)
        ),
    )
    yield (
        "ends (run, step, name, at, value)",
        ((run_id(n), *one) for n in range(runs) for one in _ends(n)),
    )
    yield (
        "remarks (run, kind, said, actor, time)",
        ((run_id(n), "tag", "good", dump(asdict(ANN)), created(n)) for n in range(0, runs, 500)),
    )
    yield (
        "reviews (id, project, pipeline, step, evidence, status, created, record)",
        (_review(n) for n in range(0, runs, 100)),
    )


def run_id(number: int) -> str:
    """Return an id as runs have them, in the order of time."""
    return f"2020{number // 3600 % 10_000:04d}-{number % 3600:06d}-{number:06x}"


def created(number: int) -> float:
    """Return when a run was created."""
    return FIRST + EVERY * number


def pipeline(number: int) -> str:
    """Return the pipeline of a run."""
    return PIPELINES[number % len(PIPELINES)]


def made(number: int) -> str:
    """Return the step that a run made a result of."""
    return STEPS[number % len(STEPS)]


def digest(number: int, place: int = 0) -> str:
    """Return what reads like a digest."""
    return blake2b(b"%d %d" % (number, place), digest_size=32).hexdigest()


def _run(number: int, target: str) -> tuple[Any, ...]:
    record = RunRecord(
        id=run_id(number),
        project="mine",
        pipeline=pipeline(number),
        status=RunStatus.RUNNING,
        created=created(number),
        actor=ANN,
        parameters={"target": target, "parameters": {}, "command": f"raypipe run {target}"},
        settings=_settings(number),
    )
    ended = created(number) + 60
    status = "failed" if number % 10 == 3 else "succeeded"
    id, name = run_id(number), pipeline(number)
    told = dump(asdict(record))
    given = _given(number % 7).digest
    return (id, "mine", name, status, created(number), ended, told, id[::-1], given)


def _settings(number: int) -> dict[str, Any]:
    return {"training": {"epochs": number % 7, "name": "x" * 400}}


@cache
def _given(number: int) -> Given:
    return given_of({"settings": _settings(number)})


def _step(number: int, place: int) -> tuple[Any, ...]:
    name, key = STEPS[place], digest(_used(number, place), 9)
    action = "execute" if name == made(number) else "hit"
    state = _state(name, action).replace("KEY", key)
    return (run_id(number), place, name, key, state)


@cache
def _state(name: str, action: Action) -> str:
    reason = Reason(kind="same")
    state = StepState(name=name, action=action, reason=reason, digest="KEY", seconds=1.0, key="KEY")
    return dump(asdict(state))


def _used(number: int, place: int) -> int:
    """Return the run that made what a run used: the newest of its pipeline that made that step."""
    back = next(
        back
        for back in range(0, len(STEPS) * len(PIPELINES), len(PIPELINES))
        if (number - back) % len(STEPS) == place
    )
    return max(number - back, 0)


def _execution(number: int) -> tuple[Any, ...]:
    at = created(number)
    return (
        run_id(number),
        made(number),
        digest(number, 9),
        1,
        "succeeded",
        at,
        at + 1,
        "h",
        "code",
    )


def _result(number: int) -> tuple[Any, ...]:
    told = Explanation(
        fingerprint="f", parameters={"rows": digest(number, 3)}, inputs={}, environment={}
    )
    return (
        number + 1, digest(number, 9), "mine", pipeline(number), made(number), digest(number),
        json.dumps(asdict(told)), run_id(number), 1.0, created(number),
    )  # fmt: skip


def _use(number: int) -> tuple[Any, ...]:
    run = run_id(number)
    return ("mine", pipeline(number), made(number), digest(number, 9), run, created(number))


def auc(number: int) -> float:
    """Return what a run came to: of 100,000 runs each to something else, in no order of time."""
    return number * 7919 % RUNS / RUNS


def _ends(number: int) -> Iterator[tuple[str, str, int, float]]:
    """Yield step, name, place and value; every other run came to a review, which is stricter."""
    yield "train", "auc", METRICS - 1, auc(number)
    yield "train", "loss", METRICS - 1, 1 / METRICS
    if number % 2:
        yield "evaluate", "analysis.auc", 0, auc(number) * 0.9


def _review(number: int) -> tuple[Any, ...]:
    id, evidence = f"{number:012x}", digest(number, 5)
    status = "approved" if number else "open"
    record = {
        "id": id, "project": "mine", "pipeline": pipeline(number), "step": "accept",
        "run": run_id(number), "evidence": evidence, "status": status, "created": created(number),
        "actor": None, "note": None, "decided": None,
    }  # fmt: skip
    of = (id, "mine", pipeline(number), "accept", evidence, status, created(number))
    return (*of, dump(record))


def _fill_sqlite(path: Path, every: Iterable[Table]) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as opened:
        opened.execute("PRAGMA synchronous = OFF")
        opened.execute("BEGIN")
        for into, rows in every:
            marks = ", ".join("?" * (into.count(",") + 1))
            opened.executemany(f"INSERT INTO {into} VALUES ({marks})", rows)
        opened.execute("COMMIT")


def _fill_postgres(url: PostgresUrl, every: Iterable[Table]) -> None:
    import psycopg

    with psycopg.connect(url.shown) as opened:
        for into, rows in every:
            with opened.cursor().copy(f"COPY {into} FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        opened.execute(
            "SELECT setval(pg_get_serial_sequence('results', 'id'), max(id)) FROM results"
        )
        opened.commit()
        opened.autocommit = True
        opened.execute("ANALYZE")
