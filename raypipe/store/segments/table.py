"""Records as an Arrow table: what they are found by in columns, and each whole beside it."""

from collections.abc import Sequence
from json import loads
from typing import Any

import pyarrow as pa

SCHEMA = pa.schema(
    [
        ("kind", pa.string()),
        ("id", pa.string()),
        ("client_id", pa.string()),
        ("time", pa.float64()),
        ("model", pa.string()),
        ("version", pa.string()),
        ("rows", pa.int64()),
        ("status", pa.int64()),
        ("request", pa.string()),
        ("row", pa.int64()),
        ("body", pa.string()),
    ]
)
"""A record lacks the columns that its kind does not know; `body` is its JSON, to the letter."""


def table_of(bodies: Sequence[bytes]) -> pa.Table:
    """Return records, which are JSON objects, as a table."""
    records = [loads(body) for body in bodies]
    columns = [_column(field, records) for field in list(SCHEMA)[:-1]]
    columns.append(pa.array([body.decode() for body in bodies], pa.string()))
    return pa.table(columns, schema=SCHEMA)


def _column(field: pa.Field, records: Sequence[dict[str, Any]]) -> pa.Array:
    kinds: tuple[type, ...] = {
        pa.string(): (str,),
        pa.float64(): (int, float),
        pa.int64(): (int,),
    }[field.type]
    values = [record.get(field.name) for record in records]
    fitting: list[Any] = [value if isinstance(value, kinds) else None for value in values]
    try:
        return pa.array(fitting, field.type)
    except (pa.ArrowInvalid, OverflowError):  # a number that no column holds; `body` has it
        held = [v if v is None or abs(v) < 1 << 63 else None for v in fitting]
        return pa.array(held, field.type)
