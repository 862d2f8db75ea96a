"""What was searched for beyond the schema: copies, contradictions and leaks, found or not."""

from dataclasses import dataclass

from raypipe.config.validation import AnomalyKind
from raypipe.stages.validation.report.report import Report, Validated
from raypipe.stages.validation.severity import severity_of
from raypipe.values.validation import Anomaly

SEARCHES: dict[AnomalyKind, str] = {
    "duplicate_key": "rows with the key of another row",
    "duplicate_rows": "rows that are copies of another in all but the key",
    "near_duplicates": "texts that are nearly those of another row",
    "duplicates_across": "rows of validation or analysis that the train split has as well",
    "conflicting_labels": "rows with the features of another and another label",
    "group_leakage": "groups with rows in several splits",
    "time_leakage": "rows on the wrong side of the moment that parts the splits",
    "target_leakage": "a column that tells the label by itself",
}


@dataclass(frozen=True, kw_only=True)
class Search:
    """One search, and what it came to."""

    kind: str
    what: str
    came_to: str
    """`found`, `expected`, `not found` or `not searched`."""
    said: tuple[str, ...]


def searches(report: Report) -> tuple[Search, ...]:
    """Return each search and what it came to; none where nothing was validated."""
    if report.validated is None:
        return ()
    return tuple(_search(kind, what, report, report.validated) for kind, what in SEARCHES.items())


def _search(kind: AnomalyKind, what: str, report: Report, validated: Validated) -> Search:
    found = [one for one in validated.validation.anomalies if one.kind == kind]
    expected = [one.anomaly for one in validated.validation.accepted if one.anomaly.kind == kind]
    why = _not_searched(kind, report, validated)
    if found or expected:
        came_to, said = "found" if found else "expected", tuple(map(_said, [*found, *expected]))
    elif why:
        came_to, said = "not searched", (why,)
    else:
        came_to, said = "not found", ("none, or no more than the settings allow",)
    return Search(kind=kind, what=what, came_to=came_to, said=said)


def _said(anomaly: Anomaly) -> str:
    return anomaly.message


def _not_searched(kind: AnomalyKind, report: Report, validated: Validated) -> str:
    """Return why there was no search; empty if there was one."""
    data, settings = validated.data, report.settings
    alike = settings.duplicates
    if severity_of(kind, "", settings, vital=False) == "ignore":
        return f"validation.severities.{kind} is ignore"
    match kind:
        case "duplicate_key":
            return "" if data.key else "data.key names no column"
        case "target_leakage":
            return "" if settings.leakage is not None else "validation.leakage is null"
        case _ if alike is None:
            return "validation.duplicates is null"
        case "near_duplicates":
            none = not (alike.texts or alike.whole_rows)
            return "validation.duplicates.texts is false" if none else ""
        case "group_leakage":
            return "" if data.groups else "data.groups names no column"
        case "time_leakage":
            return "" if data.time else "data.time names no column"
    return ""
