"""The metrics that training follows are those of scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics as reference

from raypipe.model.metrics import auc, metrics_of


@pytest.mark.parametrize("digits", [1, 2, 8])
def test_auc_counts_ties_half(digits):
    draw = np.random.default_rng(digits)
    scores = draw.random(500).round(digits)
    label = (draw.random(500) < scores).astype(np.float32)

    assert auc(scores, label) == pytest.approx(reference.roc_auc_score(label, scores), abs=1e-12)


def test_what_the_rows_do_not_define_is_left_out():
    scores = np.array([0.2, 0.7])

    assert metrics_of("binary", scores, np.ones(2)) == {"accuracy": 0.5}
    assert metrics_of("regression", scores, np.ones(2)).keys() == {"rmse", "mae"}
    assert metrics_of("binary", np.empty(0), np.empty(0)) == {}


def test_classes_are_counted_right_by_the_highest_score():
    scores = np.array([[0.1, 0.9, 0.0], [0.8, 0.1, 0.1], [0.2, 0.3, 0.5]])

    assert metrics_of("multiclass", scores, np.array([1, 0, 0])) == {
        "accuracy": pytest.approx(2 / 3)
    }


def test_numbers_are_measured_by_their_errors():
    draw = np.random.default_rng(0)
    label, scores = draw.standard_normal(50), draw.standard_normal(50)

    assert metrics_of("regression", scores, label) == {
        "rmse": pytest.approx(reference.root_mean_squared_error(label, scores)),
        "mae": pytest.approx(reference.mean_absolute_error(label, scores)),
        "r2": pytest.approx(reference.r2_score(label, scores)),
    }
