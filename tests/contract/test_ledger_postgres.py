"""A ledger in Postgres outlives its server's restarts and lost answers, and keeps its secrets."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from raypipe.engine.records import (
    Actor,
    ArtifactStat,
    Explanation,
    Fingerprint,
    Metric,
    Reason,
    Result,
    Review,
    RunRecord,
    RunStatus,
    StepState,
)
from raypipe.errors import StoreError, UsageError
from raypipe.store.ledger import SqlLedger
from raypipe.store.postgres_url import PostgresUrl, parse
from raypipe.store.rows import CaptureRow, ModelVersionRow
from tests.postgres import Cutting, Postgres, a_postgres

ANN = Actor(user="ann", host="laptop")
FINGERPRINT = Fingerprint(digest="f1", symbols={}, packages={}, sources={"s1": "x = 1"})
RUN = RunRecord(
    id="20260101-000001-aaaaaa",
    project="mine",
    pipeline="flow",
    status=RunStatus.RUNNING,
    created=1.0,
    actor=ANN,
)
RESULT = Result(
    key="k",
    step="load",
    root="r",
    artifacts=(ArtifactStat(digest="r", size=1, mtime_ns=1),),
    explanation=Explanation(fingerprint="f1", parameters={}, inputs={}, environment={}),
    run=RUN.id,
    seconds=1.0,
    created=2.0,
)
REVIEW = Review(
    id="abc123",
    project="mine",
    pipeline="flow",
    step="accept",
    run=RUN.id,
    evidence="e1",
    status="open",
    created=1.0,
)
VERSION = ModelVersionRow(
    model="delay",
    version="1.0.0",
    bundle="b",
    candidate="c",
    evaluation="e",
    run=RUN.id,
    created=1.0,
    actor=ANN,
    changelog={},
    lineage={},
)


@pytest.fixture
def url(postgres) -> PostgresUrl:
    return parse(postgres.url())


@pytest.fixture
def ledger(url) -> Iterator[SqlLedger]:
    with closing(SqlLedger.open(url)) as ledger:
        ledger.start_run(RUN)
        yield ledger


def end_connections(postgres: Postgres) -> None:
    postgres.ask(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'raypipe'"
    )


# --- a connection that is lost ------------------------------------------------------------------


def test_a_connection_that_was_dropped_is_made_again_to_read_and_to_write(postgres, ledger):
    end_connections(postgres)
    assert ledger.get_run(RUN.id) == RUN
    end_connections(postgres)
    ledger.end_run(RUN.id, RunStatus.SUCCEEDED)
    assert ledger.get_run(RUN.id).status is RunStatus.SUCCEEDED


def test_a_transaction_whose_connection_was_dropped_is_repeated_as_a_whole(postgres, url):
    """The alias and its history are one act: both are there, once."""
    dropped = []

    def drop_once() -> float:
        if not dropped:
            dropped.append(end_connections(postgres))
        return 5.0

    with closing(SqlLedger.open(url, now=drop_once)) as ledger:
        ledger.add_version(VERSION)
        ledger.set_alias("delay", "champion", "1.0.0", ANN)
        assert dropped
        assert ledger.aliases("delay") == {"champion": "1.0.0"}
        assert len(ledger.alias_history("delay")) == 1


ACTS: dict[str, Callable[[SqlLedger], object]] = {
    "start_run": lambda ledger: ledger.start_run(replace(RUN, id="20260102-000001-bbbbbb")),
    "end_run": lambda ledger: ledger.end_run(RUN.id, RunStatus.FAILED, {"kind": "x"}),
    "end_lost": lambda ledger: ledger.end_lost(RUN.id, {"kind": "x"}),
    "save_steps": lambda ledger: ledger.save_steps(
        RUN.id,
        iter([StepState(name="load", action="hit", reason=Reason(kind="same"), key="k")]),
    ),
    "start_execution": lambda ledger: ledger.start_execution(RUN.id, "load", key="k", host="h"),
    "end_execution": lambda ledger: ledger.end_execution(1, "failed", {"kind": "x"}),
    "record": lambda ledger: ledger.record(replace(RESULT, key="q"), FINGERPRINT),
    "record a forced one": lambda ledger: ledger.record(
        replace(RESULT, run="20260102-000001-bbbbbb"), FINGERPRINT, forced=True
    ),
    "supersede": lambda ledger: ledger.supersede("k", "lost artifact"),
    "record_metrics": lambda ledger: ledger.record_metrics(
        RUN.id, "load", [Metric(name="loss", value=0.5, step=0, time=1.0)]
    ),
    "open_review": lambda ledger: ledger.open_review(replace(REVIEW, evidence="e2")),
    "decide_review": lambda ledger: ledger.decide_review("abc123", "approved", ANN, "fine"),
    "add_version": lambda ledger: ledger.add_version(
        replace(VERSION, bundle="b2"), alias="champion"
    ),
    "set_alias": lambda ledger: ledger.set_alias("delay", "champion", "1.0.0", ANN),
    "set_route": lambda ledger: ledger.set_route("delay", {"1.0.0": 1.0}, ANN),
    "add_capture": lambda ledger: ledger.add_capture(
        "mine", "flow", CaptureRow(evidence="x", commit="c", rows=1, actor=ANN, time=4.0)
    ),
    "together": lambda ledger: ledger.together(
        lambda: [
            ledger.start_execution(RUN.id, "load", key="k", host="h"),
            ledger.record(replace(RESULT, key="q"), FINGERPRINT),
        ]
    ),
    "add_look": lambda ledger: ledger.add_look("d", RUN.id, "evaluate"),
}


def everything(postgres: Postgres, url: PostgresUrl) -> dict[str, list[object]]:
    schema = url.shown.rpartition("%3D")[2]
    tables = postgres.ask(f"SELECT tablename FROM pg_tables WHERE schemaname = '{schema}'")
    return {
        name: sorted(map(repr, postgres.ask(f"SELECT * FROM {schema}.{name}")))
        for (name,) in tables
    }


@pytest.mark.parametrize("act", ACTS)
def test_an_act_whose_answer_was_lost_while_it_committed_is_done_once(postgres, act):
    """Nobody knows then whether it was done, so that it is carried out again."""

    def before(place: PostgresUrl) -> None:
        with closing(SqlLedger.open(place, now=lambda: 5.0)) as ledger:
            ledger.start_run(RUN)
            ledger.start_execution(RUN.id, "other", key="k", host="h")
            ledger.record(RESULT, FINGERPRINT)
            ledger.open_review(REVIEW)
            ledger.add_version(VERSION)

    plain, cut = parse(postgres.url()), parse(postgres.url())
    before(plain)
    before(cut)
    with closing(SqlLedger.open(plain, now=lambda: 5.0)) as ledger:
        expected = ACTS[act](ledger)
    with closing(Cutting(postgres.port)) as way:
        through = parse(way.through(cut.shown), Postgres.PASSWORD)
        with closing(SqlLedger.open(through, now=lambda: 5.0)) as ledger:
            way.words = [b"COMMIT"]
            assert ACTS[act](ledger) == expected
        assert way.cuts == 1
    assert everything(postgres, cut) == everything(postgres, plain)


WRITER = """
import sys
from dataclasses import replace
sys.path.insert(0, sys.argv[2])
from test_ledger_postgres import FINGERPRINT, RESULT, RUN
from raypipe.store.ledger import SqlLedger
from raypipe.store.postgres_url import parse
ledger = SqlLedger.open(parse(sys.argv[1]))
name = f"20260101-000001-{sys.argv[3]}"
ledger.start_run(replace(RUN, id=name))
for n in range(200):
    ledger.start_execution(name, f"s{n}", key=f"k{n}", host="h")
    ledger.record(replace(RESULT, key=f"k{n}", root=sys.argv[3], run=name), FINGERPRINT)
    print(n, flush=True)
