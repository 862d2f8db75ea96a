"""A label that is a number, as the module learns it, and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raypipe.values.signature import Label
from raypipe.values.transform.scaling import scaled, unscaled

SCALED = Label(name="y", task="regression", log=True, center=1.5, scale=0.25)


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=20), st.booleans())
def test_what_is_scaled_comes_back(numbers, log):
    label = Label(name="y", task="regression", log=log, center=3.0, scale=2.5)
    there = np.array(numbers)
    back = unscaled(scaled(there, label), label)
    assert back.dtype == np.float32
    assert back == pytest.approx(there, rel=1e-5, abs=1e-5)


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=70))
def test_one_score_comes_back_to_the_same_bits_as_among_many(scores):
    there = np.array(scores, np.float32)
    single = [unscaled(there[i : i + 1], SCALED) for i in range(len(there))]
    assert unscaled(there, SCALED).tobytes() == np.concatenate(single).tobytes()


def test_a_prediction_of_a_logged_label_is_finite_and_never_below_zero():
    told = unscaled(np.array([-1e30, -9.0, 1e30], np.float32), SCALED)
    assert told.tolist() == [0, 0, np.finfo(np.float32).max]


def test_what_is_no_number_stays_none():
    assert np.isnan(unscaled(np.array([np.nan], np.float32), SCALED)).all()


def test_a_label_that_is_not_scaled_keeps_its_bits():
    scores = np.array([0.1, 7.5], np.float32)
    assert unscaled(scores, Label(name="y", task="regression")) is scores
