"""How good scores are, by task: the few numbers that training follows, exact and vectorised."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from raypipe.model.tasks import Task

Floats = NDArray[np.floating]


def metrics_of(task: Task, scores: Floats, label: NDArray[np.generic]) -> dict[str, float]:
    """Return the task's metrics; what these rows do not define (AUC of one class) is left out."""
    if not len(label):
        return {}
    found = {name: metric(scores, label) for name, metric in METRICS[task].items()}
    return {name: float(value) for name, value in found.items() if np.isfinite(value)}


def auc(scores: Floats, label: NDArray[np.generic]) -> float:
    """Return the area under the ROC curve, ties counted half; NaN with one class only."""
    positive = label.astype(bool)
    n_positive = int(positive.sum())
    n_negative = len(label) - n_positive
    if not n_positive or not n_negative:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    above = ranks[inverse][positive].sum() - n_positive * (n_positive + 1) / 2
    return float(above / (n_positive * n_negative))


def _binary_accuracy(scores: Floats, label: NDArray[np.generic]) -> float:
    return float(np.mean((scores >= 0.5) == label.astype(bool)))


def _multiclass_accuracy(scores: Floats, label: NDArray[np.generic]) -> float:
    return float(np.mean(scores.argmax(axis=1) == label))


def _label_accuracy(scores: Floats, label: NDArray[np.generic]) -> float:
    return float(np.mean((scores >= 0.5) == label.astype(bool)))


def _mean_auc(scores: Floats, label: NDArray[np.generic]) -> float:
    """Return the mean over labels of the area under the ROC curve, where it is defined."""
    areas = [auc(scores[:, one], label[:, one]) for one in range(scores.shape[1])]
    known = [area for area in areas if np.isfinite(area)]
    return float(np.mean(known)) if known else float("nan")


def _errors(scores: Floats, label: NDArray[np.generic]) -> NDArray[np.float64]:
    return scores.astype(np.float64) - label.astype(np.float64)


def _rmse(scores: Floats, label: NDArray[np.generic]) -> float:
    return float(np.sqrt(np.mean(_errors(scores, label) ** 2)))


def _mae(scores: Floats, label: NDArray[np.generic]) -> float:
    return float(np.mean(np.abs(_errors(scores, label))))


def _r2(scores: Floats, label: NDArray[np.generic]) -> float:
    spread = float(np.var(label.astype(np.float64)))
    return 1 - float(np.mean(_errors(scores, label) ** 2)) / spread if spread else float("nan")


METRICS: dict[Task, dict[str, Callable[[Floats, NDArray[np.generic]], float]]] = {
    "binary": {"auc": auc, "accuracy": _binary_accuracy},
    "multiclass": {"accuracy": _multiclass_accuracy},
    "multilabel": {"auc": _mean_auc, "accuracy": _label_accuracy},
    "regression": {"rmse": _rmse, "mae": _mae, "r2": _r2},
}
