"""From records of the request log to rows in the types of the data."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from raypipe.stages.feedback.converting import converted
from raypipe.store.segments import Segment
from raypipe.store.segments.reading import read_bodies
from raypipe.values.feedback import Logged, LogPart
from raypipe.values.label import told_text
from raypipe.values.signature import Label
from raypipe.values.transform.types import arrow_type

ASKED = pa.schema(
    [
        ("request", pa.string()),
        ("client", pa.string()),
        ("row", pa.int64()),
        ("time", pa.float64()),
        ("version", pa.string()),
        ("scores", pa.list_(pa.float64())),
        ("unseen", pa.list_(pa.string())),
    ]
)
LABELS = pa.schema(
    [
        ("request", pa.string()),
        ("row", pa.int64()),
        ("label", pa.string()),
        ("time", pa.float64()),
        ("id", pa.string()),
    ]
)

Record = dict[str, Any]


def logged(part: LogPart, model: str, label: Label, columns: dict[str, str]) -> Logged:
    """Return what a part of the log says of one model; labels of no known model are taken too."""
    segment = Segment(
        uuid=part.uuid,
        path=Path(part.place),
        sealed=part.place.endswith(".parquet"),
        records=part.records,
        digest=part.digest,
    )
    asked = _Asked(label, columns)
    told: dict[str, list[Any]] = {name: [] for name in LABELS.names}
    for body in read_bodies(segment):
        record = orjson.loads(body)
        if record.get("model") not in {model, None}:
            continue
        if record["kind"] == "request":
            asked.add(record)
        elif record["kind"] == "label":
            for name, values in told.items():
                values.append(record[name])
    told["label"] = [told_text(value) for value in told["label"]]
    fields = {
        name: converted(values, _type_of(columns[name])) for name, values in asked.given.items()
    }
    return Logged(asked=asked.table(), fields=pa.table(fields), labels=pa.table(told, LABELS))


def no_rows(columns: dict[str, str]) -> Logged:
    """Return what a log says in which nothing was asked or told."""
    fields = pa.schema([(name, _type_of(kind)) for name, kind in columns.items()])
    return Logged(
        asked=ASKED.empty_table(), fields=fields.empty_table(), labels=LABELS.empty_table()
    )


class _Asked:
    """Requests gathered column by column: a record is let go of before the next one is read."""

    def __init__(self, label: Label, columns: Mapping[str, str]) -> None:
        self.given: dict[str, list[Any]] = {name: [] for name in columns}
        """Column to its values, of all rows."""
        self._about: dict[str, list[Any]] = {
            name: [] for name in ("id", "client_id", "time", "version", "rows")
        }
        """What is known of each request."""
        self._scores: dict[str, list[Any]] = {name: [] for name in score_columns(label)}
        self._unseen: dict[int, list[str]] = {}
        """Row to the columns whose category training did not see."""
        self._rows = 0

    def add(self, record: Record) -> None:
        """Take up one request."""
        rows, columns, outputs = record["rows"], record["columns"], record["outputs"]
        for name, values in self._about.items():
            values.append(record.get(name))
        for name, values in self.given.items():
            values += columns.get(name) or [None] * rows
        answers = outputs.keys() >= self._scores.keys()
        for name, values in self._scores.items():
            values += outputs[name] if answers else [None] * rows
        for name, places in record["unseen"].items():
            for row in places:
                self._unseen.setdefault(self._rows + row, []).append(name)
        self._rows += rows

    def table(self) -> pa.Table:
        """Return a row for each row that was answered."""
        rows = np.array(self._about["rows"], np.int64)
        of = np.repeat(np.arange(len(rows)), rows)
        about = {
            name: pa.array(self._about[key], ASKED.field(name).type).take(pa.array(of))
            for name, key in (
                ("request", "id"),
                ("client", "client_id"),
                ("time", "time"),
                ("version", "version"),
            )
        }
        columns = {
            **about,
            "row": np.arange(self._rows) - (np.cumsum(rows) - rows)[of],
            "scores": _together(list(self._scores.values())),
            "unseen": _lists(self._unseen, self._rows),
        }
        return pa.table({name: columns[name] for name in ASKED.names}, ASKED)


def score_columns(label: Label) -> tuple[str, ...]:
    """Return the outputs that hold a model's scores."""
    if label.task == "regression":
        return (f"{label.name}_predicted",)
    if label.task == "binary":
        return (f"{label.name}_probability",)
    return tuple(f"{label.name}_probability_{one}" for one in label.classes)


def _together(scores: Sequence[Sequence[Any]]) -> pa.Array:
    """Return the scores of each row as a list; null where one is missing.

    A version that knows other classes, or has another label, answers another question.
    """
    numbers = np.array(scores, np.float64)  # None as NaN
    width, rows = numbers.shape
    missing = np.isnan(numbers).any(axis=0)
    offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * width)
    flat = pa.array(np.ascontiguousarray(numbers.T).ravel())
    return pa.ListArray.from_arrays(offsets, flat, mask=pa.array(missing))


def _lists(known: Mapping[int, list[str]], rows: int) -> pa.Array:
    """Return a list of names for each row, most of them empty."""
    lists: list[Sequence[str]] = [()] * rows
    for row, names in known.items():
        lists[row] = names
    return pa.array(lists, pa.list_(pa.string()))


def _type_of(kind: str) -> pa.DataType:
    return arrow_type(kind) or pa.string()
