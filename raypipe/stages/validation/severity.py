"""How bad an anomaly is: by column, then by kind, then by what is usual."""

from raypipe.config.validation import AnomalyKind, Severity, ValidationConfig

STOPS: frozenset[AnomalyKind] = frozenset(
    {
        "missing_column",
        "type",
        "empty",
        "duplicate_key",
        "constant_label",
        "target_leakage",
        "duplicates_across",
        "group_leakage",
        "time_leakage",
    }
)
"""Kinds that stop by default; all others warn."""

_STOPS_IN_LABEL_AND_KEY = ("nulls",)


def severity_of(
    kind: AnomalyKind, column: str, settings: ValidationConfig, *, vital: bool
) -> Severity:
    """Return the severity; `vital` says that the column is the label or part of the key."""
    if column in settings.columns:
        return settings.columns[column]
    if kind in settings.severities:
        return settings.severities[kind]
    return "stop" if kind in STOPS or (vital and kind in _STOPS_IN_LABEL_AND_KEY) else "warn"
