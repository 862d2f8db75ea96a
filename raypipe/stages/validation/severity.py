"""How bad an anomaly is: by column, then by kind, then by what is usual."""

from raypipe.config.validation import AnomalyKind, Severity, ValidationConfig

_USUAL: dict[AnomalyKind, Severity] = {
    "missing_column": "stop",
    "type": "stop",
    "empty": "stop",
    "duplicate_key": "stop",
    "constant_label": "stop",
    "new_column": "warn",
    "nulls": "warn",
    "range": "warn",
    "unseen_category": "warn",
    "drift": "warn",
}
_STOPS_IN_LABEL_AND_KEY = ("nulls",)


def severity_of(
    kind: AnomalyKind, column: str, settings: ValidationConfig, *, vital: bool
) -> Severity:
    """Return the severity; `vital` says that the column is the label or part of the key."""
    if column in settings.columns:
        return settings.columns[column]
    if kind in settings.severities:
        return settings.severities[kind]
    return "stop" if vital and kind in _STOPS_IN_LABEL_AND_KEY else _USUAL[kind]
