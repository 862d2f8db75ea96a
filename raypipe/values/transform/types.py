"""Arrow types by the names that schemas and signatures give them."""

import re
from functools import lru_cache

import pyarrow as pa

_MADE = (
    (re.compile(r"timestamp\[(s|ms|us|ns)(?:, tz=(.+))?\]"), pa.timestamp),
    (re.compile(r"duration\[(s|ms|us|ns)\]"), pa.duration),
    (re.compile(r"time32\[(s|ms)\]"), pa.time32),
    (re.compile(r"time64\[(us|ns)\]"), pa.time64),
)
_DECIMAL = re.compile(r"decimal(32|64|128|256)\((\d+), (-?\d+)\)")
_LIST = re.compile(r"(large_|fixed_size_)?list<([^:<>]+): (.+?)( not null)?>(?:\[(\d+)\])?")
_ALIASES = {"date32[day]": pa.date32(), "date64[ms]": pa.date64(), "halffloat": pa.float16()}


@lru_cache
def arrow_type(name: str) -> pa.DataType | None:
    """Return the type that a name such as timestamp[us, tz=UTC] means; None for records."""
    if name in _ALIASES:
        return _ALIASES[name]
    for pattern, make in _MADE:
        if match := pattern.fullmatch(name):
            return make(*(part for part in match.groups() if part is not None))
    if match := _DECIMAL.fullmatch(name):
        return getattr(pa, f"decimal{match[1]}")(int(match[2]), int(match[3]))
    if match := _LIST.fullmatch(name):
        return _list(*match.groups())
    try:
        return pa.type_for_alias(name)
    except ValueError:
        return None


def _list(
    kind: str | None, field: str, name: str, whole: str | None, size: str | None
) -> pa.DataType | None:
    inner = arrow_type(name)
    if inner is None or (size is not None) != (kind == "fixed_size_"):
        return None
    values = pa.field(field, inner, nullable=whole is None)
    if size is not None:
        return pa.list_(values, int(size))
    return pa.large_list(values) if kind else pa.list_(values)
