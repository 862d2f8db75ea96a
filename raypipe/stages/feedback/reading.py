"""From records of the request log to rows in the types of the data."""

from collections.abc import Iterator, Sequence
from json import loads
from pathlib import Path
from typing import Any

import pyarrow as pa

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
        ("lacks", pa.list_(pa.string())),
        ("unfit", pa.list_(pa.string())),
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


def logged(part: LogPart, model: str, label: Label, columns: dict[str, str]) -> Logged:
    """Return what a part of the log says of one model; labels of no known model are taken too."""
    segment = Segment(
        uuid=part.uuid,
        path=Path(part.place),
        sealed=part.place.endswith(".parquet"),
        records=part.records,
        digest=part.digest,
    )
    asked: list[dict[str, Any]] = []
    given: dict[str, list[Any]] = {name: [] for name in columns}
    labels: list[dict[str, Any]] = []
    for body in read_bodies(segment):
        record = loads(body)
        if record.get("model") not in {model, None}:
            continue
        if record["kind"] == "request":
            asked += _asked(record, label)
            _add_fields(record, given, asked)
        elif record["kind"] == "label":
            labels.append(_label(record))
    arrays = {name: _typed(name, given[name], kind, asked) for name, kind in columns.items()}
    return Logged(
        asked=pa.Table.from_pylist(asked, ASKED),
        fields=pa.table(arrays) if arrays else pa.table({}),
        labels=pa.Table.from_pylist(labels, LABELS),
    )


def _asked(record: dict[str, Any], label: Label) -> Iterator[dict[str, Any]]:
    scores = score_columns(label)
    for row in range(record["rows"]):
        yield {
            "request": record["id"],
            "client": record.get("client_id"),
            "row": row,
            "time": record["time"],
            "version": record["version"],
            "scores": [record["outputs"][name][row] for name in scores],
            "unseen": [name for name, rows in record["unseen"].items() if row in rows],
            "lacks": [],
            "unfit": [],
        }


def score_columns(label: Label) -> tuple[str, ...]:
    """Return the outputs that hold a model's scores."""
    if label.task == "regression":
        return (f"{label.name}_predicted",)
    if label.task == "binary":
        return (f"{label.name}_probability",)
    return tuple(f"{label.name}_probability_{one}" for one in label.classes)


def _add_fields(
    record: dict[str, Any], given: dict[str, list[Any]], asked: list[dict[str, Any]]
) -> None:
    rows = record["rows"]
    for name, values in given.items():
        told = record["columns"].get(name)
        if told is None:
            for one in asked[-rows:]:
                one["lacks"].append(name)
        values.extend([None] * rows if told is None else told)


def _label(record: dict[str, Any]) -> dict[str, Any]:
    return {
        "request": record["request"],
        "row": record["row"],
        "label": told_text(record["label"]),
        "time": record["time"],
        "id": record["id"],
    }


def _typed(name: str, values: Sequence[Any], kind: str, asked: list[dict[str, Any]]) -> pa.Array:
    """Return values in the type of the data; those that are none are null, and their rows unfit."""
    wanted = arrow_type(kind) or pa.string()
    try:
        return _convert(values, wanted)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        fitting: list[Any] = []
        for row, value in enumerate(values):
            try:
                _convert([value], wanted)
                fitting.append(value)
            except (pa.ArrowException, OverflowError, TypeError, ValueError):
                fitting.append(None)
                asked[row]["unfit"].append(name)
        return _convert(fitting, wanted)


def _convert(values: Sequence[Any], wanted: pa.DataType) -> pa.Array:
    if pa.types.is_temporal(wanted) or pa.types.is_decimal(wanted):
        if any(isinstance(value, bool | list | dict) for value in values):
            raise TypeError("no text")
        texts = [None if value is None else str(value) for value in values]
        return pa.array(texts, pa.string()).cast(wanted)
    if pa.types.is_integer(wanted):
        values = [int(v) if isinstance(v, float) and v.is_integer() else v for v in values]
    return pa.array(values, wanted)
