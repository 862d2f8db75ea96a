"""What the validation stage is told: where the schema lies, and which anomalies stop a run."""

from typing import Literal

from pydantic import Field

from raypipe.config.base import BaseConfig, Share
from raypipe.config.deepchecks import Deepchecks, DeepchecksConfig

Severity = Literal["stop", "warn", "ignore"]
Measure = Literal["js", "psi", "linf", "ks"]
AnomalyKind = Literal[
    "missing_column",
    "new_column",
    "type",
    "nulls",
    "range",
    "unseen_category",
    "renamed_category",
    "encoding",
    "empty",
    "constant_column",
    "swapped_columns",
    "unit",
    "drift",
    "skew",
    "duplicate_key",
    "duplicate_rows",
    "near_duplicates",
    "duplicates_across",
    "group_leakage",
    "time_leakage",
    "constant_label",
    "imbalance",
    "conflicting_labels",
    "target_leakage",
    "dominance",
]


class DriftConfig(BaseConfig):
    """How far a column may move before it is an anomaly; what chance explains never is one."""

    threshold: float = Field(0.10, ge=0)
    """Largest distance between the new rows and the accepted ones.

    By default the Jensen-Shannon divergence to base 2, from 0 to 1.
    """

    columns: dict[str, float] = {}
    """Threshold by column, where it differs from `threshold`."""

    measure: Measure = "js"
    """js: Jensen-Shannon; psi: population stability index; linf: largest change of one value's
    share; ks: Kolmogorov-Smirnov, for numbers."""

    measures: dict[str, Measure] = {}
    """Measure by column, where it differs from `measure`."""


class DuplicatesConfig(BaseConfig):
    """How alike rows may be: shares of rows, beyond doubt and beyond what chance explains."""

    rows: Share = 0.05
    """Largest share of rows that an earlier row equals in all but the key."""

    across: Share = 0.01
    """Largest share of validation or analysis rows whose content is in the train split as well."""

    conflicts: Share = 0.01
    """Largest share of rows whose features another row has with another label."""

    near: Share = 0.05
    """Largest share of rows whose text is nearly that of another row."""

    similarity: float = Field(0.70, gt=0, le=1)
    """Share of six-letter pieces that two texts have in common, from which they count as near."""

    texts: bool = True
    """Whether near-duplicates are sought among texts: columns of 40 characters or more a value."""

    whole_rows: bool = False
    """Whether they are sought among rows: `similarity` is then the share of equal columns."""


class ExpectedConfig(BaseConfig):
    """A change that somebody expects."""

    what: str = Field(pattern=r"^[a-z_]+(:.+)?$")
    """KIND:COLUMN as validation names it, such as drift:temp; KIND alone for rows as a whole."""

    by: str = ""
    """Who accepts it."""

    why: str = ""
    """The reason, for those who read it later."""


class ValidationConfig(BaseConfig):
    """Settings of the validation stage."""

    schema_file: str | None = None
    """The schema as YAML; inferred and written at the first run, then yours to edit.

    None: HOME/schemas/NAME.yaml.
    """

    severities: dict[AnomalyKind, Severity] = {}
    """Severity by kind of anomaly, where it differs from the default.

    By default what makes figures wrong stops: type, missing column, empty, faults of label and key,
    and what leaks from one split into another. All else warns.
    """

    columns: dict[str, Severity] = {}
    """Severity of every anomaly of a column, whatever its kind.

    One that neither the rows nor the schema have is an error, here and in drift and skew.
    """

    accept: tuple[ExpectedConfig, ...] = ()
    """Changes that are expected: they are shown, and neither stop nor warn."""

    categories: int = Field(200, ge=1)
    """A text column with at most this many distinct values gets a closed list of categories."""

    drift: DriftConfig | None = DriftConfig()
    """Drift against the last accepted profile; None: not looked at."""

    skew: DriftConfig | None = DriftConfig(threshold=0.20)
    """Distance of the validation and analysis splits from the train split; None: not looked at.

    Not looked at either where rows are split by time.
    """

    duplicates: DuplicatesConfig | None = DuplicatesConfig()
    """Rows that are alike, within and across splits; None: not looked for."""

    leakage: float | None = Field(0.97, gt=0, le=1)
    """How much of the label one column may tell by itself, from 0 (no more than chance) to 1."""

    balance: Share = 0.05
    """Smallest share of a class, as a part of an even share: 0.05 of two classes is 2.5 %."""

    dominance: float | None = Field(0.95, gt=0.5, le=1)
    """Share of one label among the new rows of one value, beyond which it is news."""

    deepchecks: Deepchecks = DeepchecksConfig()
    """What the library deepchecks looks at, in an environment of its own; or `off`, `auto` (used
    where `raypipe checks install` made that environment) or `required`."""
