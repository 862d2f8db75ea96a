"""A model version: what it is made of, how it differs from the one before."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from raypipe.values.kinds import aside
from raypipe.values.signature import Signature

Level = Literal["first", "major", "minor", "patch"]
FOUND = "found"
"""Where in a lineage's settings stands what a sweep found, by setting: not written by anyone."""


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """Everything that a model was made of."""

    dataset: str
    """The reference as it was asked for."""
    commit: str
    shards: dict[str, str]
    """Path to object id."""
    rows: dict[str, int]
    """Rows by split: train, validation, analysis."""
    settings: dict[str, Any]
    """Sections of the settings that make a model, as written and filled in.

    And, under FOUND, what a sweep chose in their place.
    """
    code: dict[str, str]
    """`module:name` of everything that fitting, transforming and training can reach;
    to its digest.
    """
    packages: dict[str, str]
    """Third-party distribution to version."""
    signature: Signature
    run: str
    """The run that registered it."""


@dataclass(frozen=True, kw_only=True)
class Changelog:
    """What changed since the version that this one was compared with, in sentences."""

    level: Level
    reasons: tuple[str, ...]
    """Why the version number moved as it did."""
    data: tuple[str, ...]
    code: tuple[str, ...]
    settings: tuple[str, ...]
    metrics: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """A model that was reviewed and given a version."""

    model: str
    version: str
    """Semantic version, derived from what changed."""
    bundle: Path
    """Folder with all that serving needs: see raypipe.model.bundle."""
    metrics: dict[str, tuple[float, float, float]]
    """On the sealed analysis split: metric to (value, low, high)."""
    changelog: Changelog
    lineage: Lineage
    approved_by: str
    note: str = field(default="", metadata=aside())
