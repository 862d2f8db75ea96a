"""Further metrics of the validation split, by name (torchmetrics) or of the user's own."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from raypipe.errors import UsageError
from raypipe.model.tasks import Task

_NAMES = {
    "auc": "auroc",
    "f1": "f1_score",
    "matthews": "matthews_corrcoef",
    "kappa": "cohen_kappa",
    "mape": "mean_absolute_percentage_error",
    "smape": "symmetric_mean_absolute_percentage_error",
    "pearson": "pearson_corrcoef",
    "spearman": "spearman_corrcoef",
}
"""torchmetrics' names, where they are longer."""


def extra_metrics_of(
    names: Sequence[str], task: Task, scores: Tensor, label: Tensor
) -> dict[str, float]:
    """Return the metrics that the settings name; what these rows do not define is left out.

    `scores` and `label` lie on the CPU. Of several classes or labels, each counts alike (macro).
    """
    if not names or not len(label):
        return {}
    found = {short(name): _value(name, task, scores, label) for name in names}
    return {name: value for name, value in found.items() if math.isfinite(value)}


def short(name: str) -> str:
    """Return what a metric is called in the history: of code its function's own name."""
    return name.rpartition(":")[2].rpartition(".")[2]


def _value(name: str, task: Task, scores: Tensor, label: Tensor) -> float:
    if ":" in name:
        return _own(name, scores, label)
    of, options = _of_torchmetrics(name, task, scores)
    target = label if task == "regression" else label.long()
    return float(of(scores, target, **options))


def _of_torchmetrics(
    name: str, task: Task, scores: Tensor
) -> tuple[Callable[..., Any], dict[str, Any]]:
    long = _NAMES.get(name, name)
    if task == "regression":
        import torchmetrics.functional as regression

        return getattr(regression, long), {}
    import torchmetrics.functional.classification as classification

    options: dict[str, Any] = {}
    if task == "multiclass":
        options = {"num_classes": scores.shape[1]}
    elif task == "multilabel":
        options = {"num_labels": scores.shape[1]}
    if name in {"f1", "precision", "recall", "average_precision", "auc"} and task != "binary":
        options["average"] = "macro"
    return getattr(classification, f"{task}_{long}"), options


def _own(name: str, scores: Tensor, label: Tensor) -> float:
    from raypipe.model.code import resolve

    function = resolve(name)
    if not callable(function):
        raise UsageError(
            f"training.metrics names {name!r}, which is a {type(function).__name__}, no function",
            hint="name a function of scores and label (numpy arrays) that returns a number",
        )
    value = function(scores.numpy(), label.numpy())
    try:
        return float(value)
    except (TypeError, ValueError):
        raise UsageError(
            f"the metric {name} returned a {type(value).__name__}; it must return a number"
        ) from None
