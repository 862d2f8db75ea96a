"""A ledger of any earlier schema opens, becomes one of today with its rows, and none is torn."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest

from raypipe.engine.records import Actor, RunStatus
from raypipe.errors import StoreError
from raypipe.store.database import SCHEMA, in_words_of
from raypipe.store.ledger import SqlLedger
from raypipe.store.migrate import scripts
from raypipe.store.postgres_url import parse
from tests.postgres import Postgres

OLD = Path(__file__).parents[1] / "data" / "ledgers"
NUMBERS = sorted(int(file.stem.partition("_")[2]) for file in OLD.iterdir())
COUNTED = (
    "alias_history", "captures", "executions", "looks", "outbox", "refusals", "results", "routes",
    "triggered", "verdicts",
)  # fmt: skip
"""Tables whose rows are numbered."""
ANN = Actor(user="ann", host="laptop", name="Ann")


class SqlitePlace:
    """A place for a ledger in a file, which a test may also look at from outside."""

    def __init__(self, folder: Path) -> None:
        self.where = folder / "ledger.db"

    def fill(self, number: int) -> None:
        """Make a ledger of an earlier schema."""
        with closing(sqlite3.connect(self.where)) as opened:
            opened.executescript((OLD / f"schema_{number}.sql").read_text())

    def open(self, **options: Any) -> SqlLedger:
        return SqlLedger.open(self.where, **options)

    def stamp(self, number: int) -> None:
        with closing(sqlite3.connect(self.where)) as opened, opened:
            opened.execute("UPDATE meta SET value = ?", (str(number),))

    def shape(self) -> dict[str, Any]:
        """Return every table with its columns, keys and indices, without how they are written."""
        with closing(sqlite3.connect(self.where)) as opened:
            names = opened.execute("SELECT name, wr FROM pragma_table_list WHERE type = 'table'")
            return {
                name: {
                    "kind": without_rowid,
                    "columns": opened.execute(f"PRAGMA table_xinfo({name})").fetchall(),
                    "foreign keys": opened.execute(f"PRAGMA foreign_key_list({name})").fetchall(),
                    "indices": sorted(_index(opened, *row[1:]) for row in _indices(opened, name)),
                }
                for name, without_rowid in names.fetchall()
                if not name.startswith("sqlite_")
            }


def _indices(opened: sqlite3.Connection, table: str) -> list[Any]:
    return opened.execute(f"PRAGMA index_list({table})").fetchall()


def _index(opened: sqlite3.Connection, name: str, *kind: Any) -> tuple[Any, ...]:
    columns = [row[1:5] for row in opened.execute(f"PRAGMA index_xinfo({name})")]
    found = opened.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    written = (found and found[0]) or ""
    return (name if written else "", kind, columns, written.partition("WHERE")[2])


class PostgresPlace:
    """A place for a ledger in a schema of a server."""

    def __init__(self, server: Postgres) -> None:
        self._server = server
        self.where = server.url()

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.where, autocommit=True)

    def fill(self, number: int) -> None:
        script = (OLD / f"schema_{number}.sql").read_text()
        with self._connect() as opened:
            for statement in _statements(script):
                made = statement.lstrip().startswith("CREATE")
                written = in_words_of("postgres", statement) if made else statement
                opened.execute(written)
            for table in COUNTED:
                if f"CREATE TABLE {table} " in script:
                    counter = f"pg_get_serial_sequence('{table}', 'id')"
                    opened.execute(f"SELECT setval({counter}, max(id)) FROM {table}")

    def open(self, **options: Any) -> SqlLedger:
        return SqlLedger.open(parse(self.where), **options)

    def stamp(self, number: int) -> None:
        with self._connect() as opened:
            opened.execute("UPDATE meta SET value = %s", [str(number)])

    def shape(self) -> dict[str, Any]:
        """Return every column, index and other constraint, without the schema's own name."""
        with self._connect() as opened:
            return {
                "columns": opened.execute(
                    "SELECT table_name, ordinal_position, column_name, data_type, is_nullable,"
                    " column_default, collation_name, is_identity FROM information_schema.columns"
                    " WHERE table_schema = current_schema() ORDER BY 1, 2"
                ).fetchall(),
                "indices": opened.execute(
                    "SELECT tablename, indexname, regexp_replace(indexdef, ' ON [^.]*', '')"
                    " FROM pg_indexes WHERE schemaname = current_schema() ORDER BY 1, 2"
                ).fetchall(),
                "constraints": opened.execute(
                    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)"
                    " FROM pg_constraint WHERE connamespace = current_schema()::regnamespace"
                    " ORDER BY 1, 2"
                ).fetchall(),
            }


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a dump: it has a comment in its first line and none after it."""
    said = ""
    for line in script.partition("\n")[2].splitlines(keepends=True):
        said += line
        if sqlite3.complete_statement(said):
            yield said
            said = ""


@pytest.fixture(params=["sqlite", "postgres"])
def new_place(request, tmp_path_factory) -> Callable[[], SqlitePlace | PostgresPlace]:
    """Makes places for ledgers."""
    if request.param == "sqlite":
        return lambda: SqlitePlace(tmp_path_factory.mktemp("ledger"))
    server = request.getfixturevalue("postgres")
    return lambda: PostgresPlace(server)


@pytest.fixture
def place(new_place) -> SqlitePlace | PostgresPlace:
    return new_place()


@pytest.fixture
def fresh(new_place) -> dict[str, Any]:
    """The shape of a ledger that was never anything else."""
    new = new_place()
    new.open().close()
    return new.shape()


@pytest.mark.parametrize("number", NUMBERS)
def test_a_migrated_ledger_has_exactly_the_schema_of_a_new_one(place, fresh, number):
    place.fill(number)
    assert place.shape() != fresh
    place.open().close()
    assert place.shape() == fresh


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("create", [True, False])
def test_what_is_in_an_older_ledger_stays(place, number, create):
    """Also where it is only looked at."""
    place.fill(number)
    ledger = place.open(create=create)
    runs = ledger.list_runs()
    assert [(run.id, run.status) for run in runs] == [
        ("20251003-080000-000003", RunStatus.RUNNING),
        ("20251002-080000-000002", RunStatus.FAILED),
        ("20251001-080000-000001", RunStatus.SUCCEEDED),
    ]
    assert [state.name for state in ledger.run_steps(runs[2].id)] == ["load", "train"]
    assert [(row.step, row.status) for row in ledger.executions(runs[2].id)] == [
        ("load", "succeeded")
    ]
    live = ledger.live_results(["k1", "k2"], 0.0)
    assert {key: result.root for key, result in live.items()} == {"k1": "r1", "k2": "r3"}
    used = ledger.used_results("mine", "flow", "load")
    assert [(result.root, run[-1]) for result, run in used] == [
        ("r1", "3"),
        ("r3", "2"),
        ("r2", "2"),
    ]
    fingerprint = ledger.fingerprint("f1")
    assert fingerprint is not None
    assert ledger.symbol_source(fingerprint.symbols["m:load"])
    assert [(point.name, point.step) for point in ledger.metrics(runs[2].id)] == [
        ("loss", 0), ("loss", 1),
    ]  # fmt: skip
    assert ledger.get_review("abc123").status == "approved"
    assert [row.version for row in ledger.versions("delay")] == ["1.1.0", "1.0.0"]
    assert ledger.aliases("delay") == {"champion": "1.1.0" if number == 1 else "1.0.0"}
    assert [change.back for change in ledger.alias_history("delay")] == [
        *([True] if number > 1 else []), False, False,
    ]  # fmt: skip
    assert ledger.looks("d1") == 1
    since_2 = int(number > 1)
    assert len(ledger.route_history("delay")) == len(ledger.captures("mine", "flow")) == since_2
    assert [row.key for row in ledger.outbox()] == (["k1"] if number > 5 else [])
    ledger.close()


@pytest.mark.parametrize("number", NUMBERS)
def test_a_migrated_ledger_can_be_written_to(place, number):
    place.fill(number)
    ledger = place.open()
    ledger.end_run("20251003-080000-000003", RunStatus.SUCCEEDED)
    ledger.set_route("delay", {"1.1.0": 1.0}, ANN)
    ledger.set_alias("delay", "challenger", "1.0.0", ANN)
    ledger.close()
    again = place.open(create=False)
    assert again.get_run("20251003").status is RunStatus.SUCCEEDED
    assert again.route_history("delay")[0].shares == {"1.1.0": 1.0}
    again.close()


OPENER = """
import sys
from pathlib import Path
from raypipe.store.ledger import SqlLedger
from raypipe.store.postgres_url import is_postgres, parse
place = sys.argv[1]
print(len(SqlLedger.open(parse(place) if is_postgres(place) else Path(place)).list_runs()))
"""
KILLED = """
import os, signal
from alembic.operations import Operations
from raypipe.store import migrate
before = migrate._take
def take(connection, script):
    before(connection, script)
    if script.revision == os.environ["AT"]:
        os.kill(os.getpid(), signal.SIGKILL)
