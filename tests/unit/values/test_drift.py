"""How far apart two profiles of one column are."""

import numpy as np
import pyarrow as pa
import pytest

from raypipe.values.columns import ColumnProfile
from raypipe.values.drift import column_distance, divergence, drift_by_column
from raypipe.values.profile import profile_table


def column(values: object) -> ColumnProfile:
    """Profile one column."""
    return profile_table(pa.table({"x": values})).columns["x"]


def test_the_same_rows_are_no_distance_apart():
    values = list(range(50)) * 20
    assert column_distance(column(values), column(values)) == 0


def test_rows_that_share_no_value_are_one_apart():
    assert column_distance(column(["a"] * 500), column(["b"] * 500)) == pytest.approx(1, abs=0.01)


def test_half_the_rows_in_another_place_is_a_known_distance():
    """Against (1, 0), (1/2, 1/2) has 0.311 bits."""
    found = divergence(np.array([10**6, 0]), np.array([5 * 10**5, 5 * 10**5]))
    assert found == pytest.approx(0.3113, abs=0.0001)


def test_distance_goes_both_ways():
    a, b = column(["a", "b", "b"] * 50), column(["a", "c"] * 50)
    assert column_distance(a, b) == column_distance(b, a)


def test_two_small_samples_of_one_distribution_raise_no_alarm():
    """Without taking off what chance makes of it they would lie 0.3 apart."""
    draw = np.random.default_rng(0).integers(0, 200, 600)
    assert column_distance(column(draw[:300]), column(draw[300:])) < 0.1


def test_numbers_of_very_many_values_are_compared_in_buckets():
    draw = np.random.default_rng(0).normal(100, 10, 4000)
    same = column_distance(column(draw[:2000]), column(draw[2000:]))
    moved = column_distance(column(draw[:2000]), column(draw[2000:] + 50))
    assert same < 0.02
    assert moved > 0.9


def test_a_column_of_few_values_is_compared_with_one_of_many():
    few, many = np.repeat([1.0, 2.0], 500), np.random.default_rng(0).uniform(1, 2, 2000)
    assert column_distance(column(few), column(many)) > 0.5


def test_nothing_is_said_where_nothing_can_be_compared():
    many_texts = [f"t{i}" for i in range(1500)]
    assert column_distance(column(many_texts), column(many_texts)) is None
    nulls = pa.array([None, None], pa.int64())
    assert column_distance(column(nulls), column([1, 2])) is None


def test_only_columns_that_both_have_are_compared():
    a = profile_table(pa.table({"x": [1, 2], "y": [1, 2]}))
    b = profile_table(pa.table({"x": [1, 2], "z": [1, 2]}))
    assert list(drift_by_column(a, b)) == ["x"]


def test_a_small_sample_of_numbers_that_hardly_repeat_is_compared_all_the_same():
    """Value by value they would share nothing, whether they moved or not."""
    random = np.random.default_rng(0)
    accepted, new = random.gamma(2, 5, 900), random.gamma(2, 5, 150)
    assert column_distance(column(new), column(accepted)) < 0.05
    assert column_distance(column(new + 60), column(accepted)) > 0.6
