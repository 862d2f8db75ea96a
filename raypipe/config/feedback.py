"""What the feedback stage is told: when captured rows are worth a look, and what is drift."""

from pydantic import Field

from raypipe.config.base import BaseConfig
from raypipe.config.validation import DriftConfig


class FeedbackConfig(BaseConfig):
    """Settings of the feedback stage."""

    least_rows: int | None = Field(100, ge=1)
    """Captured rows from which on they are offered for review; None: they never are."""

    least_labels: int = Field(30, ge=2)
    """Labels of a version from which on its live quality is told."""

    drift: DriftConfig | None = None
    """How far what is asked may lie from the train split; None: as `validation.drift` says."""
