"""What runs were given, to find them by it."""

import json

from alembic.operations import Operations
from sqlalchemy import text

from raypipe.store.given import Given, given_of
from raypipe.store.migrations import execute

revision = "10"
down_revision = "9"


def upgrade(op: Operations) -> None:
    """Lead to schema 10."""
    execute(
        op,
        """
        ALTER TABLE runs ADD COLUMN given TEXT NOT NULL DEFAULT '';
        CREATE INDEX runs_by_given ON runs (given);

        CREATE TABLE given (
            digest TEXT NOT NULL,
            name TEXT NOT NULL,
            value TEXT NOT NULL,
            PRIMARY KEY (digest, name, value)
        ) WITHOUT ROWID;
        CREATE INDEX given_by_name ON given (name, value, digest);
        """,
    )
    connection, known = op.get_bind(), dict[str, Given]()
    runs = []
    for id, record in connection.execute(text("SELECT id, record FROM runs")):
        given = given_of(json.loads(record))
        if given.digest:
            known[given.digest] = given
            runs.append({"id": id, "given": given.digest})
    values = [
        {"digest": one.digest, "name": name, "value": value}
        for one in known.values()
        for name, value in one.values
    ]
    if runs:
        connection.execute(text("UPDATE runs SET given = :given WHERE id = :id"), runs)
        connection.execute(text("INSERT INTO given VALUES (:digest, :name, :value)"), values)
