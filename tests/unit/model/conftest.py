"""A small signature and rows that follow it."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from raypipe.model.share import Share
from raypipe.values.signature import Label, Signature, TensorSpec

CARDINALITIES = (5, 40)


@pytest.fixture
def signature() -> Signature:
    """Three numbers, two indices, a binary label."""
    return Signature(
        features=(),
        tensors=(
            TensorSpec(name="dense", dtype="float32", shape=(3,), columns=("temp", "wind", "hour")),
            TensorSpec(name="indices", dtype="int64", shape=(2,), cardinalities=CARDINALITIES),
        ),
        label=Label(name="late", task="binary", classes=("no", "yes")),
    )


@pytest.fixture
def make_share() -> Callable[..., Share]:
    """Rows whose label follows from their values, with some noise."""

    def make(rows: int, seed: int = 0) -> Share:
        draw = np.random.default_rng(seed)
        dense = draw.standard_normal((rows, 3)).astype(np.float32)
        indices = np.stack([draw.integers(0, n, rows) for n in CARDINALITIES], axis=1)
        raised = dense[:, 0] + indices[:, 0] - 2 + draw.standard_normal(rows) * 0.3
        return Share(
            tensors={"dense": torch.from_numpy(dense), "indices": torch.from_numpy(indices)},
            label=torch.from_numpy((raised > 0).astype(np.float32)),
            columns={"dense": ("temp", "wind", "hour")},
        )

    return make
