"""Raw shards, and the transform that makes tensors of them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raypipe.config.data import ColumnSplit
from raypipe.config.preprocessing import PreprocessingConfig
from raypipe.model.streaming.source import Source
from raypipe.stages.data.profiling import profile_splits
from raypipe.stages.preprocessing.fitting import fit_transform
from raypipe.values.dataset import Shard
from raypipe.values.schema import Column, Schema

RULE = ColumnSplit(column="split")
SCHEMA = Schema(
    name="s",
    columns=(
        Column(name="x", type="double"),
        Column(name="late", type="bool", roles=("label",)),
        Column(name="split", type="string"),
    ),
)


@pytest.fixture
def make_source(tmp_path: Path) -> Callable[..., Source]:
    """Write shards of so many rows, in row groups of 20; x numbers the rows, unscaled."""

    def make(*sizes: int) -> Source:
        recipe = PreprocessingConfig(
            groups=[{"kind": "numeric", "columns": ["x"], "scale": "none"}]
        )
        start, shards, tables = 0, [], []
        for number, rows in enumerate(sizes):
            places = np.arange(start, start + rows)
            split = np.array(["train", "train", "validation", "train", "analysis"])[places % 5]
            late = (places % 7 < 3) if rows else np.empty(0, bool)
            table = pa.table(
                {"x": pa.array(places.astype(float)), "late": pa.array(late), "split": split}
            )
            tables.append(table)
            file = tmp_path / f"{number}.parquet"
            pq.write_table(table, file, row_group_size=20)
            shards.append(
                Shard(path=file.name, object_id=f"blake2b:{number}", size=1, location=str(file))
            )
            start += rows
        profile = profile_splits(pa.concat_tables(tables), RULE, ()).train
        transform = fit_transform(profile, recipe.groups, SCHEMA, "late", "binary")
        return Source(shards=tuple(shards), transform=transform, rule=RULE)

    return make
