"""The data report as one HTML file: what is wrong first, then what changed, then each column."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from raypipe.pages import page
from raypipe.pages.text import visible
from raypipe.stages.validation.report.columns import NAME, ColumnView, column_views
from raypipe.stages.validation.report.drifting import drift_lines
from raypipe.stages.validation.report.pairs import pair_views
from raypipe.stages.validation.report.report import Report
from raypipe.stages.validation.report.searches import searches
from raypipe.stages.validation.report.splits import splits_view
from raypipe.stages.validation.words import percent
from raypipe.values.profile import Profile
from raypipe.values.validation import Anomaly
from raypipe.values.words import amount

TEMPLATES = Path(__file__).with_name("templates")
MOST_COLUMNS = 1_000
"""Columns that are shown each by itself; of more, those with something to say come first."""
MOST_DRIFT = 40
MOST_NAMED = 20


def render(report: Report) -> str:
    """Return the page of a dataset; what it takes grows with the columns, not with the rows."""
    drift = drift_lines(report)
    views = column_views(report, drift)
    shown = _shown(views)
    return page.render(
        TEMPLATES,
        "data.html",
        r=report,
        v=report.validated,
        overview=list(_overview(report)),
        changes=list(_changes(report)),
        columns=views,
        shown=shown,
        anchors={view.anchor for view in shown},
        drift=list(drift.values())[:MOST_DRIFT],
        drift_more=max(0, len(drift) - MOST_DRIFT),
        splits=None if report.validated is None else splits_view(report.validated),
        searches=searches(report),
        pairs=pair_views(report),
        anomalies=anomalies,
        said=said,
        short=short,
        typed=shlex.quote,
        percent=percent,
        amount=amount,
    )


def short(text: str, most: int = NAME) -> str:
    """Shorten a text that is shown among others."""
    return visible(text, most)


def anomalies(count: int) -> str:
    """Say how many anomalies."""
    return f"{count:,} anomal{'y' if count == 1 else 'ies'}"


def said(anomaly: Anomaly) -> str:
    """Return an anomaly's sentence without the column, which stands above it."""
    return anomaly.message.removeprefix(f"{anomaly.column}: ")


def _shown(views: list[ColumnView]) -> list[ColumnView]:
    if len(views) <= MOST_COLUMNS:
        return views
    first = sorted(
        views, key=lambda v: not (v.anomalies or v.state or (v.drift and v.drift.is_moved))
    )
    kept = {view.anchor for view in first[:MOST_COLUMNS]}
    return [view for view in views if view.anchor in kept]


def _overview(report: Report) -> Iterator[tuple[str, str]]:
    dataset, now = report.dataset, report.now
    size = sum(shard.size for shard in dataset.shards)
    yield "dataset", dataset.uri
    yield "commit", dataset.commit
    yield "rows", f"{now.rows:,}"
    yield "columns", f"{len(now.columns):,}"
    yield "shards", f"{len(dataset.shards):,}, {_bytes(size)}"
    if (v := report.validated) is not None:
        yield "label", v.data.label
        if v.data.key:
            yield "key", ", ".join(v.data.key)
        if v.data.time:
            yield "time", v.data.time
    if report.before is not None:
        yield "compared with", amount(report.before.rows, "row") + " before"
    if report.new is not None:
        which = f" in {amount(len(report.new_shards), 'shard')}" if report.new_shards else ""
        yield "new", amount(report.new.rows, "row") + which


def _bytes(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _changes(report: Report) -> Iterator[tuple[str, str]]:
    """Return what is new, gone and of another type, against what was there before."""
    before, now = report.before, report.now
    if before is None:
        return
    kept = now.rows - (report.new.rows if report.new is not None else 0)
    if gone := max(0, before.rows - kept):
        yield "rows that are gone", f"{gone:,}"
    if report.new_shards:
        yield "new shards", _named([shard.path for shard in report.new_shards])
    for said, names in _columns_that_changed(before, report.compared):
        if names:
            yield said, _named(names)


def _columns_that_changed(before: Profile, rows: Profile) -> Iterator[tuple[str, list[str]]]:
    yield "new columns", [name for name in rows.columns if name not in before.columns]
    yield "missing columns", [name for name in before.columns if name not in rows.columns]
    both = [name for name in rows.columns if name in before.columns]
    types = {name: (before.columns[name].type, rows.columns[name].type) for name in both}
    yield (
        "columns of another type",
        [f"{name} ({was}, now {kind})" for name, (was, kind) in types.items() if was != kind],
    )


def _named(names: list[str]) -> str:
    shown = [visible(name, NAME) for name in names[:MOST_NAMED]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")