migrate._take = take
"""


KILLED_WITHIN = """
import os, signal
from sqlalchemy import event
from sqlalchemy.engine import Engine
left = int(os.environ["AFTER"])
@event.listens_for(Engine, "after_cursor_execute")
def told(*_):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_processes_that_open_an_older_ledger_at_once_all_find_it_migrated_once(place, fresh):
    place.fill(1)
    command = [sys.executable, "-c", OPENER, str(place.where)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = [process.communicate()[0].strip() for process in started]
    assert said == ["3"] * 4
    assert place.shape() == fresh


@pytest.mark.slow
@pytest.mark.parametrize("at", [script.revision for script in scripts()])
def test_a_migration_that_was_killed_goes_on(place, fresh, at):
    """Killed inside the transaction of each number: that one never was, those before were."""
    place.fill(1)
    command = [sys.executable, "-c", KILLED + OPENER, str(place.where)]
    killed = subprocess.run(command, env={**os.environ, "AT": at}, check=False)
    assert killed.returncode == -9
    ledger = place.open()
    assert ledger.get_run("20251001").status is RunStatus.SUCCEEDED
    ledger.close()
    assert place.shape() == fresh


@pytest.mark.long
def test_a_migration_that_is_killed_after_any_of_its_statements_goes_on(new_place, fresh):
    """Killed after the first statement, then after some more: half a table is never left."""
    for after in count(1, 3):
        place = new_place()
        place.fill(1)
        status = subprocess.run(
            [sys.executable, "-c", KILLED_WITHIN + OPENER, str(place.where)],
            env={**os.environ, "AFTER": str(after)},
            check=False,
            stdout=subprocess.DEVNULL,
        ).returncode
        ledger = place.open()
        assert [run.id[-1] for run in ledger.list_runs()] == ["3", "2", "1"]
        assert [row.version for row in ledger.versions("delay")] == ["1.1.0", "1.0.0"]
        ledger.close()
        assert place.shape() == fresh, after
        if status != -signal.SIGKILL:
            break
    assert (status, after > 10) == (0, True)


def test_a_ledger_of_a_later_schema_is_refused_with_what_to_do(place):
    place.open().close()
    place.stamp(SCHEMA + 1)
    with pytest.raises(
        StoreError, match=f"has schema {SCHEMA + 1}, this raypipe knows up to"
    ) as no:
        place.open()
    assert "upgrade raypipe" in str(no.value.hint)
    assert no.value.exit_code == 7


def test_there_is_a_ledger_of_each_earlier_schema():
    assert [1, *(int(script.revision) for script in scripts()[:-1])] == NUMBERS


def test_what_a_database_says_of_a_migration_is_told_as_of_all_else(place):
    """Such as that the disk is full; here the tables that a migration makes are there already."""
    place.fill(NUMBERS[-1])
    place.stamp(NUMBERS[0])
    with pytest.raises(StoreError, match=r"cannot be used: .* already exists"):
        place.open()


def test_each_schema_follows_the_one_before():
    chain = [(script.down_revision, int(script.revision)) for script in scripts()]
    assert chain[0] == (None, 2)
    assert all(later[0] == str(earlier[1]) for earlier, later in pairwise(chain))
    assert chain[-1][1] == SCHEMA


def test_a_ledger_of_today_is_opened_without_what_migrations_need(place):
    place.open().close()
    command = [sys.executable, "-c", OPENER + "print(*sys.modules)", str(place.where)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert said[0] == "0"
    assert not {"alembic", "sqlalchemy"} & set(said)