"""


@pytest.mark.slow
def test_a_server_that_crashes_and_comes_back_costs_no_record_and_doubles_none():
    with a_postgres() as server:
        url = parse(server.url())
        SqlLedger.open(url).close()
        command = [sys.executable, "-c", WRITER, url.shown, str(Path(__file__).parent)]
        writers = [
            subprocess.Popen([*command, name], stdout=subprocess.PIPE, text=True) for name in "abc"
        ]
        for _ in range(3):
            for writer in writers:
                assert writer.stdout is not None
                writer.stdout.readline()
            server.stop(signal.SIGQUIT)
            server.start()
        for writer in writers:
            writer.communicate()
        assert [writer.returncode for writer in writers] == [0, 0, 0]
        with closing(SqlLedger.open(url)) as ledger:
            live = ledger.live_results([f"k{n}" for n in range(200)], 0.0)
            assert len(live) == 200
            for name in "abc":
                attempts = ledger.executions(f"20260101-000001-{name}")
                assert [row.step for row in attempts] == [f"s{n}" for n in range(200)]
                assert {row.attempt for row in attempts} == {1}
        schema = url.shown.rpartition("%3D")[2]
        assert server.ask(f"SELECT count(*) FROM {schema}.results") == [(200,)]


@pytest.mark.slow
def test_a_server_that_stays_away_is_an_error_with_a_next_step():
    with a_postgres() as server:
        with closing(SqlLedger.open(parse(server.url()), busy=0.5)) as ledger:
            ledger.start_run(RUN)
            server.stop()
            for act in (lambda: ledger.get_run(RUN.id), lambda: ledger.supersede("k", "x")):
                with pytest.raises(StoreError, match="cannot be reached") as failed:
                    act()
                assert "run again" in str(failed.value.hint)
                assert failed.value.exit_code == 7
            server.start()
            assert ledger.get_run(RUN.id) == RUN
            server.stop()
        with pytest.raises(StoreError, match="cannot be reached"):
            SqlLedger.open(parse(server.address))


HOLDER = """
import os, signal, sys
from raypipe.store.postgres import PostgresDatabase
from raypipe.store.postgres_url import parse
database = PostgresDatabase.open(parse(sys.argv[1]), create=True)
def act():
    with database.writing("result k"):
        if not database.repeating:
            os.kill(os.getpid(), signal.SIGSTOP)
        return database.do("supersede", key="k", why="held")
