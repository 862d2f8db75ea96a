"""Which split a row is in: a pure function of the row, so that it stays there as data grows."""

import difflib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from raypipe.errors import UsageError
from raypipe.values.hashing import Hashes, row_hash, unit_interval

SPLITS = ("train", "validation", "analysis")
"""Names of the splits; a split's number is its place here."""

Splits = npt.NDArray[np.int8]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SplitRule(Protocol):
    """How rows are divided: HashSplit, GroupSplit, TimeSplit or ColumnSplit of the settings."""

    @property
    def by(self) -> Any:
        """`hash`, `group`, `time` or `column`; which other fields there are follows from it."""
        ...


def split_of(table: pa.Table, rule: SplitRule, known: Mapping[str, Hashes] | None = None) -> Splits:
    """Return the number of each row's split; `known` are hashes of columns, if at hand.

    A null in a hashed column counts as a value of its own; a row without a time is for training; a
    row whose column names no split is a UsageError.
    """
    given: Any = rule
    match rule.by:
        case "hash" | "group":
            _require(table, given.columns)
            hashes = row_hash(table, given.columns, given.salt, known)
            return _by_hash(hashes, given.shares)
        case "time":
            _require(table, [given.column])
            return _by_time(table[given.column], given)
        case "column":
            _require(table, [given.column])
            return _by_column(table[given.column], given.column)
    raise UsageError(f"split.by is {rule.by!r}; it is one of hash, group, time and column")


def rule_columns(rule: SplitRule) -> tuple[str, ...]:
    """Return the columns that a rule reads."""
    given: Any = rule
    return tuple(given.columns) if rule.by in ("hash", "group") else (given.column,)


def _by_hash(hashes: Hashes, shares: Any) -> Splits:
    place = unit_interval(hashes)
    validation, analysis = shares.train, shares.train + shares.validation
    return _numbered(place >= validation, place >= analysis)


def _by_time(times: pa.ChunkedArray, rule: Any) -> Splits:
    zone = times.type.tz if pa.types.is_timestamp(times.type) else None
    try:
        moments = pc.cast(pc.cast(times, pa.timestamp("us", tz=zone), safe=False), pa.int64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise UsageError(
            f"split.column {rule.column!r} is {times.type}, not dates or timestamps",
            hint="Name a column of dates or timestamps, or split by hash.",
        ) from error
    bounds = [_microseconds(rule, name) for name in ("validation_from", "analysis_from")]
    known = pc.fill_null(moments, bounds[0] - 1).to_numpy(zero_copy_only=False)
    return _numbered(known >= bounds[0], known >= bounds[1])


def _numbered(past_train: npt.NDArray[np.bool_], past_validation: npt.NDArray[np.bool_]) -> Splits:
    return np.add(past_train, past_validation, dtype=np.int8)


def _microseconds(rule: Any, name: str) -> int:
    text = getattr(rule, name)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"split.{name} is {text!r}, which is no moment",
            hint="Write it in ISO 8601: 2013-07-01 or 2013-07-01T12:00:00.",
        ) from None
    known = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (known - _EPOCH) // timedelta(microseconds=1)


def _by_column(names: pa.ChunkedArray, column: str) -> Splits:
    if pa.types.is_dictionary(names.type):
        names = pc.cast(names, names.type.value_type)
    places = pc.index_in(pc.cast(names, pa.string()), value_set=pa.array(SPLITS))
    if places.null_count:
        found = pc.unique(names.filter(pc.is_null(places)))[:3].to_pylist()
        raise UsageError(
            f"Column {column!r} names no split in {places.null_count} rows: {found}",
            hint=f"Write one of {', '.join(SPLITS)} in each row.",
        )
    splits: Splits = places.to_numpy().astype(np.int8)
    return splits


def _require(table: pa.Table, columns: Sequence[str]) -> None:
    for name in columns:
        if name not in table.column_names:
            close = difflib.get_close_matches(name, table.column_names, n=1)
            raise UsageError(
                f"The split reads column {name!r}, which the data does not have",
                hint=f"Did you mean {close[0]!r}?" if close else "Name a column in data.split.",
            )
