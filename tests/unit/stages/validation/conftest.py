"""Small data that is easy to break in one way at a time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pytest

from raypipe.config.data import ColumnSplit, DataConfig
from raypipe.config.validation import ValidationConfig
from raypipe.stages.data.profiling import profile_splits
from raypipe.stages.validation.inference import infer_schema
from raypipe.values.profile import SplitProfiles
from raypipe.values.schema import Schema

ROWS = 100
SPLITS = ["train"] * 60 + ["validation"] * 20 + ["analysis"] * 20

DATA = DataConfig(
    dataset="local://r/main",
    label="late",
    key=("id",),
    time="day",
    split=ColumnSplit(column="split"),
)


def good_columns(first: int = 0) -> dict[str, Sequence[Any]]:
    """Columns that keep the schema inferred from them; `first` moves ids and days on."""
    return {
        "id": list(range(first, first + ROWS)),
        "day": [date(2013, 1, 1) + timedelta(days=first + i) for i in range(ROWS)],
        "temp": [float(i % 50) for i in range(ROWS)],
        "carrier": ["AA", "UA"] * (ROWS // 2),
        "late": [i % 3 == 0 for i in range(ROWS)],
        "split": SPLITS,
    }


Make = Callable[..., SplitProfiles]


@pytest.fixture
def profiles() -> Make:
    """Profile the good columns with some replaced, left out (None) or added."""

    def make(change: Mapping[str, Any] | None = None, *, first: int = 0) -> SplitProfiles:
        columns = {**good_columns(first), **(change or {})}
        table = pa.table({name: v for name, v in columns.items() if v is not None})
        return profile_splits(table, DATA.split, DATA.key)

    return make


@pytest.fixture
def schema(profiles: Make) -> Schema:
    """What is inferred from the good columns; its limits are meant as they are written."""
    return replace(infer_schema("test", profiles().all, DATA, ValidationConfig()), rows=None)


@pytest.fixture
def data() -> DataConfig:
    """Settings of the data stage that fit the columns."""
    return DATA
