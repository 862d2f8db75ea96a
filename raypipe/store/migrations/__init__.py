"""How the ledger's tables became what they are: a module for each number of the schema."""

from alembic.operations import Operations

from raypipe.store.database import in_words_of, statements


def execute(op: Operations, script: str) -> None:
    """Execute statements, which are written as those of schema.sql are, in a database's words."""
    for statement in statements(script):
        op.execute(in_words_of(op.get_bind().dialect.name, statement))
