"""Values as JSON has them, in a type of Arrow's."""

import base64
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

MISFIT = (pa.ArrowException, OverflowError, TypeError, ValueError)


def converted(values: Sequence[Any], wanted: pa.DataType) -> pa.Array:
    """Return values in a type; those that are none of it are null."""
    try:
        return convert(values, wanted)
    except MISFIT:
        return convert([v if _fits(v, wanted) else None for v in values], wanted)


def convert(values: Sequence[Any], wanted: pa.DataType) -> pa.Array:
    """Return values in a type; an error of MISFIT where one of them is none of it.

    Arrow would take true for a number, and cut 1.5 down to a whole one.
    """
    if pa.types.is_temporal(wanted) or pa.types.is_decimal(wanted):
        if any(isinstance(value, bool | list | dict) for value in values):
            raise TypeError("no text")
        texts = [None if value is None else str(value) for value in values]
        return pa.array(texts, pa.string()).cast(wanted)
    if pa.types.is_integer(wanted) or pa.types.is_floating(wanted):
        kinds = set(map(type, values))
        if bool in kinds:
            raise TypeError("no number")
        if pa.types.is_integer(wanted) and float in kinds:
            values = [_whole(value) if type(value) is float else value for value in values]
    if pa.types.is_binary(wanted) or pa.types.is_large_binary(wanted):
        values = [v if v is None else base64.b64decode(v, validate=True) for v in values]
    return pa.array(values, wanted)


def _whole(value: float) -> int:
    if not value.is_integer():
        raise ValueError("no whole number")
    return int(value)


def _fits(value: Any, wanted: pa.DataType) -> bool:
    try:
        convert([value], wanted)
    except MISFIT:
        return False
    return True
