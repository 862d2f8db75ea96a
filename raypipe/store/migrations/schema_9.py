"""Where the curves of runs ended, to find runs by, and what people say of runs."""

from alembic.operations import Operations

from raypipe.store.migrations import execute

revision = "9"
down_revision = "8"


def upgrade(op: Operations) -> None:
    """Lead to schema 9."""
    execute(
        op,
        """
        CREATE TABLE ends (
            run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            step TEXT NOT NULL,
            name TEXT NOT NULL,
            at INTEGER NOT NULL,
            value REAL,
            PRIMARY KEY (run, step, name)
        ) WITHOUT ROWID;
        CREATE INDEX ends_by_value ON ends (name, value, run);

        CREATE TABLE remarks (
            run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            kind TEXT NOT NULL,
            said TEXT NOT NULL,
            actor TEXT NOT NULL,
            time REAL NOT NULL,
            PRIMARY KEY (run, kind, said)
        ) WITHOUT ROWID;
        CREATE INDEX remarks_by_text ON remarks (kind, said);

        INSERT INTO ends (run, step, name, at, value)
        SELECT run, step, name, at, value FROM metrics AS point
        WHERE run IN (SELECT id FROM runs) AND step NOT LIKE '%[%' AND at = (
            SELECT max(at) FROM metrics
            WHERE run = point.run AND step = point.step AND name = point.name
        );
        """,
    )
