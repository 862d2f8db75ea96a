"""What a fitted group needs of a column, from its profile alone."""

import math

import numpy as np
import pyarrow as pa
import pytest

from raypipe.stages.preprocessing.statistics import (
    changed_moments,
    deviation,
    logged,
    mean,
    median,
    vocabulary,
)
from raypipe.values.profile import Profile, profile_table


def log_moments(column, fill):
    """Moments of log(1 + x)."""
    return changed_moments(column, fill, logged)


FEW = [3.0, 1.0, 2.0, 2.0, None, 10.0, float("nan"), float("inf")]
MANY = np.random.default_rng(0).lognormal(2, 1, 5000)


def column(values):
    """Profile one column."""
    return profile_table(pa.table({"x": values})).columns["x"]


def test_mean_and_deviation_are_of_the_finite_numbers():
    finite = [3.0, 1.0, 2.0, 2.0, 10.0]
    assert mean(column(FEW)) == pytest.approx(np.mean(finite))
    assert deviation(column(FEW)) == pytest.approx(np.std(finite))


def test_a_median_is_exact_while_the_values_are_few():
    assert median(column(FEW)) == 2.0
    assert median(column([1, 2, 3, 10])) == 2.5
    assert median(column([True, False, True])) == 1.0


def test_a_median_of_many_values_is_off_by_one_percent_at_most():
    assert median(column(MANY)) == pytest.approx(np.median(MANY), rel=0.01)


def test_moments_of_the_logarithm_are_exact_while_the_values_are_few():
    middle, spread = log_moments(column([0, -5, 3, 8]), 0.0)
    logs = np.log1p([0, 0, 3, 8])
    assert (middle, spread) == (pytest.approx(logs.mean()), pytest.approx(logs.std()))


def test_moments_of_the_logarithm_of_many_values_are_near():
    middle, spread = log_moments(column(MANY), 0.0)
    logs = np.log1p(MANY)
    assert middle == pytest.approx(logs.mean(), rel=0.002)
    assert spread == pytest.approx(logs.std(), rel=0.002)


def test_a_constant_divides_by_one():
    assert deviation(column([4.0] * 5)) == 1.0
    assert log_moments(column([4.0] * 5), 0.0) == (pytest.approx(math.log(5)), 1.0)


def test_a_column_without_values_stands_for_itself():
    nothing = column(pa.nulls(3, pa.float64()))
    assert (mean(nothing), deviation(nothing), median(nothing)) == (0.0, 1.0, 0.0)
    assert log_moments(nothing, 0.0) == (0.0, 1.0)


def test_a_vocabulary_is_by_frequency_then_by_text():
    profile = profile_table(pa.table({"x": ["b", "a", "c", "c", "b", None, "d", "c"]}))
    assert vocabulary(profile, "x", limit=10) == ("c", "b", "a", "d")
    assert vocabulary(profile, "x", limit=2) == ("c", "b")
    assert vocabulary(profile, "x", limit=10, min_count=2) == ("c", "b")
    assert vocabulary(profile, "nothing", limit=10) == ()


def test_a_vocabulary_of_whole_numbers_is_their_canonical_text():
    profile = profile_table(pa.table({"x": [5, 5, -3]}))
    assert vocabulary(profile, "x", limit=10) == ("5", "-3")


def test_a_vocabulary_of_very_many_values_holds_the_frequent_ones_of_the_sample():
    """A value that is every tenth row is surely in it, and is known to be frequent."""
    texts = [f"t{i}" if i % 10 else "often" for i in range(20_000)]
    profile = profile_table(pa.table({"x": texts, "id": range(20_000)}))
    assert profile.columns["x"].values is None
    assert vocabulary(profile, "x", limit=5)[0] == "often"
    assert vocabulary(profile, "x", limit=5, min_count=100) == ("often",)


def test_statistics_do_not_depend_on_how_rows_lie_in_shards():
    whole = [float(i % 37) for i in range(500)]
    profile = profile_table(pa.table({"x": whole}))
    parts = [profile_table(pa.table({"x": part})) for part in (whole[300:], whole[:300])]
    merged = Profile.merge_all(parts)
    for statistic in (median, lambda c: log_moments(c, 0.0)):
        assert statistic(merged.columns["x"]) == statistic(profile.columns["x"])
    assert vocabulary(merged, "x", limit=9) == vocabulary(profile, "x", limit=9)
