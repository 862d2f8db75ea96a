"""What deepchecks, a library of checks in an environment of its own, is told of a dataset."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field

from raypipe.config.base import BaseConfig

Use = Literal["off", "auto", "required"]
CheckSeverity = Literal["stop", "warn", "off"]
CheckName = Literal[
    "IsSingleValue",
    "SpecialCharacters",
    "MixedNulls",
    "MixedDataTypes",
    "StringMismatch",
    "DataDuplicates",
    "StringLengthOutOfBounds",
    "ConflictingLabels",
    "OutlierSampleDetection",
    "FeatureLabelCorrelation",
    "FeatureFeatureCorrelation",
    "IdentifierLabelCorrelation",
    "DatasetsSizeComparison",
    "NewLabelTrainTest",
    "NewCategoryTrainTest",
    "StringMismatchComparison",
    "DateTrainTestLeakageDuplicates",
    "DateTrainTestLeakageOverlap",
    "IndexTrainTestLeakage",
    "TrainTestSamplesMix",
    "FeatureLabelCorrelationChange",
    "FeatureDrift",
    "LabelDrift",
    "MultivariateDrift",
]


def _off(value: Any) -> Any:
    """Return `off` for what YAML makes of an `off` without quotes."""
    return "off" if value is False else value


def _short(value: Any) -> Any:
    """Return the settings that one word stands for: `deepchecks: off`."""
    value = _off(value)
    return {"use": value} if isinstance(value, str) else value


class DeepchecksConfig(BaseConfig):
    """Which of deepchecks' checks look at a sample of the rows, and what becomes of it."""

    use: Annotated[Use, BeforeValidator(_off)] = "auto"
    """off: never; auto: where its environment is installed, and it is said where it is not;
    required: a run without it ends."""

    rows: int = Field(20_000, ge=100, le=1_000_000)
    """Rows of the train split, and of the validation split, that the sample has at most."""

    seconds: float = Field(600.0, gt=0)
    """Seconds that all checks together may take; what is at work then is killed, and told."""

    memory_mb: int = Field(4096, ge=1024)
    """MiB of address space that the process of the checks may have."""

    severities: dict[CheckName, Annotated[CheckSeverity, BeforeValidator(_off)]] = {}
    """Severity by check, where it is not `warn`; a check that is `off` is not run."""

    parameters: dict[CheckName, dict[str, Any]] = {}
    """Parameters of checks by name, such as {OutlierSampleDetection: {n_samples: 1000}}."""

    conditions: dict[CheckName, dict[str, dict[str, Any]]] = {}
    """Conditions by check, in place of its usual ones.

    Such as {FeatureDrift: {drift_score_less_than: {max_allowed_numeric_score: 0.1}}}.
    """

    environment: str | None = None
    """Folder of the environment; None: where `raypipe checks install` puts it."""

    @property
    def running(self) -> Self:
        """What decides what checks come to; how bad that is, is judged later."""
        off = {name: one for name, one in self.severities.items() if one == "off"}
        same = {"use": "auto", "environment": None, "severities": off}
        return self.model_copy(update=same)


Deepchecks = Annotated[DeepchecksConfig, BeforeValidator(_short)]
"""Settings, or one word for `use`."""
