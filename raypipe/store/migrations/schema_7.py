"""What people keep from being removed."""

from alembic.operations import Operations

from raypipe.store.migrations import execute

revision = "7"
down_revision = "6"


def upgrade(op: Operations) -> None:
    """Lead to schema 7."""
    execute(
        op,
        """
        CREATE TABLE holds (
            kind TEXT NOT NULL,
            name TEXT NOT NULL,
            note TEXT NOT NULL,
            actor TEXT NOT NULL,
            time REAL NOT NULL,
            PRIMARY KEY (kind, name)
        ) WITHOUT ROWID;
        """,
    )
