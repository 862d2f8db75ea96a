"""How the two columns of a pair go together, now and before."""

from dataclasses import dataclass

from markupsafe import Markup

from raypipe.pages import bars as drawing
from raypipe.pages.text import visible
from raypipe.stages.validation.report.distribution import Bar, bars
from raypipe.stages.validation.report.report import Report
from raypipe.values.pairs import association, name_of, values_of
from raypipe.values.profile import Profile

VALUE = 60


@dataclass(frozen=True, kw_only=True)
class PairView:
    """What is shown of one pair."""

    name: str
    association: float | None
    """Cramér's V of all rows, 0 to 1."""
    before: float | None
    bars: tuple[tuple[Bar, str, Markup], ...]
    """The most frequent pairs, each with its values in words."""
    note: str
    """Why nothing is shown."""


def pair_views(report: Report) -> list[PairView]:
    """Return the pairs that settings ask for, in their order."""
    asked = report.validated.data.pairs if report.validated is not None else ()
    return [_view(pair, report) for pair in asked]


def _view(pair: tuple[str, str], report: Report) -> PairView:
    name = name_of(pair)
    now = report.compared.derived.get(name)
    before = None if report.before is None else report.before.derived.get(name)
    found = () if now is None else bars(now, before)
    return PairView(
        name=name,
        association=_association(report.now, name),
        before=None if report.before is None else _association(report.before, name),
        bars=tuple((bar, _words(bar), drawing.share(bar.now, bar.before)) for bar in found),
        note="" if found else _why_not(pair, report.now),
    )


def _association(profile: Profile, name: str) -> float | None:
    counts = profile.pairs.get(name)
    return None if counts is None else association(counts.pairs)


def _words(bar: Bar) -> str:
    if bar.rest:
        return bar.value
    return ", ".join("null" if v is None else visible(v, VALUE) for v in values_of(bar.value))


def _why_not(pair: tuple[str, str], now: Profile) -> str:
    if gone := [name for name in pair if name not in now.columns]:
        return f"There is no column {visible(' and no column '.join(gone), VALUE)}; see data.pairs."
    return "It has too many combinations, or none comes twice: nothing is counted."
