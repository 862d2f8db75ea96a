"""A small dataset with its profile and schema, and a recipe for it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raypipe.config.data import ColumnSplit
from raypipe.config.preprocessing import PreprocessingConfig
from raypipe.stages.data.profiling import profile_splits
from raypipe.values.dataset import Shard
from raypipe.values.profile import SplitProfiles
from raypipe.values.schema import Column, Schema

ROWS = 300
RULE = ColumnSplit(column="split")
RECIPE = PreprocessingConfig.model_validate(
    {
        "groups": [
            {"kind": "numeric", "columns": ["temp"]},
            {"kind": "numeric", "columns": ["miles"], "log": True},
            {"kind": "cyclic", "columns": ["hour"], "period": 24},
            {"kind": "one_hot", "columns": ["origin"]},
            {"kind": "embedding", "columns": ["carrier", "hour"]},
        ]
    }
)
SCHEMA = Schema(
    name="flights",
    columns=(
        Column(name="temp", type="double", nulls=0.2),
        Column(name="miles", type="int64"),
        Column(name="hour", type="int64"),
        Column(name="origin", type="string"),
        Column(name="carrier", type="string", nulls=0.1),
        Column(name="late", type="bool", roles=("label",)),
        Column(name="split", type="string"),
        Column(name="day", type="date32[day]"),
        Column(name="tags", type="list<item: int64>"),
    ),
)


def make_rows(seed: int = 0, rows: int = ROWS) -> pa.Table:
    """Draw rows."""
    draw = np.random.default_rng(seed)
    temp = draw.normal(50, 10, rows)
    return pa.table(
        {
            "temp": pa.array(temp, mask=draw.random(rows) < 0.1),
            "miles": draw.integers(50, 3000, rows),
            "hour": draw.integers(0, 24, rows),
            "origin": draw.choice(["JFK", "LGA", "EWR"], rows),
            "carrier": pa.array(draw.choice(["AA", "UA"], rows), mask=draw.random(rows) < 0.05),
            "late": draw.random(rows) < 0.3,
            "split": draw.choice(["train", "validation", "analysis"], rows, p=[0.6, 0.2, 0.2]),
        }
    )


def make_profiles(*tables: pa.Table) -> SplitProfiles:
    """Profile tables by split."""
    return SplitProfiles.merge_all([profile_splits(table, RULE, ()) for table in tables])


@pytest.fixture
def rows() -> pa.Table:
    """Rows of one shard."""
    return make_rows()


@pytest.fixture
def profiles(rows: pa.Table) -> SplitProfiles:
    """Their profiles."""
    return make_profiles(rows)


@pytest.fixture
def schema() -> Schema:
    """The schema that they keep."""
    return SCHEMA


@pytest.fixture
def recipe() -> PreprocessingConfig:
    """A recipe over them."""
    return RECIPE


@pytest.fixture
def rule() -> ColumnSplit:
    """How they are split."""
    return RULE


@pytest.fixture
def write_shard(tmp_path: Path) -> Callable[[pa.Table, str], Shard]:
    """Write rows as a shard."""

    def write(table: pa.Table, name: str = "a") -> Shard:
        file = tmp_path / f"{name}.parquet"
        pq.write_table(table, file)
        return Shard(
            path=f"part-{name}.parquet",
            object_id=f"blake2b:{name}",
            size=file.stat().st_size,
            location=str(file),
        )

    return write
