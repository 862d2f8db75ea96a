"""Metrics from weighted groups of rows: prepared once, then computed for any weights of the groups.

A bootstrap sample of groups is a weight for each group. Means of rows come from sums by group;
metrics of ranks from rows sorted once. Definitions: Hanley and McNeil (1982) for the area under the
ROC curve with ties, scikit-learn's step-wise sum for average precision, Naeini et al. (2015) for
the calibration error.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BINS = 15
"""Bins of the calibration error."""
SMALLEST = 1e-7
"""Probabilities are kept this far from 0 and 1 in the log loss."""


class Prepared(Protocol):
    """Scores and labels, ready to be weighted."""

    def at(self, weights: Floats) -> dict[str, float]:
        """Return the metrics with each group counted so often; NaN where one is not defined."""
        ...


def prepare(task: str, scores: Floats, label: Floats, group: Ints, groups: int) -> Prepared:
    """Prepare rows for weighting; `group` numbers each row's group from 0."""
    if task == "binary":
        return Binary.of(scores, label, group, groups)
    if task == "multiclass":
        return Multiclass.of(scores, label.astype(np.int64), group, groups)
    if task == "multilabel":
        return Multilabel.of(scores, label, group, groups)
    return Regression.of(scores, label, group, groups)


def _sums(values: Floats, group: Ints, groups: int) -> Floats:
    return np.bincount(group, weights=values, minlength=groups).astype(np.float64)


