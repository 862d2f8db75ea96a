"""Searches over the settings of a small model."""

from collections.abc import Callable
from typing import Any

import pytest

from raypipe.config.preprocessing import PreprocessingConfig
from raypipe.config.training import TrainingConfig
from raypipe.config.tuning import ChoicesConfig, RangeConfig, Written
from raypipe.values.tuning import Search

RATE, WIDTH = "training.learning_rate", "training.model.hidden"
SPACE = {
    RATE: RangeConfig(low=0.001, high=0.1, log=True),
    WIDTH: ChoicesConfig(choices=([4], [8])),
}


@pytest.fixture
def search() -> Callable[..., Search]:
    """Makes a search; by random draws, unless said otherwise."""

    def search(space: Any = None, **other: Any) -> Search:
        given = {"sampler": "random", "seed": 0, "metric": "loss", "epochs": None}
        return Search(space=SPACE if space is None else space, **{**given, **other})

    return search


@pytest.fixture
def training() -> TrainingConfig:
    """Settings as written, within the space."""
    return TrainingConfig.model_validate(
        {
            "model": {"kind": "tabular_mlp", "hidden": [8]},
            "learning_rate": 0.01,
            "epochs": 2,
            "batch_size": 16,
            "patience": None,
        }
    )


@pytest.fixture
def recipe() -> PreprocessingConfig:
    """A recipe as written."""
    groups = [{"kind": "numeric", "columns": ["temp", "wind"]}]
    return PreprocessingConfig.model_validate({"groups": groups})


@pytest.fixture
def written(training: TrainingConfig, recipe: PreprocessingConfig) -> Written:
    """All that a search goes around."""
    return Written(training=training, preprocessing=recipe)
