"""A ledger in Postgres: connected to, connected to again where that is lost, its faults in words.

Imported only where a ledger lies there: psycopg takes a tenth of a second to import.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from hashlib import blake2b
from threading import RLock
from typing import TYPE_CHECKING, Any, Self
from weakref import finalize

from raypipe.errors import StoreError
from raypipe.store.database import (
    SCHEMA,
    Database,
    Made,
    Row,
    in_words_of,
    not_text,
    outdated,
    queries,
    schema,
    something_else,
)
from raypipe.store.postgres_url import PostgresUrl

try:
    import psycopg
    from psycopg import conninfo, errors
    from psycopg.rows import dict_row, tuple_row
except ImportError as error:
    raise StoreError(
        f"a ledger in Postgres needs psycopg, which cannot be imported: {error}",
        hint="pip install 'raypipe[postgres]'",
    ) from None

OLDEST = 15
"""Oldest release of Postgres that the ledger is tested with."""
BUSY = 30.0
"""Seconds for which a server that is away, or a row that another process holds, is waited for."""
IDLE = 10
"""Seconds after which the server ends a transaction of a process that was stopped in its middle."""
_PASSING = ("is starting up", "too many clients", "remaining connection slots")


class Lost(StoreError):
    """The connection was lost, or the server undid a transaction: the act may be repeated."""


class PostgresDatabase:
    """One connection, for the threads of one process."""

    def __init__(
        self, url: PostgresUrl, *, write: bool, busy: float = BUSY, durable: bool = True
    ) -> None:
        self.repeating = False
        self._durable = durable
        self._url = url
        self._write = write
        self._busy = busy
        self._depth = 0
        self._lock = RLock()
        self._hold(self._connect(_passes))

    @classmethod
    def open(cls, url: PostgresUrl, *, create: bool, busy: float = BUSY) -> Self | None:
        """Open a ledger; None where there is none and `create` is false."""
        opened = cls(url, write=create, busy=busy)
        try:
            return opened if opened._prepare(create) else None
        except BaseException:
            opened.close()
            raise

    def close(self) -> None:
        """Let go of the connection."""
        self._let_go()

    def _hold(self, connection: psycopg.Connection[dict[str, Any]]) -> None:
        """Have a connection, which is closed when nobody has this object any more."""
        self._connection = connection
        self._let_go = finalize(self, connection.close)  # __del__ may come after the connection's
        self._let_go.atexit = False

    # --- transactions ---------------------------------------------------------------------------

    @contextmanager
    def writing(self, alone: str = "") -> Iterator[None]:
        """Make what is done inside one transaction, durable when this returns.

        `alone` is a lock that the transaction holds, so that what it read stays true until then;
        all else is left to unique indices.
        """
        with self._lock:
            if self._depth:
                if alone:
                    self._say(_alone(alone))
                yield
                return
            self._depth += 1
            try:
                self._say(f"BEGIN; {_alone(alone)}" if alone else "BEGIN")
                yield
                self._say("COMMIT")
            except BaseException:
                self._undo()
                raise
            finally:
                self._depth -= 1

    def repeat(self, act: Callable[[], Made]) -> Made:
        """Carry out an act of one transaction, again where its connection is lost.

        If that happens while it commits, nobody knows whether it did. So each act of the ledger is
        one that may be carried out twice; `repeating` is true the second time.
        """
        if self._depth:
            return act()
        with self._lock:
            deadline = time.monotonic() + self._busy
            try:
                while True:
                    try:
                        return act()
                    except Lost:
                        if time.monotonic() > deadline:
                            raise
                    self._connect_again()
                    self.repeating = True
            finally:
                self.repeating = False

    def _undo(self) -> None:
        try:
            if not self._connection.closed:
                self._connection.execute("ROLLBACK")
        except psycopg.Error:
            self._connection.close()

    # --- queries --------------------------------------------------------------------------------

    def do(self, query: str, **values: Any) -> int:
        """Carry out a named query inside a transaction; return how many rows it touched."""
        return self._execute(_in_postgres(query), values).rowcount

    def insert(self, query: str, **values: Any) -> int:
        """Add one row by a named query; return the number that it was given."""
        row = self._execute(f"{_in_postgres(query)} RETURNING id", values).fetchone()
        return int(row["id"]) if row else 0

    def many(self, query: str, values: Iterable[Mapping[str, Any]]) -> None:
        """Carry out a named query for each of these values, in their order."""
        known = list(values)
        if len(known) == 1:  # what hands over many has a cost of its own
            self._execute(_in_postgres(query), known[0])
            return
        with self._lock, self._faults():
            self._connection.cursor().executemany(_in_postgres(query).encode(), known)

    def all(self, query: str, **values: Any) -> list[Row]:
        """Return all rows of a named query."""
        return self.repeat(lambda: list(self._execute(_in_postgres(query), values).fetchall()))

    def one(self, query: str, **values: Any) -> Row | None:
        """Return the first row of a named query."""
        return self.repeat(lambda: self._execute(_in_postgres(query), values).fetchone())

    def _execute(self, statement: str, values: Mapping[str, Any]) -> psycopg.Cursor[dict[str, Any]]:
        with self._lock, self._faults():
            return self._connection.execute(statement.encode(), values)

    def _say(self, statements: str) -> None:
        with self._faults():
            self._connection.execute(statements.encode())

    # --- connecting -----------------------------------------------------------------------------

    def _connect(
        self, passing: Callable[[psycopg.Error], bool]
    ) -> psycopg.Connection[dict[str, Any]]:
        """Connect, again and again for some time while what is wrong may pass by itself."""
        deadline, pause = time.monotonic() + self._busy, 0.02
        while True:
            try:
                return self._connect_once()
            except psycopg.Error as error:
                if not passing(error) or time.monotonic() + pause > deadline:
                    raise self._unreachable(error) from None
            time.sleep(pause)
            pause = min(1.0, 2 * pause)

    def _connect_once(self) -> psycopg.Connection[dict[str, Any]]:
        given: dict[str, Any] = conninfo.conninfo_to_dict(self._url.shown)
        settings = {
            "lock_timeout": int(self._busy * 1000),
            "idle_in_transaction_session_timeout": IDLE * 1000,
            "default_transaction_isolation": "read\\ committed",
            "default_transaction_read_only": "off" if self._write else "on",
        }
        if not self._durable:
            settings["synchronous_commit"] = "off"
        options = [f"-c {name}={value}" for name, value in settings.items()]
        defaults = {"connect_timeout": 10, "tcp_user_timeout": 30_000, "keepalives_idle": 30}
        told = {**defaults, "application_name": "raypipe", **given, **self._url.secrets}
        return psycopg.connect(
            **{**told, "options": " ".join((*options, given.get("options") or ""))},
            client_encoding="utf8",
            autocommit=True,
            row_factory=dict_row,
        )

    def _connect_again(self) -> None:
        self._let_go()
        self._hold(self._connect(lambda error: isinstance(error, psycopg.OperationalError)))

    def _prepare(self, create: bool) -> bool:
        """Make or bring up the tables; False where there are none and none are to be made."""
        version = self._connection.info.server_version // 10_000
        if version < OLDEST:
            raise StoreError(
                f"the ledger {self._name} is Postgres {version}; {OLDEST} or later is needed",
                hint="upgrade the server, or choose another",
            )
        tables = self._tables()
        if not tables:
            if not create:
                self.close()
                return False
            self._make_tables()
        elif "meta" not in tables:
            raise something_else(self._name)
        if outdated(self._schema(), self._name):
            self._migrate()
        return True

    def _tables(self) -> set[str]:
        with self._faults():
            found = self._connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
            )
            return {row["tablename"] for row in found}

    def _schema(self) -> str:
        try:
            with self._faults():
                row = self._connection.execute(
                    "SELECT value FROM meta WHERE name = 'schema'"
                ).fetchone()
        except StoreError:
            raise something_else(self._name) from None
        if row is None:
            raise something_else(self._name)
        return str(row["value"])

    def _make_tables(self) -> None:
        with self.writing(_TABLES), self._faults():
            if self._tables():
                return
            for statement in schema():
                self._connection.execute(in_words_of("postgresql", statement).encode())
            self._connection.execute("INSERT INTO meta VALUES ('schema', %s)", [str(SCHEMA)])

    def _migrate(self) -> None:
        from raypipe.store.migrate import migrate

        if not self._write:  # to look at an older ledger brings it up as well, as a file is
            self._say("SET default_transaction_read_only = off")
        self._connection.row_factory = tuple_row  # type: ignore[assignment]
        try:
            with self._faults():
                migrate(self._connection, "postgres", lambda: self.writing(_TABLES))
        finally:
            self._connection.row_factory = dict_row
        if not self._write:
            self._say("SET default_transaction_read_only = on")

    # --- faults ---------------------------------------------------------------------------------

    @property
    def _name(self) -> str:
        return repr(self._url.shown)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Tell what Postgres says in raypipe's words, and without a secret."""
        try:
            yield
        except UnicodeEncodeError as error:
            raise not_text(error) from error
        except psycopg.Error as error:
            raise self._told(error) from None

    def _told(self, error: psycopg.Error) -> StoreError:
        undone = isinstance(error, errors.DeadlockDetected | errors.SerializationFailure)
        if self._connection.closed or self._connection.broken or undone:
            away = self._unreachable(error)
            return Lost(str(away), hint=away.hint)
        said = self._url.without_secrets(_first_line(error))
        hint = next((hint for kind, hint in _HINTS if isinstance(error, kind)), None)
        return StoreError(
            f"the ledger {self._name} cannot be used: {said}",
            hint=hint or "what the server's log says may tell more",
        )

    def _unreachable(self, error: psycopg.Error) -> StoreError:
        said = self._url.without_secrets(_first_line(error))
        return StoreError(
            f"the ledger {self._name} cannot be reached: {said}",
            hint="see that the server is up and the URL right, then run again: "
            "what was recorded is kept",
        )


