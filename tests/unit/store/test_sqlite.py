"""A ledger that cannot be opened or used says what is wrong and what to do next."""

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from raypipe.engine.records import Actor, RunRecord, RunStatus
from raypipe.errors import StoreError
from raypipe.store.database import SCHEMA, queries
from raypipe.store.ledger import SqlLedger

RUN = RunRecord(
    id="20260101-000001-aaaaaa",
    project="mine",
    pipeline="flow",
    status=RunStatus.RUNNING,
    created=1.0,
    actor=Actor(user="ann", host="laptop"),
)


@pytest.fixture
def path(tmp_path) -> Path:
    """A ledger with one run."""
    ledger = SqlLedger.open(tmp_path / "ledger.db")
    ledger.start_run(RUN)
    ledger.close()
    return tmp_path / "ledger.db"


def test_looking_at_a_ledger_that_is_not_there_makes_nothing(tmp_path):
    assert SqlLedger.open(tmp_path / "ledger.db", create=False).list_runs() == []
    assert not list(tmp_path.iterdir())


def test_looking_at_a_ledger_leaves_no_other_file(path):
    ledger = SqlLedger.open(path, create=False)
    assert ledger.list_runs() == [RUN]
    ledger.close()
    assert [entry.name for entry in path.parent.iterdir()] == ["ledger.db"]


def test_what_was_opened_to_look_cannot_be_changed(path):
    with pytest.raises(StoreError, match="readonly"):
        SqlLedger.open(path, create=False).end_run(RUN.id, RunStatus.FAILED)


def test_what_another_connection_has_written_is_seen_before_it_closes(path):
    writer = SqlLedger.open(path)
    writer.end_run(RUN.id, RunStatus.SUCCEEDED)
    reader = SqlLedger.open(path, create=False)
    assert reader.get_run(RUN.id).status is RunStatus.SUCCEEDED
    writer.close()


@pytest.fixture
def others_ledger(path):
    """The ledger in a folder that may only be read, by a user who is not root."""
    folder = Path(tempfile.mkdtemp(prefix="raypipe-"))
    shutil.copy(path, folder)
    (folder / path.name).chmod(0o444)
    folder.chmod(0o555)
    root = os.getuid() == 0
    if root:
        os.setresuid(65534, 65534, 0)
    try:
        yield folder / path.name
    finally:
        if root:
            os.setresuid(0, 0, 0)
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_a_ledger_that_may_only_be_read_can_be_looked_at(others_ledger):
    ledger = SqlLedger.open(others_ledger, create=False)
    assert ledger.list_runs() == [RUN]
    ledger.close()


def test_a_ledger_that_may_only_be_read_is_not_opened_to_write(others_ledger):
    with pytest.raises(StoreError, match=r"readonly|unable to open") as failed:
        SqlLedger.open(others_ledger).end_run(RUN.id, RunStatus.FAILED)
    assert "--home" in str(failed.value.hint)


# --- what is wrong with a file ------------------------------------------------------------------


@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize("content", [b"This is no database." * 100, b"{}" * 4096])
def test_a_file_that_is_no_database_is_an_error_with_a_next_step(tmp_path, create, content):
    (tmp_path / "ledger.db").write_bytes(content)
    with pytest.raises(StoreError, match=r"ledger\.db' is damaged") as failed:
        SqlLedger.open(tmp_path / "ledger.db", create=create)
    assert failed.value.hint
    assert (tmp_path / "ledger.db").read_bytes() == content


