"""A ledger in a SQLite file: opened, asked by named queries, its faults told in words."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, Self

from raypipe.errors import StoreError
from raypipe.store.database import (
    SCHEMA,
    Database,
    Made,
    Row,
    not_text,
    outdated,
    queries,
    schema,
    something_else,
)
from raypipe.store.faults import is_full

BEING_MADE = 10.0
"""Seconds for which a file without a byte may be one that another process is making."""
BUSY = 30.0
"""Seconds that a locked database is waited for."""


class SqliteDatabase:
    """One connection (WAL, durable at each commit), for the threads of one process."""

    repeating = False

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.path = path
        self._connection = connection
        self._lock = RLock()

    @classmethod
    def open(cls, path: Path, *, create: bool, busy: float = BUSY) -> Self:
        """Open a file to write; with `create` false to read, an empty one where there is none."""
        with faults(path):
            _refuse_emptied(path)
            if create:
                connection = _connect(path, "rwc", busy)
            elif path.exists():
                connection = _connect_to_read(path, busy)
            else:
                return cls.empty()
            if not create:
                connection.execute("PRAGMA query_only = ON")
            return cls(connection, path)

    @classmethod
    def empty(cls) -> Self:
        """Return what is looked at where there is no ledger."""
        connection = _connect(None, "memory", BUSY)
        connection.execute("PRAGMA query_only = ON")
        return cls(connection, Path("none"))

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def __del__(self) -> None:
        self._connection.close()

    @contextmanager
    def writing(self, alone: str = "") -> Iterator[None]:
        """Make what is done inside one transaction, durable when this returns.

        It is alone with the whole file, whatever `alone` names.
        """
        with self._lock, faults(self.path):
            if self._connection.in_transaction:
                yield
                return
            with _transaction(self._connection):
                yield

    def repeat(self, act: Callable[[], Made]) -> Made:
        """Carry out an act; a file is never lost on the way."""
        return act()

    def do(self, query: str, **values: Any) -> int:
        """Carry out a named query; return how many rows it touched."""
        with self._lock, faults(self.path):
            return self._connection.execute(queries()[query], _plain(values)).rowcount

    def insert(self, query: str, **values: Any) -> int:
        """Add one row by a named query; return the number that it was given."""
        with self._lock, faults(self.path):
            return self._connection.execute(queries()[query], values).lastrowid or 0

    def many(self, query: str, values: Iterable[Mapping[str, Any]]) -> None:
        """Carry out a named query for each of these values, in their order."""
        with self._lock, faults(self.path):
            self._connection.executemany(queries()[query], values)

    def all(self, query: str, **values: Any) -> list[Row]:
        """Return all rows of a named query; a value may be a list, which it reads as JSON."""
        with self._lock, faults(self.path):
            return self._connection.execute(queries()[query], _plain(values)).fetchall()

    def one(self, query: str, **values: Any) -> Row | None:
        """Return the first row of a named query."""
        with self._lock, faults(self.path):
            found = self._connection.execute(queries()[query], _plain(values))
            row: Row | None = found.fetchone()
            return row


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Return values with lists as the JSON that SQLite reads them from."""
    for name, value in values.items():
        if isinstance(value, list):
            values[name] = json.dumps(value)
    return values


# --- opening ------------------------------------------------------------------------------------


def _refuse_emptied(path: Path) -> None:
    """Raise StoreError for a file without a byte that nobody is about to write to."""
    try:
        stat = path.stat()
    except OSError:
        return
    if stat.st_size == 0 and time.time() - stat.st_mtime > BEING_MADE:
        raise StoreError(
            f"the ledger {str(path)!r} is empty: it has lost what was in it",
            hint="restore it from a copy; or remove it to begin anew, artifacts are not lost",
        )


def _connect(path: Path | None, mode: str, busy: float) -> sqlite3.Connection:
    where = "file::memory:" if path is None else f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(
        where, uri=True, timeout=busy, isolation_level=None, check_same_thread=False
    )
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        _prepare(connection, path, busy)
        connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_to_read(path: Path, busy: float) -> sqlite3.Connection:
    """Open a file that is there; one in a folder that cannot be written to, as it lies."""
    try:
        return _connect(path, "rw", busy)
    except sqlite3.OperationalError as error:
        if not any(text in str(error) for text in ("readonly", "unable to open", "I/O", "full")):
            raise
        return _connect(path, "ro&immutable=1", busy)


def _prepare(connection: sqlite3.Connection, path: Path | None, busy: float) -> None:
    if not _tables(connection):
        _use_wal(connection, busy)
        with _transaction(connection):
            if not _tables(connection):
                _make_tables(connection)
    if "meta" not in _tables(connection):
        raise something_else(repr(str(path)))
    row = connection.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()
    if row is None or not str(row[0]).isdecimal():
        raise something_else(repr(str(path)))
    if outdated(row[0], repr(str(path))):
        _migrate(connection)


def _migrate(connection: sqlite3.Connection) -> None:
    from raypipe.store.migrate import migrate

    # A table that is rebuilt is dropped on the way, and what refers to it must not go with it.
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.row_factory = None  # SQLAlchemy reads rows as tuples
    migrate(connection, "sqlite", lambda: _transaction(connection))
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")


def _tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}


def _use_wal(connection: sqlite3.Connection, busy: float) -> None:
    """Switch to WAL; SQLite does not wait by itself while another process does the same."""
    deadline = time.monotonic() + busy
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _make_tables(connection: sqlite3.Connection) -> None:
    for statement in schema():
        connection.execute(statement)
    connection.execute("INSERT INTO meta VALUES ('schema', ?)", (str(SCHEMA),))


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


# --- faults -------------------------------------------------------------------------------------


@contextmanager
def faults(path: Path) -> Iterator[None]:
    """Tell what SQLite says in raypipe's words."""
    try:
        yield
    except UnicodeEncodeError as error:
        raise not_text(error) from error
    except sqlite3.OperationalError as error:
        raise StoreError(
            f"the ledger {str(path)!r} cannot be used: {error}", hint=_hint(str(error), path)
        ) from error
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise StoreError(
            f"the ledger {str(path)!r} is damaged: {error}",
            hint="restore it from a copy, or choose another home; artifacts are not lost",
        ) from error


def _hint(text: str, path: Path) -> str:
    if "I/O" in text and is_full(path):
        text = "full"
    hints = {
        "locked": "another process holds it; look which, then run again",
        "full": "free some space, then run again: what was recorded is kept",
        "readonly": "mend the home's permissions, or choose another with --home",
        "unable to open": "mend the home's permissions, or choose another with --home",
    }
    return next((hint for part, hint in hints.items() if part in text), "look at the home's disk")


if TYPE_CHECKING:
    _fits: Database = SqliteDatabase(sqlite3.connect(":memory:"), Path())
