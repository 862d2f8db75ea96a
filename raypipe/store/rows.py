"""Rows of the ledger that the engine does not know."""

from dataclasses import dataclass

from raypipe.engine.records import Actor, Json


@dataclass(frozen=True, kw_only=True)
class ModelVersionRow:
    """A version of a model, and what it came from."""

    model: str
    version: str
    """Semantic version, derived."""
    bundle: str
    """Digest of the bundle's folder."""
    candidate: str
    """Digest of the checkpoint."""
    evaluation: str
    """Digest of the evaluation."""
    run: str
    created: float
    actor: Actor
    changelog: Json
    lineage: Json
    compared_with: str | None = None
    """Digest of the version value that was champion when this one was judged.

    None for the first.
    """
    value: str = ""
    """Digest of the kept `ModelVersion`."""