def test_a_torn_ledger_is_an_error_with_a_next_step(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(StoreError, match="is damaged"):
        SqlLedger.open(path).list_runs()


def test_a_database_of_something_else_is_left_alone(tmp_path):
    other = sqlite3.connect(tmp_path / "ledger.db")
    other.execute("CREATE TABLE songs (title TEXT)")
    other.close()
    with pytest.raises(StoreError, match="something else, not a ledger"):
        SqlLedger.open(tmp_path / "ledger.db")


def test_a_ledger_of_a_later_version_is_not_touched(path):
    later = sqlite3.connect(path)
    later.execute("UPDATE meta SET value = ? WHERE name = 'schema'", (SCHEMA + 1,))
    later.commit()
    later.close()
    with pytest.raises(StoreError, match=f"schema {SCHEMA + 1}") as failed:
        SqlLedger.open(path)
    assert "upgrade" in str(failed.value.hint)


def test_a_folder_that_is_not_there_is_an_error_with_a_next_step(tmp_path):
    with pytest.raises(StoreError, match="unable to open") as failed:
        SqlLedger.open(tmp_path / "none" / "ledger.db")
    assert "--home" in str(failed.value.hint)


def test_a_ledger_that_another_process_holds_is_waited_for_then_an_error(path):
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    ledger = SqlLedger.open(path, busy=0.05)
    assert ledger.list_runs() == [RUN]
    with pytest.raises(StoreError, match="locked") as failed:
        ledger.end_run(RUN.id, RunStatus.FAILED)
    assert "another process" in str(failed.value.hint)
    holder.execute("ROLLBACK")
    holder.close()
    ledger.end_run(RUN.id, RunStatus.FAILED)
    assert ledger.get_run(RUN.id).status is RunStatus.FAILED


def test_a_transaction_that_fails_changes_nothing(path):
    ledger = SqlLedger.open(path)
    broken = RunRecord(**{**RUN.__dict__, "pipeline": None})
    with pytest.raises(StoreError):
        ledger.start_run(broken)
    ledger.end_run(RUN.id, RunStatus.SUCCEEDED)
    assert [run.status for run in ledger.list_runs()] == [RunStatus.SUCCEEDED]


def test_the_schema_itself_holds_that_a_key_has_one_live_result(path):
    connection = sqlite3.connect(path)
    row = "('k', 'p', 'q', 's', 'r', '{}', 'run', 0, 0)"
    columns = "(key, project, pipeline, step, root, explanation, run, seconds, created)"
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        connection.execute(f"INSERT INTO results {columns} VALUES {row}, {row}")
    connection.close()


# --- the queries --------------------------------------------------------------------------------


class Anything(dict[str, None]):
    """A value for each name that a query has."""

    def __missing__(self, key: str) -> None:
        return None


@pytest.mark.parametrize("name", queries())
def test_every_query_is_understood_by_the_database_as_the_schema_makes_it(tmp_path, name):
    SqlLedger.open(tmp_path / "ledger.db").close()
    connection = sqlite3.connect(tmp_path / "ledger.db")

    connection.execute(f"EXPLAIN {queries()[name]}", Anything())
    connection.close()


WHOLE = {
    "records_of_newest",
    "run_ids",
    "kept_artifacts",
    "holds",
    "protections",
    "live_artifacts",
    "list_reviews",
    "list_reviews_of",
    "models",
    "every_version",
    "every_claim",
    "beat",
    "old_effects",
    "superseded_results",
    "steps_with_keys",
    "newest_runs",
    "fingerprints",
    "sources",
}
"""Queries that are meant to read a whole table: of clean, or of what people decide on."""


@pytest.mark.parametrize("name", [name for name in queries() if name not in WHOLE])
def test_no_query_reads_a_whole_table(path, name):
    connection = sqlite3.connect(path)
    plan = connection.execute(f"EXPLAIN QUERY PLAN {queries()[name]}", Anything()).fetchall()
    connection.close()
    aliases = ("used", "named", "a", "b", "json_each", "(subquery", "CONSTANT")
    scanned = [row[3] for row in plan if row[3].startswith("SCAN")]
    in_order = [line for line in scanned if "USING INDEX" in line]  # and no further than a limit
    assert not [line for line in scanned if line.split()[1] not in aliases and line not in in_order]


@pytest.mark.parametrize("change", ["DELETE FROM meta", "UPDATE meta SET value = 'seven'"])
def test_a_ledger_that_does_not_say_its_schema_is_refused(tmp_path, change):
    SqlLedger.open(tmp_path / "ledger.db").close()
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as opened, opened:
        opened.execute(change)
    with pytest.raises(StoreError, match="something else, not a ledger"):
        SqlLedger.open(tmp_path / "ledger.db")


def test_a_ledger_with_bytes_that_are_no_text_is_damaged(tmp_path):
    SqlLedger.open(tmp_path / "ledger.db").close()
    file = tmp_path / "ledger.db"
    file.write_bytes(file.read_bytes().replace(b"CREATE TABLE runs", b"CREATE TABLE \xff\xfens"))
    file.write_bytes(file.read_bytes().replace(b"tablerunsruns", b"table\xff\xfensru\xfes"))
    with pytest.raises(StoreError, match="is damaged"):
        SqlLedger.open(file)
