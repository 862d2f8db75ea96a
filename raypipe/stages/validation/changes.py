"""What changed: the new rows against the accepted ones, and one split against another.

A change is named for what it looks like: two columns that changed places, another unit, a value
with another name, text in another encoding. What fits none of these is drift.
"""

import math
from collections.abc import Iterator, Mapping
from itertools import combinations
from types import MappingProxyType

import numpy as np

from raypipe.config.validation import DriftConfig, ValidationConfig
from raypipe.stages.validation.words import number, percent, rounded_up, visible
from raypipe.values.chance import ALARMS, differ, share_at_most
from raypipe.values.columns import ColumnProfile
from raypipe.values.drift import MEASURES, Gap, column_gap, counts_gap
from raypipe.values.measure import plain_array
from raypipe.values.profile import Profile, SplitProfiles
from raypipe.values.schema import Schema, is_numeric, kind_of
from raypipe.values.split import SplitRule, rule_columns
from raypipe.values.validation import Found

QUANTILES = tuple(share / 20 for share in range(2, 19))
FACTOR = 1.5
"""Smallest factor that is taken for another unit; what grows by less has drifted."""
BROKEN = ("Ã", "Â", "â€", "\ufffd")
"""What UTF-8 looks like that was read as Latin-1, and what cannot be read at all."""
FEW = 20
"""Rows below which nothing is said to be constant."""


def of_changes(
    new: Profile,
    accepted: Profile,
    schema: Schema,
    settings: ValidationConfig,
    gaps: Mapping[str, Gap | None],
) -> Iterator[Found]:
    """Say how the new rows differ from the accepted ones; `gaps` are those by Jensen-Shannon."""
    if not new.rows or not accepted.rows:
        return
    pairs = {
        name: (column, accepted.columns[name])
        for name, column in new.columns.items()
        if name in accepted.columns and _may_change(name, schema)
    }
    named = set()
    for found in (*_constant(pairs), *_renamed(pairs), *_broken(new, accepted, pairs)):
        named.add(found.column)
        yield found
    if settings.drift is None:
        return
    moved = dict(_moved(pairs, settings.drift, known=gaps))
    swapped = list(_swapped(pairs, moved, settings.drift))
    for one, other in swapped:
        named |= {one, other}
        said = f"the new rows of {one} look like those of {other} before, and the other way round."
        yield Found(kind="swapped_columns", column=f"{one}, {other}", said=said, share=1.0)
    for name, gap in moved.items():
        if name in named:
            continue
        unit = _unit(*pairs[name])
        yield unit if unit is not None else _drift(name, gap, settings.drift)
    for name, gap in _moved(_derived_pairs(new, accepted), settings.drift):
        yield _drift(name, gap, settings.drift)


def of_skew(
    profiles: SplitProfiles, schema: Schema, settings: ValidationConfig, split: SplitRule
) -> Iterator[Found]:
    """Say how the validation and analysis splits differ from the train split.

    In the columns that rows are divided by they may. Where whole groups are drawn, chance does what
    it does to so many groups, not to so many rows.
    """
    drift, train = settings.skew, profiles.train
    if drift is None or not train.rows:
        return
    divided_by = rule_columns(split)
    for name_of_split in ("validation", "analysis"):
        profile: Profile = getattr(profiles, name_of_split)
        draws = _rows_a_draw(profile, train, divided_by) if split.by == "group" else 1.0
        pairs = {
            name: (column, train.columns[name])
            for name, column in profile.columns.items()
            if name in train.columns and name not in divided_by and _may_change(name, schema)
        }
        pairs |= _derived_pairs(profile, train)
        for name, gap in _moved(pairs, drift, draws):
            said = f"the {name_of_split} split lies {gap.distance:.2f} from the train split"
            yield Found(
                kind="skew",
                column=name,
                said=f"{said} {_as_allowed(name, drift)}",
                allow=f"validation.skew.columns.{name}: {rounded_up(gap.distance):g}",
            )


_Pairs = dict[str, tuple[ColumnProfile, ColumnProfile]]
"""By column: of the new rows, and of the accepted ones."""


def _derived_pairs(new: Profile, accepted: Profile) -> _Pairs:
    """Return what is not a column by itself: pairs of columns, and what images are like."""
    theirs = accepted.derived
    return {name: (one, theirs[name]) for name, one in new.derived.items() if name in theirs}


def _may_change(name: str, schema: Schema) -> bool:
    """Time goes on, identifiers are new by nature, and a split is named by who divides."""
    column = schema.column(name)
    return schema.key != (name,) and not (column and "time" in column.roles)


