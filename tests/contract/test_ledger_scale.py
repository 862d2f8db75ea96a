"""What is asked of a ledger often costs the same however many runs are in it."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from raypipe.app.find_runs import find_runs
from raypipe.app.where import read_where
from raypipe.engine.records import (
    Actor,
    ArtifactStat,
    Explanation,
    Fingerprint,
    Reason,
    Result,
    RunRecord,
    RunStatus,
    StepState,
)
from raypipe.errors import NotFound
from raypipe.store.ledger import SqlLedger
from raypipe.store.postgres_url import parse
from tests import scale
from tests.postgres import Postgres

pytestmark = pytest.mark.slow

ANN = Actor(user="ann", host="laptop")
INSTRUCTIONS = 20_000
"""Of SQLite's machine, a call; a scan of 10,000 rows takes some 60,000."""
ROWS = 2_000
"""Of Postgres, a call, read from tables and indices."""
FEW, SOME = 1_000, 4_000

Call = Callable[[SqlLedger, int], object]


def unknown(ledger: SqlLedger, runs: int) -> None:
    with pytest.raises(NotFound):
        ledger.get_run("20191231-000000-nobody")


def a_run(ledger: SqlLedger, runs: int) -> None:
    """What a run writes: its beginning, an attempt, a result, its steps and its end."""
    run = RunRecord(
        id="20300101-000000-aaaaaa",
        project="mine",
        pipeline="flow",
        status=RunStatus.RUNNING,
        created=2e9,
        actor=ANN,
    )
    told = Explanation(fingerprint="new", parameters={}, inputs={}, environment={})
    result = Result(
        key="new",
        step="train",
        root="new",
        artifacts=(ArtifactStat(digest="new", size=1, mtime_ns=1),),
        explanation=told,
        run=run.id,
        seconds=1.0,
        created=2e9,
    )
    ledger.start_run(run)
    attempt = ledger.start_execution(run.id, "train", key="new", host="h")
    ledger.record(result, Fingerprint(digest="new", symbols={}, packages={}))
    ledger.record(replace(result, root="newer"), Fingerprint(digest="new", symbols={}, packages={}))
    ledger.end_execution(attempt, "succeeded")
    reason = Reason(kind="same")
    ledger.save_steps(run.id, [StepState(name="train", action="execute", reason=reason, key="new")])
    ledger.end_run(run.id, RunStatus.SUCCEEDED)


def found(where: str | None, sort: str | None, count: int = 20) -> Call:
    """What `runs list --where --sort` asks."""

    def ask(ledger: SqlLedger, runs: int) -> None:
        asked = None if where is None else read_where(where)
        assert len(find_runs(SimpleNamespace(ledger=ledger), 20, asked, sort)) == count  # type: ignore[arg-type]

    return ask


