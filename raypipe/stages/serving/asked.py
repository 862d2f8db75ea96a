"""A request's JSON turned into rows of raw features, or into a sentence that says what is wrong."""

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from raypipe.errors import UsageError
from raypipe.stages.serving import contents
from raypipe.values.signature import Feature, Signature
from raypipe.values.transform.reading import Column, Read, joined
from raypipe.values.transform.types import arrow_type

Columns = dict[str, list[Any]]
"""Field to its values, row by row, as JSON has them."""
LONGEST = 60
"""Characters of a value that an error shows."""
MOST_FIELDS = 1000
"""Fields of a row, so that a log does not drown in what nobody reads."""
FEW = 32
"""Rows up to which Python's own values cost less than Arrow's."""
SCALARS = (str, int, float, bool, type(None))

Convert = Callable[[list[Any]], Column]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Rows that a model is asked about."""

    rows: int
    columns: Columns
    """Features and other fields, as they were given."""
    features: Read
    """The features, each in its type."""


def together(asked: Sequence[Asked]) -> Read:
    """Return the features of several requests for one version, one below the other."""
    if len(asked) == 1:
        return asked[0].features
    columns = zip(*(one.features.columns for one in asked), strict=True)
    return Read(num_rows=sum(one.rows for one in asked), columns=[joined(each) for each in columns])


class Reading:
    """How the rows of one version's requests are read; worked out once for its signature."""

    def __init__(self, signature: Signature, optional: Sequence[str] = ()) -> None:
        self._names = tuple(feature.name for feature in signature.features)
        self._known = frozenset(self._names)
        self._optional = frozenset(optional)
        self._each = tuple(
            (feature, feature.name, _exact(feature), _converter(feature))
            for feature in signature.features
        )

    def rows(self, rows: Any) -> Asked:
        """Read rows as a person writes them: a list of objects."""
        if not isinstance(rows, list):
            raise UsageError(f'"rows" is {kind_of(rows)}; it must be a list of objects')
        if not rows:
            raise UsageError('"rows" is empty; give at least one row')
        for number, row in enumerate(rows):
            if type(row) is not dict:
                raise UsageError(f"row {number} is {kind_of(row)}; it must be an object")
        return self.columns(self._turned(rows), len(rows))

    def columns(self, columns: Columns, rows: int) -> Asked:
        """Read fields that are given column by column, each with a value a row."""
        read: list[Column] = []
        for feature, name, exact, convert in self._each:
            values = columns.get(name)
            if values is None:
                values = self._absent(feature, columns, rows)
            if rows == 1 and type(values[0]) is exact:  # most are; the rest costs four times more
                read.append(values)
            else:
                read.append(convert(values))
        if len(columns) > len(read):
            self._check_others(columns)
        return Asked(rows=rows, columns=columns, features=Read(num_rows=rows, columns=read))

    def _turned(self, rows: list[dict[str, Any]]) -> Columns:
        first = rows[0]
        if len(rows) == 1:
            return {name: [value] for name, value in first.items()}
        names = dict.fromkeys(first)
        for row in rows:
            if row.keys() != first.keys():
                names.update(dict.fromkeys(row))
        for name in self._names:
            if name in names and name not in self._optional:
                for number, row in enumerate(rows):
                    if name not in row:
                        raise self._missing(name, row, f"row {number} lacks")
        return {name: [row.get(name) for row in rows] for name in names}

    def _absent(self, feature: Feature, columns: Columns, rows: int) -> list[Any]:
        if feature.name in self._optional:
            return [None] * rows
        raise self._missing(feature.name, columns, "the rows lack" if rows > 1 else "row 0 lacks")

    def _missing(self, name: str, given: Mapping[str, Any], lacks: str) -> UsageError:
        others = [one for one in given if one not in self._known]
        close = difflib.get_close_matches(name, others, n=1)
        hint = f"is it {close[0]!r}?" if close else "null says that its value is not known"
        return UsageError(f"{lacks} the feature {name!r}; {hint}")

    def _check_others(self, columns: Columns) -> None:
        """Let fields that are no features through to the log, as long as they are small."""
        if len(columns) > MOST_FIELDS:
            raise UsageError(f"a row has {len(columns):,} fields; the most are {MOST_FIELDS:,}")
        for name, values in columns.items():
            if name in self._known:
                continue
            for number, value in enumerate(values):
                if not isinstance(value, SCALARS):
                    raise UsageError(
                        f"row {number}: the field {name!r} is {kind_of(value)}; a field is a "
                        "number, a text, true, false or null"
                    )


# --- values of one feature ----------------------------------------------------------------------


def _exact(feature: Feature) -> type | None:
    """Return the Python type whose values a feature takes as they are; None if there is none."""
    return {"double": float, "string": str, "bool": bool}.get(feature.type)


