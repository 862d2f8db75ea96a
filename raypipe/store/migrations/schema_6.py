"""Effects outside the ledger, with what became of each."""

from alembic.operations import Operations

from raypipe.store.migrations import execute

revision = "6"
down_revision = "5"


def upgrade(op: Operations) -> None:
    """Lead to schema 6."""
    execute(
        op,
        """
        CREATE TABLE outbox (
            id INTEGER PRIMARY KEY,
            key TEXT NOT NULL UNIQUE,
            kind TEXT NOT NULL,
            payload TEXT NOT NULL,
            status TEXT NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0,
            created REAL NOT NULL,
            due REAL NOT NULL,
            ended REAL,
            error TEXT
        );
        CREATE INDEX outbox_by_status ON outbox (status, id);
        """,
    )