CALLS: dict[str, Call] = {
    "runs list": lambda ledger, runs: ledger.list_runs(),
    "runs list of a project": lambda ledger, runs: ledger.list_runs("mine"),
    "runs list of a project without runs": lambda ledger, runs: ledger.list_runs("other"),
    "runs show by id": lambda ledger, runs: ledger.get_run(scale.run_id(runs // 2)),
    "runs show by start": lambda ledger, runs: ledger.get_run(scale.run_id(runs // 2)[:-1]),
    "runs show by end": lambda ledger, runs: ledger.get_run(f"-{runs // 2:06x}"),
    "runs show of none": unknown,
    "its steps": lambda ledger, runs: ledger.run_steps(scale.run_id(runs // 2)),
    "its attempts": lambda ledger, runs: ledger.executions(scale.run_id(runs // 2)),
    "its curves": lambda ledger, runs: ledger.metrics(scale.run_id(runs // 2)),
    "a curve": lambda ledger, runs: ledger.metrics(scale.run_id(runs // 2), "train"),
    "runs under way": lambda ledger, runs: ledger.running(),
    "a hit": lambda ledger, runs: ledger.live_results([scale.digest(runs // 2, 9)], 0.0),
    "hits": lambda ledger, runs: ledger.live_results([scale.digest(n, 9) for n in range(9)], 0.0),
    "a miss": lambda ledger, runs: ledger.live_results(["none"], 0.0),
    "plan of what differs": lambda ledger, runs: ledger.latest_result("mine", "flow", "train"),
    "why": lambda ledger, runs: ledger.used_results("mine", "flow", "train", limit=20),
    "a step that never ran": lambda ledger, runs: ledger.used_results("mine", "flow", "new"),
    "a review": lambda ledger, runs: ledger.find_review("mine", "flow", "accept", "none"),
    "another name": lambda ledger, runs: ledger.rename_project("other", "mine", Path("/none")),
    "runs by a metric": found(None, "-auc"),
    "runs by a figure of their reviews": found(None, "analysis.auc"),
    "runs with a setting that none has": found("training.epochs == 99", None, 0),
    "runs of a metric with a setting that none has": found(
        "auc > 0.7 and training.epochs == 99", "-auc", 0
    ),
    "a run": a_run,
}
SEARCHES = {
    "runs with a setting": found("training.epochs == 3", None),
    "runs with a metric above": found("auc > 0.7", None),
    "runs with a high metric and a setting": found("auc > 0.995 and training.epochs == 3", None),
    "runs of a pipeline by a metric": found("auc > 0.7 and pipeline == 'flow'", "-auc"),
    "tagged runs by a metric": found("'good' in tags and auc > 0.5", "-auc"),
}
"""Of many, which are counted up to a bound that a small ledger does not reach."""


class SqliteStore:
    """A filled ledger in a file; a call's work is told by the instructions of SQLite's machine."""

    unit = INSTRUCTIONS

    def __init__(self, folder: Path, runs: int) -> None:
        self._place = folder / "ledger.db"
        scale.fill(self._place, runs)

    def work(self, call: Call, runs: int) -> int:
        with closing(SqlLedger.open(self._place)) as ledger:
            ledger.list_runs(limit=1)
            counted = []
            connection: Any = ledger._db._connection  # type: ignore[attr-defined]
            connection.set_progress_handler(lambda: counted.append(1), 10)
            call(ledger, runs)
            return 10 * len(counted)


class PostgresStore:
    """A filled ledger in a server; a call's work is told by the rows that it read."""

    unit = ROWS

    def __init__(self, server: Postgres, runs: int) -> None:
        self._server = server
        url = server.url()
        self._schema = url.rpartition("%3D")[2]
        scale.fill(parse(url), runs)
        # Few rows are read as fast by reading all of them, many are not: plan as for many.
        plan = "%20-cenable_seqscan%3Doff%20-cenable_hashjoin%3Doff" if runs < scale.RUNS else ""
        self._place = parse(f"{url}{plan}&application_name={self._schema}")

    def work(self, call: Call, runs: int) -> int:
        with closing(SqlLedger.open(self._place)):
            pass  # opening reads tables of the system alone
        before = self._read()
        with closing(SqlLedger.open(self._place)) as ledger:
            call(ledger, runs)
            ledger._db.all("models")  # what was counted is told by the next
        return self._read() - before

    def _read(self) -> int:
        """Return how many rows were read so far, once nobody is there who has not told."""
        deadline = time.monotonic() + 60
        while self._server.ask(
            f"SELECT 1 FROM pg_stat_activity WHERE application_name = '{self._schema}'"
        ):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        ((read,),) = self._server.ask(
            "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_user_tables"
            f" WHERE schemaname = '{self._schema}'"
        )
        return int(read)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def stores(request, tmp_path_factory) -> Callable[[int], SqliteStore | PostgresStore]:
    """Makes filled ledgers."""
    if request.param == "sqlite":
        return lambda runs: SqliteStore(tmp_path_factory.mktemp("ledger"), runs)
    server = request.getfixturevalue("postgres")
    return lambda runs: PostgresStore(server, runs)


@pytest.fixture(scope="module")
def two(stores) -> Iterator[tuple[SqliteStore | PostgresStore, ...]]:
    return stores(FEW), stores(SOME)


@pytest.mark.parametrize("call", CALLS)
def test_work_does_not_grow_with_the_runs_that_there_are(two, call):
    few, some = [store.work(CALLS[call], n) for store, n in zip(two, (FEW, SOME), strict=True)]
    assert some <= 1.2 * few + two[0].unit / 100


@pytest.fixture(scope="module")
def many(stores) -> SqliteStore | PostgresStore:
    return stores(scale.RUNS)


@pytest.mark.long
@pytest.mark.parametrize("call", CALLS)
def test_a_call_on_a_hundred_thousand_runs_and_a_million_points_does_little(many, call):
    assert many.work(CALLS[call], scale.RUNS) <= many.unit


@pytest.mark.long
@pytest.mark.parametrize("call", SEARCHES)
def test_a_search_among_a_hundred_thousand_runs_reads_few_of_them(many, call):
    """A scan of all takes thirty times a unit, fifty in Postgres."""
    assert many.work(SEARCHES[call], scale.RUNS) <= 10 * many.unit
