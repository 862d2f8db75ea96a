"""How rows are divided: the size of each split, and how the label lies in it."""

from dataclasses import dataclass

from markupsafe import Markup

from raypipe.pages import bars as drawing
from raypipe.pages.text import visible
from raypipe.stages.validation.report.report import Validated
from raypipe.stages.validation.report.told import facts, figure
from raypipe.stages.validation.words import percent
from raypipe.values.columns import ColumnProfile, by_frequency
from raypipe.values.split import SPLITS, rule_columns

CLASSES = 12
"""Values of the label that are shown each by itself."""
VALUE = 80
OF_NUMBERS = ("smallest", "5 % below", "median", "95 % below", "largest", "mean")
"""What is told of a label that is a number."""


@dataclass(frozen=True, kw_only=True)
class SplitsView:
    """What is shown of the splits."""

    rule: str
    sizes: tuple[tuple[str, str, str, Markup], ...]
    """Name, rows, share of all rows, and that as a bar."""
    label: str
    heads: tuple[str, ...]
    labels: tuple[tuple[str, tuple[str, ...]], ...]
    """What is told of the label, and that in each split."""


def splits_view(validated: Validated) -> SplitsView:
    """Return the sizes of the splits, and the label's shares, or its quantiles where it is many."""
    profiles = {name: getattr(validated.splits, name) for name in SPLITS}
    total = sum(profile.rows for profile in profiles.values())
    label = validated.data.label
    columns = {name: profile.columns.get(label) for name, profile in profiles.items()}
    return SplitsView(
        rule=_rule(validated),
        sizes=tuple(
            (
                name,
                f"{profile.rows:,}",
                percent(profile.rows / total) if total else "-",
                drawing.share(profile.rows / total if total else 0.0, None),
            )
            for name, profile in profiles.items()
        ),
        label=visible(label, VALUE),
        heads=SPLITS,
        labels=_labels(validated.splits.all.columns.get(label), columns),
    )


def _rule(validated: Validated) -> str:
    rule = validated.data.split
    named = visible(", ".join(rule_columns(rule)), VALUE)
    match rule.by:
        case "time":
            return (
                f"by the time in {named}: validation from {rule.validation_from}, "
                f"analysis from {rule.analysis_from}"
            )
        case "column":
            return f"by the column {named}"
        case "group":
            return f"by groups of {named}, so that each group is in one split"
    return f"by a hash of {named}, so that a row keeps its split"


def _labels(
    label: ColumnProfile | None, columns: dict[str, ColumnProfile | None]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if label is None:
        return ()
    if label.values is None or (label.buckets is not None and label.distinct > CLASSES):
        rows = [
            (name, tuple("" if c is None else told(c) for c in columns.values()))
            for name, told in facts().items()
            if name in OF_NUMBERS
        ]
    else:
        values = [value for value, _ in by_frequency(label.values)]
        rows = [
            (visible(value, VALUE) or "(empty)", tuple(_share(value, c) for c in columns.values()))
            for value in values[:CLASSES]
        ]
        if (more := len(values) - CLASSES) > 0:
            rows.append((f"{more:,} other values", ("",) * len(columns)))
    missing = tuple("" if c is None else figure(c.nulls) for c in columns.values())
    return (*rows, *([("without a label", missing)] if label.nulls else []))


def _share(value: str, column: ColumnProfile | None) -> str:
    if column is None or column.values is None:
        return ""
    count = column.values.get(value, 0)
    return f"{percent(count / max(1, column.count))} ({count:,})" if count else "none"