_TABLES = "raypipe: tables"
_LIST = re.compile(r"IN \(SELECT value FROM json_each\(:(\w+)\)\)")
_HINTS: tuple[tuple[type[psycopg.Error], str], ...] = (
    (errors.LockNotAvailable, "another process holds it; look which, then run again"),
    (errors.DiskFull, "free some space on the server, then run again: what was recorded is kept"),
    (errors.ReadOnlySqlTransaction, "it may only be read: it is a standby, or was opened to look"),
    (errors.InvalidSchemaName, "CREATE SCHEMA first, or name another in the URL's search_path"),
    (errors.InsufficientPrivilege, "grant the role what it needs: all rights on its schema"),
)


def _alone(name: str) -> str:
    """Return the statement that waits for a lock, which goes with the transaction."""
    number = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), signed=True)
    return f"SELECT pg_advisory_xact_lock({number})"


def _passes(error: psycopg.Error) -> bool:
    """Say whether a server that was never reached before may be there in a moment."""
    return any(said in str(error) for said in _PASSING)


def _first_line(error: psycopg.Error) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


@cache
def _in_postgres(name: str) -> str:
    """Return a named query as psycopg and Postgres read it."""
    statement = _LIST.sub(r"= ANY(:\1)", queries()[name]).replace("%", "%%")
    return re.sub(r"(?<![:\w]):([a-z_]+)", r"%(\1)s", statement)


if TYPE_CHECKING:
    _fits: Database = PostgresDatabase(PostgresUrl(shown=""), write=False)
