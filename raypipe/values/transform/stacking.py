"""Columns of a group as numbers, and what a group does with them."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from raypipe.values.transform.reading import Column

Target: TypeAlias = npt.NDArray[Any]
Part: TypeAlias = Callable[[Sequence[Column], Target], None]
"""Reads a group's columns and writes its values into its rows [rows, …] of its tensor."""


def floats(array: Column) -> npt.NDArray[Any]:
    """Return numbers or booleans, NaN for null."""
    if isinstance(array, list):
        return np.array(array, np.float64)
    if array.null_count and not pa.types.is_floating(array.type):
        array = array.cast(pa.float64(), safe=False)
    numbers: npt.NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return numbers


def stacked(columns: Sequence[Column]) -> npt.NDArray[np.float64]:
    """Return one row a column, so that each column lies in one piece."""
    if all(type(column) is list for column in columns):
        return np.array(columns, np.float64)
    stacked = np.empty((len(columns), len(columns[0])), np.float64)
    for place, column in enumerate(columns):
        stacked[place] = floats(column)
    return stacked