def _rows_a_draw(one: Profile, other: Profile, columns: tuple[str, ...]) -> float:
    """Return by how much fewer draws there were than rows, where each draw is a group."""

    def unit(counts: list[int]) -> float:
        return sum(1 / max(1, count) for count in counts)

    groups = [
        max((p.columns[name].distinct for name in columns if name in p.columns), default=1)
        for p in (one, other)
    ]
    return max(1.0, unit(groups) / unit([one.rows, other.rows]))


def _moved(
    pairs: _Pairs,
    settings: DriftConfig,
    draws: float = 1.0,
    known: Mapping[str, Gap | None] = MappingProxyType({}),
) -> Iterator[tuple[str, Gap]]:
    """Return what moved; `draws` is how many rows came by one draw."""
    for name, (new, accepted) in pairs.items():
        measure = settings.measures.get(name, settings.measure)
        if measure == "js" and name in known:
            gap = known[name]
        else:
            gap = column_gap(new, accepted, measure)
        threshold = settings.columns.get(name, settings.threshold)
        by_chance = draws if measure in ("js", "psi") else math.sqrt(draws)
        if (
            gap is not None
            and gap.distance > gap.by_chance * by_chance
            and gap.distance > threshold
        ):
            yield name, gap


def _drift(name: str, gap: Gap, settings: DriftConfig) -> Found:
    said = f"the new rows lie {gap.distance:.2f} from the accepted ones"
    return Found(
        kind="drift",
        column=name,
        said=f"{said} {_as_allowed(name, settings)}",
        allow=f"validation.drift.columns.{name}: {rounded_up(gap.distance):g}",
    )


def _as_allowed(name: str, settings: DriftConfig) -> str:
    measure = MEASURES[settings.measures.get(name, settings.measure)]
    threshold = settings.columns.get(name, settings.threshold)
    return f"({measure}); the settings allow {threshold:g}."


def _constant(pairs: _Pairs) -> Iterator[Found]:
    for name, (new, accepted) in pairs.items():
        values = [] if new.counted is None else [*new.counted.places]
        if new.count < FEW or len(values) != 1 or accepted.distinct < 2:
            continue
        (value,) = values
        before = (accepted.values or {}).get(value, 0) / max(1, accepted.count)
        if before**new.count < ALARMS:
            yield Found(
                kind="constant_column",
                column=name,
                said=f"all of the new rows have {visible(value)}, which {percent(before)} of the "
                "accepted ones have.",
                share=1.0,
                examples=(value,),
            )


def _swapped(
    pairs: _Pairs, moved: dict[str, Gap], settings: DriftConfig
) -> Iterator[tuple[str, str]]:
    left = set(moved)
    for one, other in combinations(moved, 2):
        if {one, other} <= left and _is_like(pairs, one, other) and _is_like(pairs, other, one):
            left -= {one, other}
            yield one, other


def _is_like(pairs: _Pairs, new: str, accepted: str) -> bool:
    """Say whether the new rows of one column are what the accepted ones of another were."""
    ours, theirs = pairs[new][0], pairs[accepted][1]
    if kind_of(ours.type) != kind_of(theirs.type) and not (
        is_numeric(ours.type) and is_numeric(theirs.type)
    ):
        return False
    gap = column_gap(ours, theirs, "js", ALARMS)
    return gap is not None and not gap.is_real


def _unit(new: ColumnProfile, accepted: ColumnProfile) -> Found | None:
    """Say whether the new numbers are the accepted ones times a factor, or plus a number."""
    if new.buckets is None or accepted.buckets is None or not is_numeric(new.type):
        return None
    ours = np.array([new.quantile(share) for share in QUANTILES], float)
    theirs = np.array([accepted.quantile(share) for share in QUANTILES], float)
    spread = accepted.deviation or 0.0
    if not spread:
        return None
    # Three standard errors of the outer tenths, and the width of a bucket.
    room = 5 * math.sqrt(1 / new.count + 1 / accepted.count)
    room += 0.016 * float(np.abs(theirs).max()) / spread
    told = (
        _code_step(new, accepted)
        or _factor(ours, theirs, spread, room)
        or _step(ours, theirs, spread, room)
    )
    if told is None:
        return None
    return Found(
        kind="unit",
        column=new.name,
        said=f"the new numbers are the accepted ones {told}: another unit or code?",
        share=1.0,
        examples=(number(float(ours[9])), number(float(theirs[9]))),
    )


_Numbers = np.ndarray[tuple[int], np.dtype[np.float64]]


def _factor(ours: _Numbers, theirs: _Numbers, spread: float, room: float) -> str | None:
    held = theirs != 0
    if held.sum() < len(theirs) / 2:
        return None
    factor = float(np.median(ours[held] / theirs[held]))
    if factor <= 0 or 1 / FACTOR < factor < FACTOR:
        return None
    apart = np.abs(ours - factor * theirs).max() / (factor * spread)
    return f"times about {factor:.3g}" if apart < room else None


