"""Raw columns of a batch, each in its feature's type; what does not fit is refused by name."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeAlias

import pyarrow as pa

from raypipe.errors import UsageError
from raypipe.values.hashing import one_chunk
from raypipe.values.signature import Feature
from raypipe.values.transform.types import arrow_type

Column: TypeAlias = pa.Array | list[Any]
"""Values of a feature in its type; of a few rows perhaps as Python has them, None for null."""


@dataclass(frozen=True, kw_only=True)
class Read:
    """Rows whose columns are read already, in the order of the features."""

    num_rows: int
    columns: Sequence[Column]


Batch: TypeAlias = pa.Table | pa.RecordBatch | Read


def as_array(column: Column, kind: pa.DataType) -> pa.Array:
    """Return a column as Arrow has it."""
    return pa.array(column, kind) if isinstance(column, list) else column


def joined(columns: Sequence[Column]) -> Column:
    """Return columns of one feature, one below the other."""
    if all(type(column) is list for column in columns):
        return list(chain.from_iterable(columns))
    kind = next(column.type for column in columns if not isinstance(column, list))
    return pa.concat_arrays([as_array(column, kind) for column in columns])


def missing(column: Column, row: int) -> bool:
    """Say whether a row has no value."""
    return column[row] is None if isinstance(column, list) else not column[row].is_valid


@dataclass(frozen=True, kw_only=True)
class _Source:
    """Where one column comes from in batches of one schema."""

    name: str
    place: int | None
    """Index in the batch; None: it has no such column, and need not."""
    cast: pa.DataType | None
    """The type to cast to; None: as it is."""


class Reader:
    """Reads the columns of batches; the way is worked out once for each schema in a row."""

    def __init__(self, features: Sequence[Feature], optional: Sequence[str] = ()) -> None:
        self._features = features
        self._optional = frozenset(optional)
        self._known: tuple[pa.Schema, tuple[_Source, ...]] | None = None

    def read(self, batch: Batch) -> Sequence[Column]:
        """Return the columns in the order of the features; UsageError names what does not fit."""
        if isinstance(batch, Read):
            return batch.columns
        schema = batch.schema
        known = self._known
        if known is None or not known[0].equals(schema):
            known = self._known = (schema, self._sources(schema))
        if isinstance(batch, pa.RecordBatch):
            return [
                batch.column(s.place)
                if s.cast is None and s.place is not None
                else _converted(batch, s)
                for s in known[1]
            ]
        return [_converted(batch, source) for source in known[1]]

    def _sources(self, schema: pa.Schema) -> tuple[_Source, ...]:
        places: dict[str, int] = {}
        for place, name in enumerate(schema.names):
            places.setdefault(name, place)
        return tuple(self._source(feature, places, schema) for feature in self._features)

    def _source(self, feature: Feature, places: dict[str, int], schema: pa.Schema) -> _Source:
        wanted = arrow_type(feature.type)
        place = places.get(feature.name)
        if place is None:
            if feature.name not in self._optional:
                raise _missing(feature.name, schema.names)
            return _Source(name=feature.name, place=None, cast=wanted or pa.null())
        given = schema.field(place).type
        plain = given.value_type if pa.types.is_dictionary(given) else given
        same = given == plain and (wanted is None or wanted == given)
        return _Source(name=feature.name, place=place, cast=None if same else wanted or plain)


def _missing(name: str, names: Sequence[str]) -> UsageError:
    close = difflib.get_close_matches(name, names, n=1)
    return UsageError(
        f"The rows have no column {name!r}, which the transform reads",
        hint=f"Is it the column {close[0]!r}?" if close else "Give each row all features, or null.",
    )


def _converted(batch: pa.Table | pa.RecordBatch, source: _Source) -> pa.Array:
    if source.place is None:
        return pa.nulls(batch.num_rows, source.cast)
    array = one_chunk(batch.column(source.place))
    if source.cast is None:
        return array
    try:
        return array.cast(source.cast)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise _does_not_fit(source, array) from error


def _does_not_fit(source: _Source, array: pa.Array) -> UsageError:
    value = _first_misfit(array, source.cast)
    said = repr(value) if len(repr(value)) <= 60 else repr(value)[:59] + "…"
    return UsageError(
        f"Column {source.name!r} holds {said} ({array.type}), which is no {source.cast}",
        hint=f"Give {source.name!r} as {source.cast}.",
    )


def _first_misfit(array: pa.Array, wanted: pa.DataType) -> Any:
    """Return the first value that cannot be cast, by halving."""
    while len(array) > 1:
        head, tail = array[: len(array) // 2], array[len(array) // 2 :]
        try:
            head.cast(wanted)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            array = head
        else:
            array = tail
    return array[0].as_py() if len(array) else None
