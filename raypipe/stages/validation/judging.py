"""From what was found to anomalies: severity, what allows it, and what was expected."""

from collections.abc import Iterable
from typing import cast

from raypipe.config.validation import AnomalyKind, ValidationConfig
from raypipe.stages.validation.severity import severity_of
from raypipe.values.schema import Schema
from raypipe.values.validation import Accepted, Anomaly, Found

OF_ROWS = (
    "duplicate_key",
    "constant_label",
    "duplicate_rows",
    "duplicates_across",
    "conflicting_labels",
    "group_leakage",
    "time_leakage",
    "imbalance",
)
"""Kinds that are allowed by kind, even where they name a column."""


def judged(
    found: Iterable[Found], schema: Schema, settings: ValidationConfig
) -> tuple[tuple[Anomaly, ...], tuple[Accepted, ...]]:
    """Return the anomalies, those that stop first, one a column and kind; and the expected ones."""
    last = {(one.kind, one.column): one for one in found}
    anomalies = [one for one in (_judge(f, schema, settings) for f in last.values()) if one]
    expected = {one.what: one for one in settings.accept}
    accepted = [
        Accepted(anomaly=one, by=expected[one.name].by, why=expected[one.name].why)
        for one in anomalies
        if one.name in expected
    ]
    place = {column.name: number for number, column in enumerate(schema.columns)}
    left = sorted(
        (one for one in anomalies if one.name not in expected),
        key=lambda one: (one.severity != "stop", place.get(one.column, -1)),
    )
    return tuple(left), tuple(accepted)


def _judge(found: Found, schema: Schema, settings: ValidationConfig) -> Anomaly | None:
    vital = found.column == schema.label or found.column in schema.key
    kind = cast(AnomalyKind, found.kind)
    severity = severity_of(kind, found.column, settings, vital=vital)
    if severity == "ignore":
        return None
    milder = "warn" if severity == "stop" else "ignore"
    by_column = schema.column(found.column) is not None or found.kind == "new_column"
    by_column = by_column and found.kind not in OF_ROWS
    where = f"columns.{found.column}" if by_column else f"severities.{found.kind}"
    allow = f"validation.{where}: {milder}"
    return Anomaly(
        column=found.column,
        kind=found.kind,
        severity=severity,
        message=f"{found.column}: {found.said}" if found.column else found.said,
        share=found.share,
        examples=found.examples,
        allow=f"{found.allow}, or {allow}" if found.allow else allow,
    )
