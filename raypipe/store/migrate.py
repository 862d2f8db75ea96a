"""An older ledger is brought up to the schema of now, one number after the other, by Alembic.

Imported only where a ledger is older: Alembic takes a third of a second to import. Which schema a
ledger has is the row `schema` of its table `meta`, as it always was. Each number is a transaction
with that row in it, so that a process that dies on the way leaves a ledger of some number whole.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from raypipe.fault_points import fault_point

URLS = {"sqlite": "sqlite://", "postgres": "postgresql+psycopg://"}


def migrate(
    connection: Any, dialect: str, alone: Callable[[], AbstractContextManager[None]]
) -> None:
    """Bring up the ledger behind a connection that opens no transaction by itself.

    `alone` is a transaction that no other process is in: whoever waited for it finds the work done.
    """
    engine = create_engine(
        URLS[dialect], creator=lambda: connection, poolclass=StaticPool, pool_reset_on_return=None
    )
    with engine.connect() as opened:
        for script in scripts():
            with alone(), _as_told_by_the_driver():
                _take(opened, script)
            fault_point("schema.brought up")


@contextmanager
def _as_told_by_the_driver() -> Iterator[None]:
    """Raise what the database said, which its ledger has words for, not what wraps it."""
    try:
        yield
    except DBAPIError as error:
        raise (error.orig or error) from None


def scripts() -> list[Script]:
    """Return the migrations, oldest first; the name of each is the schema that it leads to."""
    folder = str(Path(__file__).with_name("migrations"))
    return list(ScriptDirectory(folder, version_locations=[folder]).walk_revisions())[::-1]


def _take(connection: Connection, script: Script) -> None:
    number = int(script.revision)
    (schema,) = connection.execute(text("SELECT value FROM meta WHERE name = 'schema'")).one()
    if int(schema) >= number:
        return
    script.module.upgrade(Operations(MigrationContext.configure(connection)))
    stamp = text("UPDATE meta SET value = :number WHERE name = 'schema'")
    connection.execute(stamp, {"number": str(number)})
