"""Which checks there are: known without their environment, so that they can be listed and set."""

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from raypipe.config.deepchecks import CheckName, CheckSeverity, DeepchecksConfig

Suite = Literal["data_integrity", "train_test_validation"]
SUITES: tuple[Suite, ...] = get_args(Suite)


@dataclass(frozen=True, kw_only=True)
class Known:
    """A check of deepchecks."""

    name: CheckName
    suite: Suite
    usual: str
    """Its usual condition; empty where it has none."""
    conditions: tuple[str, ...]
    """Conditions that it can have."""
    parameters: dict[str, Any] = field(default_factory=dict)
    """Its parameters here, where they are not its own."""
    needs: Literal["", "label", "key", "time", "split by time"] = ""
    """What the settings must name for it to apply."""


def _of(suite: Suite, *rows: tuple[CheckName, str, str], **needs: Any) -> tuple[Known, ...]:
    return tuple(
        Known(name=name, suite=suite, usual=usual, conditions=tuple(can.split()), **needs)
        for name, usual, can in rows
    )


_ONE, _TWO = SUITES

CATALOGUE: tuple[Known, ...] = (
    *_of(
        _ONE,
        ("IsSingleValue", "no column of one value", "not_single_value"),
        (
            "SpecialCharacters",
            "at most 0.1 % of a column are special characters alone",
            "ratio_of_special_characters_less_or_equal",
        ),
        ("MixedNulls", "at most one kind of null in a column", "different_nulls_less_equal_to"),
        (
            "MixedDataTypes",
            "a rare type is less than 1 % or more than 10 % of a column",
            "rare_type_ratio_not_in_range",
        ),
        (
            "StringMismatch",
            "no text in several spellings",
            "no_variants number_variants_less_or_equal ratio_variants_less_or_equal",
        ),
        ("DataDuplicates", "at most 5 % of rows are copies", "ratio_less_or_equal"),
        (
            "StringLengthOutOfBounds",
            "no text of unusual length",
            "number_of_outliers_less_or_equal ratio_of_outliers_less_or_equal",
        ),
        (
            "FeatureFeatureCorrelation",
            "no two features are correlated above 0.9",
            "max_number_of_pairs_above_threshold",
        ),
    ),
    *_of(
        _ONE,
        ("OutlierSampleDetection", "", "no_outliers outlier_ratio_less_or_equal"),
        # It is quadratic, and by itself gives up where it foresees ten seconds, so that it would
        # vanish on a busy machine.
        parameters={"n_samples": 2000, "timeout": 0},
    ),
    *_of(
        _ONE,
        (
            "ConflictingLabels",
            "no two equal rows with different labels",
            "ratio_of_conflicting_labels_less_or_equal",
        ),
        (
            "FeatureLabelCorrelation",
            "no feature tells the label above 0.8 (predictive power score)",
            "feature_pps_less_than",
        ),
        needs="label",
    ),
    *_of(
        _ONE,
        ("IdentifierLabelCorrelation", "the key tells nothing of the label", "pps_less_or_equal"),
        needs="label",
    ),
    *_of(
        _TWO,
        (
            "DatasetsSizeComparison",
            "validation rows are more than 1 % of train rows",
            "test_size_greater_or_equal test_train_size_ratio_greater_than "
            "train_dataset_greater_or_equal_test",
        ),
        (
            "NewCategoryTrainTest",
            "no category that train rows lack",
            "new_categories_less_or_equal new_category_ratio_less_or_equal",
        ),
        (
            "StringMismatchComparison",
            "no spelling that train rows lack",
            "no_new_variants ratio_new_variants_less_or_equal",
        ),
        (
            "TrainTestSamplesMix",
            "at most 5 % of validation rows are among train rows",
            "duplicates_ratio_less_or_equal",
        ),
        ("FeatureDrift", "no feature drifts by 0.2 or more", "drift_score_less_than"),
        ("MultivariateDrift", "drift of all features below 0.25", "overall_drift_value_less_than"),
    ),
    *_of(
        _TWO,
        (
            "NewLabelTrainTest",
            "no label that train rows lack",
            "new_label_ratio_less_or_equal new_labels_number_less_or_equal",
        ),
        (
            "FeatureLabelCorrelationChange",
            "a feature tells the label by less than 0.7, and in both splits alike (0.2)",
            "feature_pps_difference_less_than feature_pps_in_train_less_than",
        ),
        ("LabelDrift", "the label drifts by less than 0.15", "drift_score_less_than"),
        needs="label",
    ),
    *_of(
        _TWO,
        ("IndexTrainTestLeakage", "no key in both splits", "ratio_less_or_equal"),
        needs="key",
    ),
    *_of(
        _TWO,
        (
            "DateTrainTestLeakageDuplicates",
            "no moment in both splits",
            "leakage_ratio_less_or_equal",
        ),
        (
            "DateTrainTestLeakageOverlap",
            "no validation row before the last train row",
            "leakage_ratio_less_or_equal",
        ),
        needs="split by time",
    ),
)
"""In the order in which they run."""


def severity_of(name: str, settings: DeepchecksConfig) -> CheckSeverity:
    """Return what becomes of a check's failed condition."""
    severities: dict[Any, CheckSeverity] = dict(settings.severities)
    return severities.get(name, "warn")
