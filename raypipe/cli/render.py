"""What text for people is made of: tables, lines, numbers, times; plain enough to be piped."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

Json = Any


def table(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return columns under their headers; the last column is not padded."""
    cells = [
        [str(header) for header in headers],
        *([cell(value) for value in row] for row in rows),
    ]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(_pad(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )


def cell(value: Any) -> str:
    """Return a value as one line."""
    if value is None or value == "":
        return "-"
    return number(value) if isinstance(value, float) else " ".join(str(value).split())


def number(value: float) -> str:
    """Return a number short enough to read: six digits, all of them where it is large or tiny."""
    return f"{value:.6g}" if 1e-4 <= abs(value) < 1e6 else repr(value)


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _pad(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def duration(seconds: float | None) -> str:
    """Return a duration in the unit that suits it."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 90:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def moment(seconds: float | None) -> str:
    """Return a time as the local clock shows it."""
    if seconds is None:
        return "-"
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def size(count: float) -> str:
    """Return a number of bytes in the unit that suits it."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def base_name(step: str) -> str:
    """Return the name that the items and further calls of a step share: f of f#2 and f[3]."""
    return step.partition("[")[0].partition("#")[0]


def who(one: Mapping[str, Any]) -> str:
    """Return who did it: the name given, else the user; - where nobody did."""
    actor = one.get("actor") or {}
    return actor.get("name") or actor.get("user") or "-"


def lines(data: Json) -> str:
    """Return nested data as indented lines, for what has no table of its own."""
    return "\n".join(_lines(data, 0))


def _lines(data: Json, depth: int) -> Iterable[str]:
    indent = "  " * depth
    if isinstance(data, Mapping):
        for key, value in data.items():
            if isinstance(value, Mapping | list) and value:
                yield f"{indent}{key}:"
                yield from _lines(value, depth + 1)
            else:
                yield f"{indent}{key}: {cell(value) if value not in ([], {}) else '-'}"
    elif isinstance(data, list):
        for item in data:
            if isinstance(item, Mapping):
                first, *rest = list(_lines(item, depth + 1)) or [f"{indent}  -"]
                yield f"{indent}- {first.strip()}"
                yield from rest
            else:
                yield from _lines(item, depth)
    else:
        yield from (f"{indent}{line}" for line in str(data).splitlines() or [""])
