"""One column as a page shows it: its figures side by side, its distribution, what is wrong."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from raypipe.pages import bars as drawing
from raypipe.pages.text import visible
from raypipe.stages.validation.report.distribution import (
    Bar,
    Histogram,
    bars,
    histogram,
    is_counted,
)
from raypipe.stages.validation.report.drifting import Line
from raypipe.stages.validation.report.numbers import one_array, quantile_of
from raypipe.stages.validation.report.report import Report
from raypipe.stages.validation.report.told import distinct, facts, figure, value_of
from raypipe.stages.validation.words import number, percent
from raypipe.values.columns import ColumnProfile
from raypipe.values.hashing import is_bytes
from raypipe.values.schema import Column
from raypipe.values.validation import Anomaly

NAME = 120
"""Letters of a column's name that are shown."""
VALUE = 120
"""Letters of a value that are shown."""
CELL = 48
"""Letters that are shown in a cell among figures."""
INNER = 40
"""Parts of nested values that are shown."""
TOP = 8


@dataclass(frozen=True, kw_only=True)
class ColumnView:
    """What is shown of a column."""

    name: str
    anchor: str
    type: str
    roles: tuple[str, ...]
    state: str
    """`new` or `missing`, beside what it is compared with; empty for one that both have."""
    expected: str
    """What the schema says of it."""
    missing: str
    distinct: str
    anomalies: tuple[Anomaly, ...]
    drift: Line | None
    heads: tuple[str, ...]
    """Names of the rows that `facts` are of."""
    facts: tuple[tuple[str, tuple[str, ...]], ...]
    drawn_of: str
    """The rows whose distribution is shown."""
    histogram: Histogram | None
    chart: Markup | None
    bars: tuple[tuple[Bar, Markup], ...]
    top: tuple[tuple[str, int], ...]
    """Values that come several times in the sample, where there are too many to count."""
    sample: int
    """Values of the sample that they were drawn from."""
    examples: tuple[str, ...]
    inner: tuple[tuple[str, tuple[str, ...]], ...]
    more: int
    """Parts of nested values that are not shown."""
    images: tuple[tuple[str, str, int], ...]
    """Of bytes that are images: what is told of them, what of that, and how many images."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """A column's profile among the rows of one name."""

    head: str
    profile: ColumnProfile | None


def column_views(report: Report, drift: Mapping[str, Line]) -> list[ColumnView]:
    """Return all columns: those of now in their order, then those that are gone."""
    gone = [name for name in report.earlier.columns if name not in report.now.columns]
    by_column: dict[str, list[Anomaly]] = {}
    if report.validated is not None:
        for anomaly in report.validated.validation.anomalies:
            for name in columns_of(anomaly, report):
                by_column.setdefault(name, []).append(anomaly)
    return [
        _view(name, f"c{place}", report, tuple(by_column.get(name, ())), drift.get(name))
        for place, name in enumerate([*report.now.columns, *gone])
    ]


def columns_of(anomaly: Anomaly, report: Report) -> list[str]:
    """Return the columns that an anomaly is of: two that changed places are named in one text."""
    known = {*report.now.columns, *report.earlier.columns}
    if anomaly.column in known:
        return [anomaly.column]
    holder, _, part = anomaly.column.rpartition(".")  # what images are like: picture.width
    if part and holder in known:
        return [holder]
    return [name for name in anomaly.column.split(", ") if name in known]


def _view(
    name: str, anchor: str, report: Report, anomalies: tuple[Anomaly, ...], drift: Line | None
) -> ColumnView:
    before = report.earlier.columns.get(name)
    compared = report.compared.columns.get(name)
    every = report.now.columns.get(name) or report.earlier.columns[name]
    profile = compared or before or every
    sides = _sides(name, report)
    expected = report.validated.schema.column(name) if report.validated is not None else None
    bins, values = _distribution(profile, before if compared is not None else None)
    undrawn = bins is None and not values
    inner = list(_inner(profile))
    return ColumnView(
        name=visible(name, NAME),
        anchor=anchor,
        type=visible(_type(compared, before), NAME),
        roles=expected.roles if expected is not None else (),
        state=_state(compared, before, report),
        expected=_expected(expected),
        missing=percent(every.null_share) if every.nulls else "none",
        distinct=distinct(every),
        anomalies=anomalies,
        drift=drift,
        heads=tuple(side.head for side in sides),
        facts=_facts(sides),
        drawn_of=report.compared_as if compared is not None else "before",
        histogram=bins,
        chart=None
        if bins is None
        else drawing.histogram(bins.now, bins.before, _label(name, bins)),
        bars=tuple((bar, drawing.share(bar.now, bar.before)) for bar in values),
        top=_top(profile) if undrawn else (),
        sample=len(one_array(profile.drawn)) if profile.drawn is not None else 0,
        examples=_examples(profile) if undrawn else (),
        inner=tuple(inner[:INNER]),
        more=max(0, len(inner) - INNER),
        images=tuple(_images(profile)),
    )


