"""Scalars that JSON cannot say: how each is written, and read back exactly."""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from typing import Any

from raypipe.engine.records import Json

_WORD = 1 << 63
"""Integers beyond this are written in hexadecimal, which Python reads at any length."""


def write_int(value: int) -> Json:
    """Write an integer of any size."""
    return value if -_WORD <= value < _WORD else {"k": "int", "v": hex(value)}


def write_float(value: float) -> Json:
    """Write a float; JSON has neither nan nor infinity."""
    return value if value - value == 0 else {"k": "float", "v": repr(value)}


def _write_moment(kind: str) -> Callable[[datetime | time], Json]:
    def write(value: datetime | time) -> Json:
        node: dict[str, Json] = {"k": kind, "v": value.isoformat()}
        if value.fold:
            node["fold"] = 1
        zone = getattr(value.tzinfo, "key", None)
        if isinstance(zone, str):
            node |= {"v": value.replace(tzinfo=None).isoformat(), "zone": zone}
        return node

    return write


def _read_moment(kind: Any) -> Callable[[Json], Any]:
    def read(node: Json) -> Any:
        value = kind.fromisoformat(node["v"]).replace(fold=node.get("fold", 0))
        return value.replace(tzinfo=_zone(node["zone"])) if "zone" in node else value

    return read


def _zone(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)


WRITERS: dict[type, Callable[[Any], Json]] = {
    int: write_int,
    float: write_float,
    complex: lambda value: {"k": "complex", "v": [value.real.hex(), value.imag.hex()]},
    Decimal: lambda value: {"k": "decimal", "v": str(value)},
    datetime: _write_moment("datetime"),
    date: lambda value: {"k": "date", "v": value.isoformat()},
    time: _write_moment("time"),
    timedelta: lambda value: {
        "k": "timedelta",
        "v": [value.days, value.seconds, value.microseconds],
    },
}
"""Type to how it is written."""

READERS: dict[str, Callable[[Json], Any]] = {
    "int": lambda node: int(node["v"], 16),
    "float": lambda node: float(node["v"]),
    "complex": lambda node: complex(*map(float.fromhex, node["v"])),
    "decimal": lambda node: Decimal(node["v"]),
    "datetime": _read_moment(datetime),
    "date": lambda node: date.fromisoformat(node["v"]),
    "time": _read_moment(time),
    "timedelta": lambda node: timedelta(*node["v"]),
}
"""Kind of node to how it is read."""
