"""Metrics agree with scikit-learn's, for rows as they are and for groups drawn several times."""

import numpy as np
import pytest
from sklearn import metrics as known

from raypipe.model.weighted import BINS, curves_of, prepare

ROWS, GROUPS = 600, 12


@pytest.fixture
def rows():
    """Labels, scores with ties, and groups of unequal size."""
    random = np.random.default_rng(3)
    label = (random.random(ROWS) < 0.3).astype(float)
    scores = np.round(np.clip(label * 0.2 + random.random(ROWS) * 0.8, 0.01, 0.99), 2)
    group = np.sort(random.integers(0, GROUPS, ROWS))
    return label, scores, group


@pytest.fixture(params=["as they are", "drawn"])
def weights(request):
    """Each group once, and a bootstrap sample of groups."""
    if request.param == "as they are":
        return np.ones(GROUPS)
    return np.random.default_rng(5).multinomial(GROUPS, np.full(GROUPS, 1 / GROUPS)).astype(float)


def test_metrics_of_several_labels_at_once_are_those_of_scikit_learn(rows, weights):
    first, scores, group = rows
    random = np.random.default_rng(7)
    label = np.column_stack([first, random.random(ROWS) < 0.5, random.random(ROWS) < 0.1])
    every = np.column_stack([scores, random.random(ROWS), random.random(ROWS)])
    found = prepare("multilabel", every, label, group, GROUPS).at(weights)

    each = weights[group]
    flat, asked, thrice = label.ravel(), every.ravel(), np.repeat(each, 3)
    areas = known.roc_auc_score(label, every, average="macro", sample_weight=each)
    assert found["auc"] == pytest.approx(areas)
    assert found["log_loss"] == pytest.approx(known.log_loss(flat, asked, sample_weight=thrice))
    f1 = known.f1_score(flat, asked >= 0.5, sample_weight=thrice)
    assert found["f1"] == pytest.approx(f1)
    right = known.accuracy_score(flat, asked >= 0.5, sample_weight=thrice)
    assert found["accuracy"] == pytest.approx(right)


def test_binary_metrics_are_those_of_scikit_learn(rows, weights):
    label, scores, group = rows
    found = prepare("binary", scores, label, group, GROUPS).at(weights)

    each = weights[group]
    assert found["auc"] == pytest.approx(known.roc_auc_score(label, scores, sample_weight=each))
    assert found["average_precision"] == pytest.approx(
        known.average_precision_score(label, scores, sample_weight=each)
    )
    assert found["log_loss"] == pytest.approx(known.log_loss(label, scores, sample_weight=each))
    assert found["brier"] == pytest.approx(
        known.brier_score_loss(label, scores, sample_weight=each)
    )
    assert found["accuracy"] == pytest.approx(
        known.accuracy_score(label, scores >= 0.5, sample_weight=each)
    )


def test_the_calibration_error_is_the_mean_distance_in_bins(rows):
    label, scores, group = rows
    found = prepare("binary", scores, label, group, GROUPS).at(np.ones(GROUPS))

    bins = np.minimum((scores * BINS).astype(int), BINS - 1)
    distances = [
        abs(label[bins == b].mean() - scores[bins == b].mean()) * (bins == b).sum()
        for b in np.unique(bins)
    ]
    assert found["calibration_error"] == pytest.approx(sum(distances) / ROWS)


def test_multiclass_metrics_are_those_of_scikit_learn(rows, weights):
    _, _, group = rows
    random = np.random.default_rng(9)
    label = random.integers(0, 3, ROWS)
    scores = random.dirichlet(np.ones(3), ROWS)

    found = prepare("multiclass", scores, label.astype(float), group, GROUPS).at(weights)

    each = weights[group]
    assert found["log_loss"] == pytest.approx(known.log_loss(label, scores, sample_weight=each))
    assert found["accuracy"] == pytest.approx(
        known.accuracy_score(label, scores.argmax(1), sample_weight=each)
    )
    areas = [known.roc_auc_score(label == k, scores[:, k], sample_weight=each) for k in range(3)]
    assert found["auc"] == pytest.approx(np.mean(areas))


def test_regression_metrics_are_those_of_scikit_learn(rows, weights):
    _, _, group = rows
    random = np.random.default_rng(1)
    label = random.normal(5, 2, ROWS)
    scores = label + random.normal(0, 1, ROWS)

    found = prepare("regression", scores, label, group, GROUPS).at(weights)

    each = weights[group]
    squares = known.mean_squared_error(label, scores, sample_weight=each)
    assert found["rmse"] == pytest.approx(np.sqrt(squares))
    assert found["mae"] == pytest.approx(
        known.mean_absolute_error(label, scores, sample_weight=each)
    )
    assert found["r2"] == pytest.approx(known.r2_score(label, scores, sample_weight=each))


def test_one_class_alone_has_no_area_but_a_loss():
    ones = np.ones(4)
    found = prepare("binary", np.full(4, 0.7), ones, np.zeros(4, int), 1).at(np.ones(1))

    assert np.isnan(found["auc"])
    assert found["log_loss"] == pytest.approx(-np.log(0.7))


def test_curves_are_bounded_and_start_and_end_where_they_should(rows):
    label, scores, _ = rows
    curves = curves_of(scores, label, points=20)

    assert curves["roc"][0].tolist() == [0, 0]
    assert curves["roc"][-1].tolist() == [1, 1]
    assert len(curves["roc"]) <= 21
    assert curves["pr"][-1] == pytest.approx([1, label.mean()])
    assert curves["histogram"].sum() == ROWS
    assert curves["confusion"].sum() == ROWS
    assert curves["calibration"][:, 0].sum() == ROWS
