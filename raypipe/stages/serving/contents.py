"""Values of JSON that hold more than one thing: lists, and bytes as base64."""

import base64
from collections.abc import Callable
from itertools import accumulate, chain
from typing import Any

import pyarrow as pa

from raypipe.errors import UsageError
from raypipe.values.signature import Feature
from raypipe.values.transform.reading import Column, as_array

Convert = Callable[[list[Any]], Column]
Misfit = Callable[[Feature, int, Any, str], UsageError]
"""Makes the error of a feature's value in a row, with the words for what it must be."""


def binaries(feature: Feature, wanted: pa.DataType, misfit: Misfit) -> Convert:
    """Return what reads bytes, which JSON has as base64 (RFC 4648, with padding)."""

    def convert(values: list[Any]) -> Column:
        return pa.array([_decoded(number, value) for number, value in enumerate(values)], wanted)

    def _decoded(number: int, value: Any) -> bytes | None:
        if value is None:
            return None
        try:
            if type(value) is str:
                return base64.b64decode(value, validate=True)
        except ValueError:  # no base64, or not even ASCII
            pass
        raise misfit(feature, number, value, "bytes as a text in base64")

    return convert


def lists(feature: Feature, wanted: pa.DataType, inner: Convert, misfit: Misfit) -> Convert:
    """Return what reads lists; `inner` reads what they hold."""
    kind = pa.LargeListArray if pa.types.is_large_list(wanted) else pa.ListArray

    def convert(values: list[Any]) -> Column:
        for number, value in enumerate(values):
            if value is not None and type(value) is not list:
                raise misfit(feature, number, value, "a list")
        held = [value or [] for value in values]
        try:
            flat = as_array(inner(list(chain.from_iterable(held))), wanted.value_type)
        except UsageError:
            raise _first_misfit(held) from None
        ends = pa.array([0, *accumulate(map(len, held))], pa.int64())
        missing = pa.array([value is None for value in values], pa.bool_())
        offsets = ends.cast(pa.int64() if kind is pa.LargeListArray else pa.int32())
        return kind.from_arrays(offsets, flat, type=wanted, mask=missing)

    def _first_misfit(held: list[list[Any]]) -> UsageError:
        for number, value in enumerate(held):
            for one in value:
                try:
                    inner([one])
                except UsageError as error:
                    words = str(error).rpartition("; it must be ")[2]
                    return UsageError(
                        f"row {number}: a value of the list {feature.name!r} is no such thing as "
                        f"its others; each must be {words}"
                    )
        raise AssertionError("no value of the lists is refused by itself")

    return convert
