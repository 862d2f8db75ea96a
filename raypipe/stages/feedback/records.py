"""Records of the request log to tables: the rows that one model was asked, and its labels."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa

from raypipe.values.feedback import Logged
from raypipe.values.label import told_text
from raypipe.values.signature import Feature
from raypipe.values.transform.types import arrow_type

NAMES = pa.list_(pa.string())
ASKED = pa.schema(
    [
        ("request", pa.string()),
        ("client", pa.string()),
        ("row", pa.int64()),
        ("time", pa.float64()),
        ("version", pa.string()),
        ("scores", pa.list_(pa.float64())),
        ("unseen", NAMES),
        ("lacks", NAMES),
        ("unfit", NAMES),
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


def read_logged(bodies: Iterable[bytes], model: str, fields: Sequence[Feature]) -> Logged:
    """Return what records say of a model; those of other models are passed over."""
    records = [orjson.loads(body) for body in bodies]
    requests = [r for r in records if r["kind"] == "request" and r["model"] == model]
    labels = [r for r in records if r["kind"] == "label" and r.get("model") in (None, model)]
    columns, unfit = _fields(requests, fields)
    return Logged(
        asked=_asked(requests, [field.name for field in fields], unfit),
        fields=columns,
        labels=_labels(labels),
    )


def _labels(records: Sequence[Mapping[str, Any]]) -> pa.Table:
    told = [
        {
            "request": record["request"],
            "row": record.get("row", 0),
            "label": told_text(record["label"]),
            "time": record["time"],
            "id": record["id"],
        }
        for record in records
    ]
    return pa.Table.from_pylist(told, schema=LABELS)


def _asked(
    requests: Sequence[Mapping[str, Any]], names: Sequence[str], unfit: Mapping[int, list[str]]
) -> pa.Table:
    columns: dict[str, list[Any]] = {name: [] for name in ASKED.names}
    for request in requests:
        rows = request["rows"]
        lacks = [name for name in names if name not in request["columns"]]
        columns["request"] += [request["id"]] * rows
        columns["client"] += [request.get("client_id")] * rows
        columns["row"] += range(rows)
        columns["time"] += [request["time"]] * rows
        columns["version"] += [request["version"]] * rows
        columns["scores"] += _scores(request["outputs"])
        columns["unseen"] += _unseen(request.get("unseen") or {}, rows)
        columns["lacks"] += [lacks] * rows
    columns["unfit"] = [unfit.get(place, []) for place in range(len(columns["row"]))]
    return pa.table(columns, schema=ASKED)


def _scores(outputs: Mapping[str, list[Any]]) -> list[list[Any]]:
    """Return the scores of each row: a probability, one for each class in order, or a number."""
    label = next(name for name in outputs if name.endswith("_predicted"))
    stem = label.removesuffix("_predicted") + "_probability"
    named = [name for name in outputs if name == stem or name.startswith(stem + "_")]
    return [list(row) for row in zip(*(outputs[name] for name in named or [label]), strict=True)]


def _unseen(columns: Mapping[str, list[int]], rows: int) -> list[list[str]]:
    found: list[list[str]] = [[] for _ in range(rows)]
    for name, places in columns.items():
        for place in places:
            found[place].append(name)
    return found


# --- values -------------------------------------------------------------------------------------


def _fields(
    requests: Sequence[Mapping[str, Any]], fields: Sequence[Feature]
) -> tuple[pa.Table, dict[int, list[str]]]:
    """Return the columns in their types, and by row the names of those that did not fit."""
    columns: dict[str, pa.Array] = {}
    unfit: dict[int, list[str]] = {}
    for field in fields:
        values: list[Any] = []
        for request in requests:
            values += request["columns"].get(field.name) or [None] * request["rows"]
        columns[field.name], misfits = to_column(values, field.type)
        for place in misfits:
            unfit.setdefault(place, []).append(field.name)
    return pa.table(columns), unfit


def to_column(values: Sequence[Any], type_name: str) -> tuple[pa.Array, list[int]]:
    """Return values of JSON in an Arrow type, and the places of those that are none of it."""
    kind = arrow_type(type_name)
    if kind is None:  # a list, say: as text, so that any two are of one type
        return pa.array([v if v is None else orjson.dumps(v).decode() for v in values]), []
    try:
        return _cast(pa.array(values, from_pandas=False), kind, values), []
    except (pa.ArrowException, OverflowError):
        pass
    found = [_one(value, kind) for value in values]
    misfits = [n for n, one in enumerate(found) if one is None and values[n] is not None]
    return pa.array(found, kind), misfits


def _cast(array: pa.Array, kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    whole = pa.types.is_integer(array.type) and pa.types.is_floating(kind)
    return pa.array(values, kind) if whole else array.cast(kind)


def _one(value: Any, kind: pa.DataType) -> Any:
    try:
        return None if value is None else pa.scalar(value).cast(kind).as_py()
    except (pa.ArrowException, OverflowError):
        return None
