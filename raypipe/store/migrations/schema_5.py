"""Indices for many runs, who used a result last, claims of several hosts."""

from alembic.operations import Operations
from sqlalchemy import text

from raypipe.store.migrations import execute

revision = "5"
down_revision = "2"


def upgrade(op: Operations) -> None:
    """Lead to schema 5."""
    execute(
        op,
        """
        DROP INDEX runs_by_time;
        CREATE INDEX runs_by_time ON runs (created DESC, id DESC);
        CREATE INDEX runs_by_project ON runs (project, created DESC, id DESC);
        CREATE INDEX runs_under_way ON runs (created) WHERE status = 'running';
        ALTER TABLE runs ADD COLUMN backwards TEXT NOT NULL DEFAULT '';
        CREATE INDEX runs_by_end ON runs (backwards);

        DROP INDEX run_steps_by_name;
        CREATE INDEX run_steps_by_position ON run_steps (run, position);
        CREATE INDEX results_by_run ON results (run);
        CREATE INDEX reviews_by_time ON reviews (created DESC, id);

        CREATE INDEX alias_history_by_model ON alias_history (model, id DESC);

        DROP INDEX looks_by_dataset;
        CREATE UNIQUE INDEX one_look_a_step ON looks (dataset, run, step);

        CREATE TABLE uses (
            project TEXT NOT NULL,
            pipeline TEXT NOT NULL,
            step TEXT NOT NULL,
            key TEXT NOT NULL,
            run TEXT NOT NULL,
            at REAL NOT NULL,
            PRIMARY KEY (project, pipeline, step, key)
        ) WITHOUT ROWID;
        CREATE INDEX uses_by_time ON uses (project, pipeline, step, at DESC);
        CREATE INDEX uses_by_key ON uses (key);
        CREATE INDEX uses_by_run ON uses (run);

        CREATE TABLE claims (
            key TEXT NOT NULL,
            owner TEXT NOT NULL,
            shared INTEGER NOT NULL,
            beat INTEGER NOT NULL,
            PRIMARY KEY (key, owner)
        ) WITHOUT ROWID;

        INSERT INTO uses (project, pipeline, step, key, run, at)
        SELECT project, pipeline, step, key, run, at FROM (
            SELECT *, row_number() OVER (
                PARTITION BY project, pipeline, step, key ORDER BY at DESC, run DESC
            ) AS place
            FROM (
                SELECT project, pipeline, name AS step, key, run, created AS at
                FROM run_steps JOIN runs ON runs.id = run_steps.run WHERE key IS NOT NULL
                UNION
                SELECT results.project, results.pipeline, step, key, run, runs.created
                FROM results JOIN runs ON runs.id = results.run
            ) AS every
        ) AS ranked WHERE place = 1;
        """,
    )
    _read_backwards(op)


def _read_backwards(op: Operations) -> None:
    connection = op.get_bind()
    ids = [name for (name,) in connection.execute(text("SELECT id FROM runs"))]
    if ids:
        connection.execute(
            text("UPDATE runs SET backwards = :backwards WHERE id = :id"),
            [{"id": name, "backwards": name[::-1]} for name in ids],
        )