def _code_step(new: ColumnProfile, accepted: ColumnProfile) -> str | None:
    """Say by which whole number codes were moved, if that makes them what they were."""
    if new.values is None or accepted.values is None or new.mean is None or accepted.mean is None:
        return None
    step = round(new.mean - accepted.mean)
    if not step:
        return None
    ours = {float(text) - step: count for text, count in new.values.items()}
    theirs = {float(text): count for text, count in accepted.values.items()}
    gap = counts_gap(ours, theirs)
    return None if gap.is_real else f"{'plus' if step > 0 else 'minus'} {abs(step)}"


def _step(ours: _Numbers, theirs: _Numbers, spread: float, room: float) -> str | None:
    step = float(np.median(ours - theirs))
    apart = np.abs(ours - theirs - step).max() / spread
    if apart >= room or abs(step) < spread / 2:
        return None
    return f"{'plus' if step > 0 else 'minus'} about {abs(step):.3g}"


def _renamed(pairs: _Pairs) -> Iterator[Found]:
    for name, (new, accepted) in pairs.items():
        if kind_of(new.type) != "text" or new.values is None or accepted.values is None:
            continue
        for was, came in _replacements(new, accepted):
            share = new.values[came] / new.count
            kind = "encoding" if _misread(came) == was else "renamed_category"
            yield Found(
                kind=kind,
                column=name,
                said=f"{visible(was)} is gone, and {visible(came)} came in its place, in "
                f"{percent(share)} of the new rows.",
                share=share,
                examples=(was, came),
                allow="the new name among its categories in the schema file",
            )


def _replacements(new: ColumnProfile, accepted: ColumnProfile) -> Iterator[tuple[str, str]]:
    """Pair what is gone though chance would have kept it with what came as often."""
    ours, theirs = new.values or {}, accepted.values or {}
    gone = [
        text
        for text, count in theirs.items()
        if text not in ours and (1 - count / accepted.count) ** new.count < ALARMS
    ]
    came = [text for text in ours if text not in theirs]
    for was in sorted(gone, key=lambda text: -theirs[text]):
        like = [text for text in came if not _is_apart(ours[text], new, theirs[was], accepted)]
        if like:
            best = min(like, key=lambda text: (_misread(text) != was, -ours[text], text))
            came.remove(best)
            yield was, best


def _is_apart(now: int, new: ColumnProfile, then: int, accepted: ColumnProfile) -> bool:
    either = (now, new.count, then, accepted.count), (then, accepted.count, now, new.count)
    return any(differ(*one, alarms=ALARMS) for one in either)


def _misread(text: str) -> str | None:
    """Return what a text says when its letters are taken for bytes of UTF-8."""
    for encoding in ("cp1252", "latin-1"):
        try:
            read = text.encode(encoding).decode()
        except (UnicodeEncodeError, UnicodeDecodeError):
            continue
        return read if read != text else None
    return None


def _broken(new: Profile, accepted: Profile, pairs: _Pairs) -> Iterator[Found]:
    for name, (column, before) in pairs.items():
        if kind_of(column.type) != "text" or kind_of(before.type) != "text":
            continue
        if not _may_be_unreadable(column, new):
            continue
        ours, of_ours, examples = _unreadable(column, new)
        theirs, of_theirs, _ = _unreadable(before, accepted)
        if differ(ours, of_ours, theirs, of_theirs) and share_at_most(theirs, of_theirs) < 1:
            yield Found(
                kind="encoding",
                column=name,
                said=f"{percent(ours / of_ours)} of the new rows look like UTF-8 that was read as "
                f"something else ({', '.join(map(visible, examples[:3]))}).",
                share=ours / of_ours,
                examples=tuple(examples[:3]),
            )


def _may_be_unreadable(column: ColumnProfile, profile: Profile) -> bool:
    """Look for marks of broken texts in all texts as one, which costs little: most have none."""
    if column.counted is not None:
        return _is_broken(column.counted.texts)
    held = plain_array(profile.sample.rows[column.name]).buffers()[-1]
    content = b"" if held is None else held.to_pybytes()
    return any(mark.encode() in content for mark in BROKEN)


def _unreadable(column: ColumnProfile, profile: Profile) -> tuple[int, int, list[str]]:
    """Count broken texts: of all rows where each is counted, else of the sample."""
    if column.values is not None:
        counts = column.values
    else:
        texts = profile.sample.rows[column.name].drop_null().to_pylist()
        counts = dict.fromkeys(map(str, texts), 1)
    broken = sorted(filter(_is_broken, counts))
    return sum(counts[text] for text in broken), sum(counts.values()), broken


def _is_broken(text: str) -> bool:
    return any(mark in text for mark in BROKEN)
