"""What the validation stage is told: where the schema lies, and which anomalies stop a run."""

from typing import Literal

from pydantic import Field

from raypipe.config.base import BaseConfig

Severity = Literal["stop", "warn", "ignore"]
AnomalyKind = Literal[
    "missing_column",
    "new_column",
    "type",
    "nulls",
    "range",
    "unseen_category",
    "empty",
    "duplicate_key",
    "constant_label",
    "drift",
]


class DriftConfig(BaseConfig):
    """How far a column may move from the last accepted profile before it is an anomaly."""

    threshold: float = Field(0.10, ge=0, le=1)
    """Largest distance between the new rows and the accepted ones.

    The Jensen-Shannon divergence to base 2, from 0 to 1.
    """

    columns: dict[str, float] = {}
    """Threshold by column, where it differs from `threshold`."""


class ValidationConfig(BaseConfig):
    """Settings of the validation stage."""

    schema_file: str | None = None
    """The schema as YAML; inferred and written at the first run, then yours to edit.

    None: HOME/schemas/NAME.yaml.
    """

    severities: dict[AnomalyKind, Severity] = {}
    """Severity by kind of anomaly, where it differs from the default.

    By default type, missing column, empty, label and key faults stop; range, nulls, unseen
    category, new column and drift warn.
    """

    columns: dict[str, Severity] = {}
    """Severity of every anomaly of a column, whatever its kind."""

    categories: int = Field(200, ge=1)
    """A text column with at most this many distinct values gets a closed list of categories."""

    drift: DriftConfig | None = DriftConfig()
    """Drift against the last accepted profile; None: not looked at."""
