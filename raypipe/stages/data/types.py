"""Types of columns: by name, of text, and those that hold what several others do."""

import re
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

NULLS = frozenset(
    ("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
     "N/A", "NA", "NULL", "NaN", "n/a", "nan", "null")
)  # fmt: skip
"""What stands for no value in text: what Arrow's reader of CSV takes for it."""
MOMENTS = tuple(pa.timestamp(unit, zone) for unit in ("s", "ns") for zone in (None, "UTC"))
OF_TEXT = (pa.int64(), pa.bool_(), pa.date32(), pa.time32("s"), *MOMENTS, pa.float64())
"""Types that text is tried for, in this order; what fits none of them is a string."""
DEEPEST = 50
"""Levels of lists and objects in one value; more than some hundreds end a process in Arrow."""
_STEP = 4_096
_LONGEST_EXACT = 300
"""Digits of whole numbers that a float can hold at all."""
_DECIMAL = re.compile(r"(decimal(?:128|256))\((\d+), ?(-?\d+)\)")
_TIMESTAMP = re.compile(r"timestamp\[(s|ms|us|ns)(?:, ?tz=(.+))?\]")


def named_type(name: str) -> pa.DataType | None:
    """Return the type of a name as Arrow prints it; None if there is no such one."""
    if found := _DECIMAL.fullmatch(name):
        try:
            made: pa.DataType = getattr(pa, found[1])(int(found[2]), int(found[3]))
        except ValueError:  # more digits than it has
            return None
        return made
    if found := _TIMESTAMP.fullmatch(name):
        return pa.timestamp(found[1], found[2])
    if (found := re.fullmatch(r"list<(?:item: )?(.+)>", name)) and (inner := named_type(found[1])):
        return pa.list_(inner)
    try:
        return pa.type_for_alias("float64" if name == "double" else name)
    except ValueError:
        return None


def widest(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    """Return the type that holds the values of both; None if only text does."""
    if a == b:
        return a
    pair = pa.schema([("x", a)]), pa.schema([("x", b)])
    try:
        return pa.unify_schemas(pair, promote_options="permissive").field("x").type
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        return None


def broken_rows(column: pa.Array, to: pa.DataType) -> np.ndarray:
    """Return the places of the values that cannot be cast to a type, in order."""
    return np.fromiter(_broken(column, to, 0), np.int64)


def _broken(column: pa.Array, to: pa.DataType, first: int) -> Iterator[int]:
    if casts(column, to):
        return
    if len(column) == 1:
        yield first
        return
    step = _STEP if len(column) > _STEP else (len(column) + 1) // 2
    for start in range(0, len(column), step):
        yield from _broken(column.slice(start, step), to, first + start)


def casts(column: pa.Array, to: pa.DataType) -> bool:
    """Say whether all values can be cast to a type and none loses anything."""
    try:
        cast(column, to)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return True


def cast(column: pa.Array, to: pa.DataType) -> pa.Array:
    """Cast values to a type; ArrowInvalid where one would lose something."""
    if column.null_count == len(column):
        return pa.nulls(len(column), to)
    if pa.types.is_string(column.type) and not pa.types.is_string(to):
        if pa.types.is_integer(to) or pa.types.is_floating(to):
            column = pc.utf8_trim_whitespace(column)
        if pa.types.is_time(to):  # Arrow has no cast of text to times
            if not pc.all(pc.match_substring_regex(column, r"^\d\d:\d\d")).as_py():
                raise pa.ArrowInvalid("no time of day")
            moments = pc.binary_join_element_wise("1970-01-01", column, " ")
            return pc.cast(pc.cast(moments, pa.timestamp("ns")), to)
    return pc.cast(column, to)


def is_beyond_calendars(column: pa.Array) -> np.ndarray:
    """Say of each date or moment whether its year is none of 1 to 9999, which Python cannot say."""
    kind = column.type
    if not (pa.types.is_date(kind) or pa.types.is_timestamp(kind)):
        return np.zeros(len(column), np.bool_)
    unit = "D" if pa.types.is_date32(kind) else "ms" if pa.types.is_date64(kind) else kind.unit
    if unit == "ns":  # three centuries at most
        return np.zeros(len(column), np.bool_)
    counts = column.cast(pa.int32()) if unit == "D" else column
    values: np.ndarray = counts.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    years = np.array(["0001-01-01", "10000-01-01"], f"datetime64[{unit}]").astype(np.int64)
    beyond: np.ndarray = (values < years[0]) | (values >= years[1])
    return beyond


class Inference:
    """Which types columns of text have, told by all their values."""

    def __init__(self, names: Sequence[str], among: Sequence[pa.DataType] = OF_TEXT) -> None:
        self._names = tuple(names)
        self._left = {name: list(among) for name in names}
        self._seen = dict.fromkeys(names, False)

    def see(self, columns: Sequence[pa.Array]) -> None:
        """Take further values into account."""
        for name, column in zip(self._names, columns, strict=True):
            if column.null_count < len(column):
                self._seen[name] = True
                self._left[name] = [kind for kind in self._left[name] if _holds(kind, column)]

    def schema(self) -> pa.Schema:
        """Return the types; null for a column without a value."""
        return pa.schema(
            [
                (name, (self._left[name] or [pa.string()])[0] if self._seen[name] else pa.null())
                for name in self._names
            ]
        )


def is_deep(kind: pa.DataType) -> bool:
    """Say whether lists and objects lie more than DEEPEST levels in one another."""
    left = [(kind, 0)]
    while left:
        outer, level = left.pop()
        if level > DEEPEST:
            return True
        left += [(outer.field(n).type, level + 1) for n in range(outer.num_fields)]
    return False


def _holds(kind: pa.DataType, column: pa.Array) -> bool:
    if pa.types.is_floating(kind) and loses_digits(column):
        return False
    return casts(column, kind)


def loses_digits(column: pa.Array) -> bool:
    """Say whether texts are whole numbers of which a float would keep the first digits alone.

    Two long ids that differ in the last digit would be one number.
    """
    long = pc.fill_null(pc.match_substring_regex(column, r"^\s*[+-]?\d{16,}\s*$"), False)
    if not pc.any(long).as_py():
        return False
    return any(not _is_exact(text) for text in column.filter(long).unique().to_pylist())


def _is_exact(text: str) -> bool:
    if len(text) > _LONGEST_EXACT:
        return False
    return int(float(text)) == int(text)


def plain(kind: pa.DataType) -> pa.DataType:
    """Return a type as Parquet keeps it, without what is only a way to write it.

    Dictionaries, large offsets and views; seconds are kept as milliseconds.
    """
    if pa.types.is_dictionary(kind):
        return plain(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.binary()
    if pa.types.is_large_list(kind) or pa.types.is_list(kind):
        return pa.list_(plain(kind.value_type))
    if pa.types.is_timestamp(kind) and kind.unit == "s":
        return pa.timestamp("ms", kind.tz)
    return pa.time32("ms") if kind == pa.time32("s") else kind


def decoded(column: pa.Array) -> pa.Array:
    """Return values as they are kept."""
    kind = plain(column.type)
    return column if kind == column.type else pc.cast(column, kind)