print(database.repeat(act))
"""


def test_a_process_that_is_stopped_inside_a_transaction_holds_others_up_for_a_while_only(
    postgres, ledger, url
):
    ledger.record(RESULT, FINGERPRINT)
    held = url.shown + "%20-cidle_in_transaction_session_timeout%3D300"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, held], stdout=subprocess.PIPE, text=True
    )
    os.waitpid(holder.pid, os.WUNTRACED)
    assert ledger.record(replace(RESULT, root="later"), FINGERPRINT).root == "r"
    holder.send_signal(signal.SIGCONT)
    assert holder.communicate()[0] == "1\n", "it carries its act out again"
    assert holder.returncode == 0
    assert not ledger.live_results(["k"], 0.0)


def test_a_lock_that_another_process_holds_is_waited_for_then_an_error(postgres, url, ledger):
    from raypipe.store.postgres import PostgresDatabase

    holder = PostgresDatabase.open(url, create=True)
    assert holder is not None
    with closing(SqlLedger.open(url, busy=0.1)) as waiting:
        with holder.writing("result k"), pytest.raises(StoreError, match="lock") as failed:
            waiting.record(RESULT, FINGERPRINT)
        assert "another process" in str(failed.value.hint)
        waiting.record(RESULT, FINGERPRINT)
    holder.close()


def test_acts_that_would_wait_for_one_another_are_all_done(url, ledger):
    """Two runs that used the same keys, entered in the other order."""
    steps = [
        StepState(name=f"s{n}", action="hit", reason=Reason(kind="same"), key=f"k{n}")
        for n in range(300)
    ]
    ledger.start_run(replace(RUN, id="20260102-000001-bbbbbb"))

    def save(run: str, states: list[StepState]) -> None:
        with closing(SqlLedger.open(url)) as own:
            for _ in range(5):
                own.save_steps(run, states)

    threads = [
        threading.Thread(target=save, args=(RUN.id, steps)),
        threading.Thread(target=save, args=("20260102-000001-bbbbbb", steps[::-1])),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ledger.run_steps(RUN.id)) == len(ledger.run_steps("20260102-000001-bbbbbb")) == 300


# --- opening ------------------------------------------------------------------------------------


def test_looking_at_a_server_without_a_ledger_makes_nothing(postgres, url):
    with closing(SqlLedger.open(url, create=False)) as ledger:
        assert ledger.list_runs() == []
    assert everything(postgres, url) == {}


def test_what_was_opened_to_look_cannot_be_changed(url, ledger):
    with closing(SqlLedger.open(url, create=False)) as looked:
        assert looked.list_runs() == [RUN]
        with pytest.raises(StoreError, match="read-only"):
            looked.end_run(RUN.id, RunStatus.FAILED)


def test_a_database_of_something_else_is_left_alone(postgres, url):
    schema = url.shown.rpartition("%3D")[2]
    postgres.ask(f"CREATE TABLE {schema}.songs (title text)")
    with pytest.raises(StoreError, match="something else, not a ledger"):
        SqlLedger.open(url)
    assert set(everything(postgres, url)) == {"songs"}


def test_a_schema_that_is_not_there_is_an_error_with_a_next_step(postgres):
    with pytest.raises(StoreError) as failed:
        SqlLedger.open(parse(postgres.url("nowhere")))
    assert "CREATE SCHEMA" in str(failed.value.hint)


# --- secrets ------------------------------------------------------------------------------------

SECRET = "s3cr€t/w:rd?"
WRITTEN = "s3cr%E2%82%ACt%2Fw%3Ard%3F"


@pytest.mark.parametrize(
    "place",
    [
        "{user}@127.0.0.1:{port}/postgres",
        "{user}@127.0.0.1:{port}/nowhere",
        "{user}@127.0.0.1:port/postgres",
        "{user}@127.0.0.1:{port}/postgres?nonsense=1",
        "{user}@127.0.0.1:1/postgres",
        "{user}@host.invalid/postgres",
        "raypipe@127.0.0.1:{port}/postgres?password=" + WRITTEN,
    ],
)
def test_an_error_never_holds_the_password(postgres, place):
    url = "postgresql://" + place.format(user=f"raypipe:{WRITTEN}", port=postgres.port)
    with pytest.raises(StoreError) as failed:
        SqlLedger.open(parse(url), busy=0.1)
    told = ""
    error: BaseException | None = failed.value
    while error is not None:
        told += f"{error!r} {getattr(error, 'hint', '')}"
        error = error.__cause__ or error.__context__
    for secret in (SECRET, WRITTEN, "s3cr"):
        assert secret not in told


def test_a_url_shows_everything_but_its_secrets():
    url = parse(f"postgres://ann:{WRITTEN}@a.example:5432,b.example/db?sslmode=require&password=x")
    assert url.shown == "postgresql://ann@a.example:5432,b.example/db?sslmode=require"
    assert url.secrets == {"password": SECRET}
    assert "s3cr" not in repr(url)


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("postgresql://ann:pa/ss@host/db", "pa/ss"),
        ("postgresql://ann:p@ss@host/db", "p@ss"),
        ("postgresql:///db?host=/tmp", None),
        ("postgresql://host:5432/db", None),
    ],
)
def test_a_password_that_was_not_written_as_it_should_be_is_hidden_all_the_same(url, secret):
    parsed = parse(url)
    assert parsed.secrets.get("password") == secret
    assert (secret or "@") not in parsed.shown


def test_a_url_that_cannot_be_read_is_refused_without_being_shown():
    with pytest.raises(UsageError) as failed:
        parse("postgresql://ann:s3cr?et@host/db")
    assert "s3cr" not in str(failed.value) + str(failed.value.hint)
    assert "%3F" in str(failed.value.hint)


def test_the_password_of_a_server_lets_in(postgres):
    place = (
        f"postgresql://raypipe@127.0.0.1:{postgres.port}/postgres?"
        + postgres.url().partition("&")[2].partition("&")[2]
    )
    with closing(SqlLedger.open(parse(place, Postgres.PASSWORD))) as ledger:
        assert ledger.list_runs() == []