def _sides(name: str, report: Report) -> list[Side]:
    found = []
    if report.before is not None:
        found.append(Side(head="before", profile=report.before.columns.get(name)))
    if report.compared is not report.now:
        found.append(Side(head="new rows", profile=report.compared.columns.get(name)))
    return [*found, Side(head="all rows", profile=report.now.columns.get(name))]


def _facts(sides: Sequence[Side]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    rows = []
    for name, told in facts().items():
        cells = tuple(
            "" if side.profile is None else visible(told(side.profile), CELL) for side in sides
        )
        if any(cells):
            rows.append((name, cells))
    return tuple(rows)


def _type(now: ColumnProfile | None, before: ColumnProfile | None) -> str:
    kinds = dict.fromkeys(column.type for column in (now, before) if column is not None)
    return ", before ".join(kinds)


def _state(now: ColumnProfile | None, before: ColumnProfile | None, report: Report) -> str:
    if not report.earlier.rows:
        return ""
    return "new" if before is None else "missing" if now is None else ""


def _expected(column: Column | None) -> str:
    if column is None:
        return ""
    said = [column.type]
    if column.nulls:
        said.append(f"at most {percent(column.nulls)} missing")
    if not column.required:
        said.append("may be absent")
    if column.minimum is not None or column.maximum is not None:
        ends = (column.minimum, column.maximum)
        said.append(" to ".join("any" if end is None else number(end) for end in ends))
    if column.categories is not None:
        said.append(f"one of {len(column.categories):,} values")
    return visible(", ".join(said), VALUE)


def _distribution(
    now: ColumnProfile, before: ColumnProfile | None
) -> tuple[Histogram | None, tuple[Bar, ...]]:
    if is_counted(now):
        return None, bars(now, before)
    bins = histogram(now, before)
    return bins, () if bins is not None else bars(now, before)


def _label(name: str, bins: Histogram) -> str:
    """Describe a histogram for who cannot see it."""
    place = max(range(len(bins.now)), key=lambda n: bins.now[n])
    where = f"bin {place + 1} of {len(bins.now)}"
    return (
        f"Distribution of {visible(name, NAME)} from {bins.low} to {bins.high}; "
        f"the tallest bar is {where} and holds {percent(bins.now[place])}"
    )


def _top(column: ColumnProfile) -> tuple[tuple[str, int], ...]:
    return tuple((visible(text, VALUE), n) for text, n in column.top[:TOP] if n > 1)


def _examples(column: ColumnProfile) -> tuple[str, ...]:
    if column.drawn is None or _is_binary(column):
        return ()
    return tuple(visible(str(value), VALUE) for value in one_array(column.drawn)[:3].to_pylist())


def _is_binary(column: ColumnProfile) -> bool:
    return column.drawn is not None and is_bytes(column.drawn.type)


def _images(column: ColumnProfile) -> Iterator[tuple[str, str, int]]:
    for part in ("format", "mode") if _is_binary(column) else ():
        if part in column.inner:
            yield from ((part, visible(text, CELL), n) for text, n in column.inner[part].top[:TOP])


def _inner(column: ColumnProfile, path: str = "") -> Iterator[tuple[str, tuple[str, ...]]]:
    """Return what is known of the parts of nested values, the outer ones first."""
    for name, part in column.inner.items():
        here = f"{path}{name}" if name in ("[]", "{}") or not path else f"{path}.{name}"
        ends = (value_of(part.type, end) for end in (part.min, quantile_of(part, 0.5), part.max))
        missing = percent(part.null_share) if part.nulls else "none"
        cells = (part.type, figure(part.count), missing, distinct(part), *ends)
        yield visible(here, NAME), tuple(visible(cell, CELL) for cell in cells)
        yield from _inner(part, here)
