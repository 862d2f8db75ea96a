"""Intervals resample groups: dependent rows make them wide, pairs make them narrow."""

import numpy as np
import pytest

from raypipe.model import intervals
from raypipe.model.weighted import prepare

GROUPS = 30


@pytest.fixture
def rows():
    """Days that are late together: the label's mean differs by group."""
    random = np.random.default_rng(0)
    group = np.repeat(np.arange(GROUPS), 40)
    late = random.random(GROUPS)[group]
    label = (random.random(len(group)) < late).astype(float)
    scores = np.clip(0.5 + 0.2 * (late - 0.5) + random.normal(0, 0.1, len(group)), 0.01, 0.99)
    return label, scores, group


def estimate(label, scores, group, groups, draws):
    prepared = prepare("binary", scores, label, group, groups)
    values = intervals.point(prepared, groups)
    return values, intervals.sample(prepared, draws)


def test_the_same_rows_give_the_same_intervals(rows):
    label, scores, group = rows
    first, second = (
        intervals.estimates(
            *estimate(label, scores, group, GROUPS, intervals.draw(GROUPS, 200)), 0.95
        )
        for _ in range(2)
    )
    assert first == second
    assert all(one.low <= one.value <= one.high for one in first.values())


def test_groups_that_hang_together_widen_the_interval(rows):
    label, scores, group = rows
    each = np.arange(len(group))
    of_groups = intervals.estimates(
        *estimate(label, scores, group, GROUPS, intervals.draw(GROUPS, 200)), 0.95
    )["accuracy"]
    of_rows = intervals.estimates(
        *estimate(label, scores, each, len(each), intervals.draw(len(each), 200)), 0.95
    )["accuracy"]

    assert of_groups.high - of_groups.low > 1.5 * (of_rows.high - of_rows.low)


def test_a_paired_difference_is_narrower_than_the_metrics_themselves(rows):
    label, scores, group = rows
    draws = intervals.draw(GROUPS, 200)
    ours, our_samples = estimate(label, scores, group, GROUPS, draws)
    theirs, their_samples = estimate(label, scores * 0.99, group, GROUPS, draws)

    found = intervals.differences(ours, theirs, our_samples, their_samples, 0.95)
    alone = intervals.estimates(ours, our_samples, 0.95)

    width = found["log_loss"].high - found["log_loss"].low
    assert width < 0.2 * (alone["log_loss"].high - alone["log_loss"].low)
    assert found["auc"].value == 0


def test_an_interval_covers_the_truth_about_as_often_as_it_says():
    """200 experiments with a known accuracy; 90 % intervals miss it in about 10 % of them."""
    misses = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        right = np.repeat(np.clip(random.normal(0.7, 0.1, 40), 0, 1), 25)
        label = (random.random(1000) < right).astype(float)
        group = np.repeat(np.arange(40), 25)
        draws = intervals.draw(40, 100)
        values, sampled = estimate(label, np.full(1000, 0.9), group, 40, draws)
        found = intervals.estimates(values, sampled, 0.9)["accuracy"]
        misses += not found.low <= 0.7 <= found.high
    assert 10 <= misses <= 36


def calibrated(seed: int, rows: int = 300):
    """Probabilities that are what they say, but for what they say of the middle."""
    random = np.random.default_rng(seed)
    scores = random.beta(2, 2, rows)
    label = (random.random(rows) < scores + 0.05 * np.sin(2 * np.pi * scores)).astype(float)
    return label, scores, np.arange(rows)


def test_the_interval_of_the_calibration_error_holds_its_value_and_the_truth():
    """Resamples are further off than the rows are: a percentile interval held the truth never."""
    truth, above, held, rows = 0.033, 0, 0, 300
    draws = intervals.draw(rows, 100)
    for seed in range(30):
        values, sampled = estimate(*calibrated(seed), rows, draws)
        value = values["calibration_error"]
        above += np.quantile(sampled["calibration_error"], 0.025) > value
        found = intervals.estimates(values, sampled, 0.95)["calibration_error"]
        assert 0 <= found.low <= value <= found.high <= 1
        held += found.low <= truth <= found.high
    assert above
    assert held >= 20


def test_the_difference_of_calibration_errors_is_in_its_interval_and_other_metrics_stay():
    rows = 300
    draws = intervals.draw(rows, 100)
    for seed in range(5):
        label, scores, group = calibrated(seed, rows)
        ours, our_samples = estimate(label, scores, group, rows, draws)
        theirs, their_samples = estimate(label, 0.5 + scores / 2, group, rows, draws)
        found = intervals.differences(ours, theirs, our_samples, their_samples, 0.95)
        each = our_samples["calibration_error"] - their_samples["calibration_error"]
        low, high = np.quantile(each, [0.025, 0.975])
        one = found["calibration_error"]
        assert one.low == pytest.approx(min(2 * one.value - high, one.value))
        assert one.high == pytest.approx(max(2 * one.value - low, one.value))
        brier = np.quantile(our_samples["brier"] - their_samples["brier"], [0.025, 0.975])
        assert [found["brier"].low, found["brier"].high] == pytest.approx(brier)


def test_the_calibration_error_of_no_rows_has_no_interval():
    nothing = {"calibration_error": float("nan")}
    found = intervals.estimates(nothing, {"calibration_error": np.full(9, np.nan)}, 0.95)
    one = found["calibration_error"]
    assert np.isnan([one.value, one.low, one.high]).all()
