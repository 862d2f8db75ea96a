"""What was said of data, protected branches, what their gate would not have, what commits began."""

from alembic.operations import Operations

from raypipe.store.migrations import execute

revision = "8"
down_revision = "7"


def upgrade(op: Operations) -> None:
    """Lead to schema 8."""
    execute(
        op,
        """
        CREATE TABLE verdicts (
            id INTEGER PRIMARY KEY,
            content TEXT NOT NULL,
            verdict TEXT NOT NULL,
            dataset TEXT NOT NULL,
            run TEXT NOT NULL,
            evidence TEXT NOT NULL,
            actor TEXT NOT NULL,
            note TEXT NOT NULL,
            time REAL NOT NULL
        );
        CREATE UNIQUE INDEX one_verdict_on_an_evidence ON verdicts (content, verdict, evidence);
        CREATE INDEX verdicts_of_people ON verdicts (id) WHERE verdict = 'accepted';

        CREATE TABLE protections (
            dataset TEXT PRIMARY KEY,
            gate TEXT NOT NULL,
            action TEXT NOT NULL,
            server TEXT NOT NULL,
            actor TEXT NOT NULL,
            time REAL NOT NULL
        ) WITHOUT ROWID;

        CREATE TABLE refusals (
            id INTEGER PRIMARY KEY,
            dataset TEXT NOT NULL,
            event TEXT NOT NULL,
            source TEXT NOT NULL,
            commit_id TEXT NOT NULL,
            reason TEXT NOT NULL,
            time REAL NOT NULL
        );
        CREATE INDEX refusals_by_dataset ON refusals (dataset, id DESC);

        CREATE TABLE triggered (
            id INTEGER PRIMARY KEY,
            target TEXT NOT NULL,
            dataset TEXT NOT NULL,
            commit_id TEXT NOT NULL,
            time REAL NOT NULL
        );
        CREATE UNIQUE INDEX one_run_a_commit ON triggered (target, dataset, commit_id);
        """,
    )