def _ratio(part: Any, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def _log_losses(scores: Floats, label: Floats) -> Floats:
    """Return the log loss of each probability that a class is there."""
    clipped = np.clip(scores, SMALLEST, 1 - SMALLEST)
    losses: Floats = -(label * np.log(clipped) + (1 - label) * np.log1p(-clipped))
    return losses


def _mean_area(ranks: "Sequence[Ranks]", weights: Floats) -> float:
    """Return the mean over classes of areas, of those that have one."""
    areas = [area for area, _ in (one.metrics(weights) for one in ranks)]
    known = [area for area in areas if area == area]
    return float(np.mean(known)) if known else float("nan")


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """Rows sorted by falling score; rows with equal scores are one block."""

    group: Ints
    positive: Floats
    starts: Ints

    @classmethod
    def of(cls, scores: Floats, positive: Floats, group: Ints) -> "Ranks":
        """Sort rows once."""
        order = np.argsort(-scores, kind="stable")
        ranked = scores[order]
        starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]]) if len(ranked) else order
        return cls(group=group[order], positive=positive[order], starts=starts)

    def counts(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return positives and negatives at or above each distinct score."""
        if not len(self.starts):
            return np.zeros(1), np.zeros(1)
        each = weights[self.group]
        positives = np.add.reduceat(each * self.positive, self.starts)
        every = np.add.reduceat(each, self.starts)
        return np.cumsum(positives), np.cumsum(every - positives)

    def metrics(self, weights: Floats) -> tuple[float, float]:
        """Return the area under the ROC curve, and the average precision."""
        positives, negatives = self.counts(weights)
        every, others = positives[-1], negatives[-1]
        gained = np.diff(positives, prepend=0.0)
        if not every or not others:
            return float("nan"), float("nan")
        below = others - (negatives + np.r_[0.0, negatives[:-1]]) / 2
        seen = positives + negatives
        precision = np.divide(positives, seen, out=np.zeros_like(seen), where=seen > 0)
        return float(gained @ below / (every * others)), float(gained @ precision / every)


@dataclass(frozen=True, kw_only=True)
class Binary:
    """Probabilities of the positive class."""

    ranks: Ranks
    rows: Floats
    loss: Floats
    brier: Floats
    right: Floats
    binned: Floats
    """[groups, bins]: sum of label less probability."""

    @classmethod
    def of(cls, scores: Floats, label: Floats, group: Ints, groups: int) -> "Binary":
        """Sum by group."""
        loss = _log_losses(scores, label)
        bin_of = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
        binned = _sums(label - scores, group * BINS + bin_of, groups * BINS)
        return cls(
            ranks=Ranks.of(scores, label, group),
            rows=_sums(np.ones(len(scores)), group, groups),
            loss=_sums(loss, group, groups),
            brier=_sums((scores - label) ** 2, group, groups),
            right=_sums(((scores >= 0.5) == label).astype(np.float64), group, groups),
            binned=binned.reshape(groups, BINS),
        )

    def at(self, weights: Floats) -> dict[str, float]:
        """Return auc, average precision, log loss, Brier score, calibration error and accuracy."""
        auc, precision = self.ranks.metrics(weights)
        rows = float(weights @ self.rows)
        return {
            "auc": auc,
            "average_precision": precision,
            "log_loss": _ratio(weights @ self.loss, rows),
            "brier": _ratio(weights @ self.brier, rows),
            "calibration_error": _ratio(np.abs(weights @ self.binned).sum(), rows),
            "accuracy": _ratio(weights @ self.right, rows),
        }


@dataclass(frozen=True, kw_only=True)
class Multiclass:
    """Probabilities of each class."""

    ranks: tuple[Ranks, ...]
    rows: Floats
    loss: Floats
    right: Floats

    @classmethod
    def of(cls, scores: Floats, label: Ints, group: Ints, groups: int) -> "Multiclass":
        """Sum by group."""
        of_label = scores[np.arange(len(label)), label]
        return cls(
            ranks=tuple(
                Ranks.of(scores[:, k], (label == k).astype(np.float64), group)
                for k in range(scores.shape[1])
            ),
            rows=_sums(np.ones(len(label)), group, groups),
            loss=_sums(-np.log(np.maximum(of_label, SMALLEST)), group, groups),
            right=_sums((scores.argmax(axis=1) == label).astype(np.float64), group, groups),
        )

    def at(self, weights: Floats) -> dict[str, float]:
        """Return accuracy, log loss, and the mean over classes of one-against-the-rest areas."""
        rows = float(weights @ self.rows)
        return {
            "accuracy": _ratio(weights @ self.right, rows),
            "log_loss": _ratio(weights @ self.loss, rows),
            "auc": _mean_area(self.ranks, weights),
        }


@dataclass(frozen=True, kw_only=True)
class Multilabel:
    """Probabilities of each class, of which a row may have several or none."""

    ranks: tuple[Ranks, ...]
    cells: Floats
    """Rows times classes, by group; so are the next four."""
    loss: Floats
    right: Floats
    hits: Floats
    """Classes that are rightly said to be there."""
    said: Floats
    """Classes that are said to be there, and those that are."""

    @classmethod
    def of(cls, scores: Floats, label: Floats, group: Ints, groups: int) -> "Multilabel":
        """Sum by group."""
        loss = _log_losses(scores, label)
        chosen = scores >= 0.5

        def sums(cells: Any) -> Floats:
            return _sums(np.asarray(cells, np.float64).sum(axis=1), group, groups)

        return cls(
            ranks=tuple(Ranks.of(scores[:, k], label[:, k], group) for k in range(scores.shape[1])),
            cells=sums(np.ones_like(scores)),
            loss=sums(loss),
            right=sums(chosen == label),
            hits=sums(chosen * label),
            said=sums(chosen + label),
        )

    def at(self, weights: Floats) -> dict[str, float]:
        """Return the mean over classes of areas, and of all classes of all rows together the rest.

        f1 is twice the classes rightly said to be there, over those said to be and those that are.
        """
        cells = float(weights @ self.cells)
        return {
            "auc": _mean_area(self.ranks, weights),
            "f1": _ratio(2 * (weights @ self.hits), float(weights @ self.said)),
            "log_loss": _ratio(weights @ self.loss, cells),
            "accuracy": _ratio(weights @ self.right, cells),
        }


@dataclass(frozen=True, kw_only=True)
class Regression:
    """Numbers."""

    rows: Floats
    squares: Floats
    absolutes: Floats
    label: Floats
    label_squares: Floats

    @classmethod
    def of(cls, scores: Floats, label: Floats, group: Ints, groups: int) -> "Regression":
        """Sum by group."""
        error = scores - label
        return cls(
            rows=_sums(np.ones(len(label)), group, groups),
            squares=_sums(error**2, group, groups),
            absolutes=_sums(np.abs(error), group, groups),
            label=_sums(label, group, groups),
            label_squares=_sums(label**2, group, groups),
        )

    def at(self, weights: Floats) -> dict[str, float]:
        """Return root mean square error, mean absolute error and the variance explained."""
        rows = float(weights @ self.rows)
        squares = float(weights @ self.squares)
        spread = float(weights @ self.label_squares) - _ratio((weights @ self.label) ** 2, rows)
        return {
            "rmse": float(np.sqrt(_ratio(squares, rows))),
            "mae": _ratio(weights @ self.absolutes, rows),
            "r2": 1 - _ratio(squares, spread),
        }


def curves_of(scores: Floats, label: Floats, points: int = 100) -> dict[str, Floats]:
    """Return the curves of a binary classifier, each with a bounded number of points."""
    ones = np.ones(1)
    positives, negatives = Ranks.of(scores, label, np.zeros(len(scores), np.int64)).counts(ones)
    every, others = max(positives[-1], 1.0), max(negatives[-1], 1.0)
    kept = np.unique(np.linspace(0, len(positives) - 1, points).astype(int))
    recall, share = positives[kept] / every, negatives[kept] / others
    precision = positives[kept] / np.maximum(positives[kept] + negatives[kept], 1e-12)
    cells = np.minimum((scores * 10).astype(int), 9)
    rows = np.bincount(cells, minlength=10).astype(np.float64)
    mean = np.bincount(cells, weights=scores, minlength=10) / np.maximum(rows, 1)
    seen = np.bincount(cells, weights=label, minlength=10) / np.maximum(rows, 1)
    edges = np.linspace(0, 1, 21)
    histogram = [np.histogram(scores[label == side], edges)[0] for side in (0, 1)]
    chosen = scores >= 0.5
    confusion = [[np.sum((chosen == c) & (label == y)) for c in (0, 1)] for y in (0, 1)]
    return {
        "roc": np.column_stack([np.r_[0, share], np.r_[0, recall]]),
        "pr": np.column_stack([recall, precision]),
        "calibration": np.column_stack([rows, mean, seen]),
        "histogram": np.column_stack(histogram).astype(np.float64),
        "confusion": cast(Floats, np.array(confusion, np.float64)),
    }
