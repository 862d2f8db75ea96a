"""What each column of a file is: a feature and of which kind, what names a row, or of no use."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from raypipe.app.init_task import is_skewed
from raypipe.values.columns import ColumnProfile
from raypipe.values.profile import Profile
from raypipe.values.schema import kind_of

Part = Literal[
    "number", "skewed", "cyclic", "few", "many", "date", "text", "list", "image",
    "key", "time", "group", "out",
]  # fmt: skip
"""What a column is taken for; `few` and `many` are categories by how many there are."""

FEW = 20
"""Categories up to which each gets a flag of its own."""
WORDS = 40
"""Letters of a mean value from which a text is read word by word."""
REPEATS = 3
"""Rows of a mean category from which something can be learned of it."""
TWO_YEARS = 700
"""Days from which the month is learned from."""
MOSTLY_MISSING = 0.95
"""Share of missing values from which a column says nothing."""
_NAMES_ROWS = re.compile(r"(?i)(^|_|\b)(id|key|uuid|guid|index|row|rownum|number|nr|no)$|^unnamed")
_NAMES_GROUPS = re.compile(
    r"(?i)(patient|subject|customer|client|user|machine|device)(_?(id|no))?$"
)
_CYCLES = (
    (re.compile(r"(?i)(^|_)hour(s|_of_day)?$"), 24, 0, 24),
    (re.compile(r"(?i)(^|_)month(_of_year)?$"), 12, 1, 12),
    (re.compile(r"(?i)(^|_)(weekday|dow|day_of_week|dayofweek)$"), 7, 0, 7),
)
"""Names of what comes round again, with its period and its smallest and largest number."""


@dataclass(frozen=True, kw_only=True)
class Use:
    """What a column is taken for."""

    column: str
    part: Part
    why: str
    """A sentence for the file, perhaps shared by several columns."""
    period: int | None = None
    """Of `cyclic`."""
    parts: tuple[str, ...] = ()
    """Of `date`: what the calendar says that comes again."""
    doubt: str = ""
    """What is to be looked into before the column is trusted: why it may tell the label."""


def uses_of(
    profile: Profile,
    label: str,
    leaks: Mapping[str, str],
    *,
    unique: Collection[str],
    pictures: Collection[str] = (),
    key: tuple[str, ...] = (),
) -> tuple[Use, ...]:
    """Say what each column but the label is; `leaks` says of a column how it tells the label.

    `unique` are the columns that have another value in each row, `pictures` those that hold images.
    `key` are those that a person says
    name a row; empty: they are told by their values.
    """
    found: list[Use] = []
    for name, column in profile.columns.items():
        if name == label:
            continue
        if name in key:
            use = Use(column=name, part="key", why="names a row: --key says so")
        else:
            use = _use(column, profile.rows, unique=name in unique and not key)
            if use.part == "image" and name not in pictures:
                use = Use(column=name, part="out", why="is bytes, most of which are no image")
        if name in leaks and use.part not in ("key", "out", "group", "time"):
            use = Use(column=name, part="out", why=f"LEAK? {leaks[name]}", doubt=leaks[name])
        found.append(use)
    return tuple(found)


def _use(column: ColumnProfile, rows: int, *, unique: bool) -> Use:
    name = column.name
    missing = (column.nulls + column.nans) / max(column.count, 1)
    if column.count == column.nulls:
        return Use(column=name, part="out", why="has no value in any row")
    kind = kind_of(column.type)
    if kind in ("binary", "large_binary"):
        return Use(column=name, part="image", why="bytes of an image")
    if kind not in ("list", "struct", "map") and column.distinct <= 1 and not column.nulls:
        return Use(column=name, part="out", why="is the same in all rows")
    if missing > MOSTLY_MISSING:
        return Use(column=name, part="out", why=f"is missing in {missing:.0%} of the rows")
    match kind:
        case "integer" | "number":
            return _number(column, rows, unique=unique, whole=kind == "integer")
        case "boolean":
            return Use(column=name, part="number", why=_PLAIN)
        case "date" | "timestamp":
            return _date(column, clock=kind == "timestamp")
        case "text":
            return _text(column, unique=unique)
        case "list":
            return _list(column)
    return Use(column=name, part="out", why=f"is {column.type}, which no group reads as it is")


_PLAIN = "fill what is missing, then subtract the mean and divide by the spread"


def _number(column: ColumnProfile, rows: int, *, unique: bool, whole: bool) -> Use:
    name, low, high = column.name, column.min, column.max
    if not isinstance(low, float) or not isinstance(high, float):
        return Use(column=name, part="out", why="has no finite number")
    if whole and unique and (_NAMES_ROWS.search(name) or high - low + 1 == rows):
        return Use(column=name, part="key", why="another number in each row: it names the row")
    if whole and _NAMES_GROUPS.search(name) and column.distinct > FEW:
        return _group(name)
    for pattern, period, least, most in _CYCLES:
        if whole and pattern.search(name) and least <= low and high <= most:
            return Use(column=name, part="cyclic", period=period, why="the last lies by the first")
    if is_skewed(column):
        why = "log(1 + x), then scaled: never negative, and a few are far larger than the rest"
        return Use(column=name, part="skewed", why=why)
    return Use(column=name, part="number", why=_PLAIN)


def _date(column: ColumnProfile, *, clock: bool) -> Use:
    """Take what came round at least once: the month of a few weeks says nothing of other months."""
    low, high = column.min, column.max
    days = (high - low) / 86_400 if isinstance(low, float) and isinstance(high, float) else 0.0
    parts = (*(("month",) if days > TWO_YEARS else ()), "weekday", *(("hour",) if clock else ()))
    why = "what the calendar says that comes round again"
    return Use(column=column.name, part="date", why=why, parts=parts)


def _group(name: str) -> Use:
    why = "names what several rows belong to: these rows go to one split, and it is no feature"
    return Use(column=name, part="group", why=why)


def _text(column: ColumnProfile, *, unique: bool) -> Use:
    name = column.name
    letters = column.lengths.mean if column.lengths else 0.0
    if letters >= WORDS and column.distinct > FEW:
        return Use(column=name, part="text", why=f"about {letters:.0f} letters a row, read as text")
    if unique:
        return Use(column=name, part="key", why="another text in each row: it names the row")
    if _NAMES_GROUPS.search(name) and column.distinct > FEW:
        return _group(name)
    if column.distinct * REPEATS > column.count - column.nulls and column.distinct > FEW:
        why = "differs in nearly all rows: it would be learned by heart"
        return Use(column=name, part="out", why=why)
    if column.distinct <= FEW:
        return Use(column=name, part="few", why="a flag for each value that training has seen")
    return Use(column=name, part="many", why="many values: each is looked up in an embedding")


def _list(column: ColumnProfile) -> Use:
    inner = column.inner.get("[]")
    if inner is not None and kind_of(inner.type) in ("text", "integer", "boolean"):
        return Use(column=column.name, part="list", why="a flag for each value of a list")
    return Use(column=column.name, part="out", why=f"is {column.type}, which no group reads")


def of_part(uses: tuple[Use, ...], part: Part) -> tuple[Use, ...]:
    """Return the columns that are taken for this."""
    return tuple(use for use in uses if use.part == part)


def by_why(uses: tuple[Use, ...]) -> Iterator[tuple[Use, tuple[str, ...]]]:
    """Yield columns that are the same for the same reason together, in the order of the first."""
    found: dict[tuple[object, ...], list[Use]] = {}
    for use in uses:
        found.setdefault((use.part, use.period, use.parts, use.why), []).append(use)
    for same in found.values():
        yield same[0], tuple(use.column for use in same)
