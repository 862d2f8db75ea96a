"""What the training loop can be told by name: losses, metrics, schedules, when states are kept."""

from typing import Literal, TypeAlias

from pydantic import Field

from raypipe.config.base import BaseConfig

TaskName: TypeAlias = Literal["binary", "multiclass", "multilabel", "regression"]
LOSSES: dict[TaskName, tuple[str, ...]] = {
    "binary": ("cross_entropy", "focal", "hinge"),
    "multiclass": ("cross_entropy", "focal"),
    "multilabel": ("cross_entropy", "focal"),
    "regression": ("squared", "absolute", "huber"),
}
"""Losses by name, by task; the first is what a task has unless told otherwise."""
_OF_CLASSES = ("f1", "precision", "recall", "average_precision", "calibration_error")
EXTRA_METRICS: dict[TaskName, tuple[str, ...]] = {
    "binary": (*_OF_CLASSES, "matthews", "kappa", "specificity"),
    "multiclass": (*_OF_CLASSES, "auc", "matthews", "kappa"),
    "multilabel": ("f1", "precision", "recall", "average_precision", "exact_match"),
    "regression": ("mape", "smape", "explained_variance", "pearson", "spearman"),
}
"""Further metrics by name, by task: torchmetrics computes them."""


class ScheduleConfig(BaseConfig):
    """How the learning rate changes from step to step."""

    kind: Literal["cosine", "constant", "step"] = "cosine"
    """Falls to zero along half a cosine; stays; or is multiplied by `factor` now and then."""

    warmup: float = Field(0.0, ge=0, lt=1)
    """Share of all steps in which the rate first rises evenly from near zero to its largest."""

    every: int = Field(10, ge=1)
    """For `step`: epochs between two multiplications."""

    factor: float = Field(0.1, gt=0, lt=1)
    """For `step`: what the rate is multiplied by."""


class WithinEpochConfig(BaseConfig):
    """When a state to go on from is kept within an epoch, besides the one at its end."""

    steps: int | None = Field(None, ge=1)
    """Every so many batches; None: not by batches."""

    seconds: float | None = Field(None, gt=0)
    """Every so many seconds; None: not by time."""