def _converter(feature: Feature) -> Convert:
    """Return what reads the values of a feature, all at once; UsageError names the first misfit."""
    wanted = arrow_type(feature.type)
    if wanted is None:
        return lambda values: _refuse_all(feature)
    if pa.types.is_floating(wanted):
        return _numbers(feature, wanted, _is_number, float)
    if pa.types.is_integer(wanted):
        return _numbers(feature, wanted, _is_whole, int)
    if pa.types.is_boolean(wanted):
        return _plain(feature, wanted, bool, "true or false")
    if pa.types.is_string(wanted) or pa.types.is_large_string(wanted):
        return _plain(feature, wanted, str, "a text")
    if pa.types.is_decimal(wanted):
        return _texts(feature, wanted, "a number, or a text that is one", also_numbers=True)
    if pa.types.is_temporal(wanted):
        return _texts(feature, wanted, _temporal_words(wanted))
    if pa.types.is_binary(wanted) or pa.types.is_large_binary(wanted):
        return contents.binaries(feature, wanted, _misfit)
    if pa.types.is_list(wanted) or pa.types.is_large_list(wanted):
        inner = Feature(name=feature.name, type=str(wanted.value_type), nullable=True)
        return contents.lists(feature, wanted, _converter(inner), _misfit)
    return lambda values: _refuse_all(feature)


def _refuse_all(feature: Feature) -> pa.Array:
    raise UsageError(f"the feature {feature.name!r} is {feature.type}, which no JSON value is")


def _plain(feature: Feature, wanted: pa.DataType, kind: type, words: str) -> Convert:
    kinds = {kind, type(None)}

    def convert(values: list[Any]) -> Column:
        if not set(map(type, values)) <= kinds:
            for number, value in enumerate(values):
                if type(value) not in kinds:
                    raise _misfit(feature, number, value, words)
        return values if len(values) <= FEW else pa.array(values, wanted)

    return convert


def _numbers(
    feature: Feature,
    wanted: pa.DataType,
    fits: Callable[[Any], bool],
    read: Callable[[Any], Any],
) -> Convert:
    words = "a number" if pa.types.is_floating(wanted) else f"a whole number ({wanted})"
    exact = {float} if pa.types.is_floating(wanted) else {int}
    low, high = _bounds(wanted)

    def convert(values: list[Any]) -> Column:
        if set(map(type, values)) != exact:
            for number, value in enumerate(values):
                if value is not None and not fits(value):
                    raise _misfit(feature, number, value, words)
        try:
            numbers = [None if value is None else read(value) for value in values]
            if len(values) <= FEW and all(n is None or low <= n <= high for n in numbers):
                return numbers
            return pa.array(numbers, wanted)
        except (pa.ArrowInvalid, OverflowError):
            number = _first_misfit(values, read, wanted)
            raise _misfit(feature, number, values[number], words) from None

    return convert


def _bounds(wanted: pa.DataType) -> tuple[float, float]:
    """Return the numbers that Python and a type hold alike; none where the type rounds them."""
    if pa.types.is_float64(wanted):
        return -math.inf, math.inf
    if pa.types.is_integer(wanted):
        signed = pa.types.is_signed_integer(wanted)
        bits = wanted.bit_width - signed
        return (-(2**bits) if signed else 0), 2**bits - 1
    return math.inf, -math.inf


def _is_number(value: Any) -> bool:
    return type(value) is int or (type(value) is float and math.isfinite(value))


def _is_whole(value: Any) -> bool:
    return type(value) is int or (type(value) is float and value.is_integer())


def _texts(
    feature: Feature, wanted: pa.DataType, words: str, *, also_numbers: bool = False
) -> Convert:
    def convert(values: list[Any]) -> Column:
        for number, value in enumerate(values):
            number_given = also_numbers and type(value) in {int, float}
            if not (value is None or type(value) is str or number_given):
                raise _misfit(feature, number, value, words)
        texts = [str(value) if also_numbers and value is not None else value for value in values]
        try:
            return pa.array(texts, pa.string()).cast(wanted)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            number = _first_uncast(texts, wanted)
            raise _misfit(feature, number, values[number], words) from None

    return convert


def _temporal_words(wanted: pa.DataType) -> str:
    if pa.types.is_date(wanted):
        return "a date such as 2026-01-31"
    if pa.types.is_timestamp(wanted):
        zone = "Z" if wanted.tz else ""
        with_zone = " with its zone" if wanted.tz else " without a zone"
        return f"a moment{with_zone}, such as 2026-01-31T12:00:00{zone} ({wanted})"
    if pa.types.is_time(wanted):
        return "a time such as 12:00:00"
    return f"{wanted}"


def _first_misfit(values: list[Any], read: Callable[[Any], Any], wanted: pa.DataType) -> int:
    for number, value in enumerate(values):
        try:
            pa.array([None if value is None else read(value)], wanted)
        except (pa.ArrowInvalid, OverflowError):
            return number
    return 0


def _first_uncast(texts: list[Any], wanted: pa.DataType) -> int:
    for number, text in enumerate(texts):
        try:
            pa.array([text], pa.string()).cast(wanted)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return number
    return 0


def _misfit(feature: Feature, number: int, value: Any, words: str) -> UsageError:
    return UsageError(
        f"row {number}: the feature {feature.name!r} is {shown(value)}; it must be {words}"
    )


def shown(value: Any) -> str:
    """Return a value as JSON has it, short enough for a sentence."""
    if isinstance(value, dict | list):
        return kind_of(value)
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def kind_of(value: Any) -> str:
    """Return what kind of JSON value it is, in words."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case _:
            return "an object"
