"""Routes of models, ways back of aliases, captured rows that were accepted."""

from alembic.operations import Operations

from raypipe.store.migrations import execute

revision = "2"
down_revision = None


def upgrade(op: Operations) -> None:
    """Lead from schema 1 to 2."""
    execute(
        op,
        """
        CREATE TABLE routes (
            id INTEGER PRIMARY KEY,
            model TEXT NOT NULL,
            shares TEXT NOT NULL,
            actor TEXT NOT NULL,
            time REAL NOT NULL
        );
        CREATE INDEX routes_by_model ON routes (model, id DESC);

        CREATE TABLE captures (
            id INTEGER PRIMARY KEY,
            project TEXT NOT NULL,
            pipeline TEXT NOT NULL,
            evidence TEXT NOT NULL,
            commit_id TEXT NOT NULL,
            row_count INTEGER NOT NULL,
            actor TEXT NOT NULL,
            time REAL NOT NULL,
            UNIQUE (project, pipeline, evidence)
        );

        ALTER TABLE alias_history ADD COLUMN back INTEGER NOT NULL DEFAULT 0;
        """,
    )
