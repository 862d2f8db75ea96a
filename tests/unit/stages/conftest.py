"""Tensor files whose label follows from their values, and a step's context."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raypipe.engine.context import StepContext, within
from raypipe.values.dataset import TensorFile
from raypipe.values.signature import Label, Signature, TensorSpec


@pytest.fixture
def signature() -> Signature:
    """Two numbers and an index."""
    return Signature(
        features=(),
        tensors=(
            TensorSpec(name="dense", dtype="float32", shape=(2,), columns=("temp", "wind")),
            TensorSpec(name="indices", dtype="int64", shape=(1,), cardinalities=(4,)),
        ),
        label=Label(name="late", task="binary", classes=("no", "yes")),
    )


@pytest.fixture
def tensor_file(tmp_path: Path) -> Callable[..., TensorFile]:
    """Write rows; `positive` makes all labels alike."""

    def write(name: str, rows: int, *, positive: bool | None = None) -> TensorFile:
        draw = np.random.default_rng(sum(name.encode()))
        dense = draw.standard_normal((rows, 2)).astype(np.float32)
        late = dense[:, 0] > 0 if positive is None else np.full(rows, positive)
        table = pa.table(
            {
                "dense": pa.FixedSizeListArray.from_arrays(pa.array(dense.ravel()), 2),
                "indices": pa.FixedSizeListArray.from_arrays(
                    pa.array(draw.integers(0, 4, rows)), 1
                ),
                "late": pa.array(late.astype(np.float32)),
            }
        )
        path = tmp_path / f"{name}.parquet"
        pq.write_table(table, path)
        return TensorFile(file=path, rows=rows)

    return write


@pytest.fixture
def context(tmp_path: Path):
    """A step that runs in this process."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    here = StepContext(
        run="r",
        step="train",
        runtime="inline",
        home=None,
        root=None,
        paths=(),
        scratch=scratch,
        events=scratch / "events.jsonl",
    )
    with within(here):
        yield here
