"""Bins hold what there is, where it is, whether it was counted, put in buckets or sampled."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from raypipe.stages.validation.report.distribution import BINS, bars, histogram, is_counted
from raypipe.stages.validation.report.numbers import quantile_of
from raypipe.values.columns import ColumnProfile
from raypipe.values.profile import profile_table

RANDOM = np.random.default_rng(0)


def column(values: object) -> ColumnProfile:
    return profile_table(pa.table({"x": values})).columns["x"]


def exact(values: np.ndarray, bins: int) -> np.ndarray:
    edges = np.linspace(values.min(), values.max(), bins + 1)
    return np.histogram(values, edges)[0] / len(values)


@pytest.mark.parametrize(
    "values",
    [
        RANDOM.normal(0, 1, 20_000),
        RANDOM.normal(1e6, 1e5, 20_000),
        -RANDOM.gamma(9, 5, 20_000),
        RANDOM.uniform(0, 1, 800),
    ],
    ids=["normal", "large", "negative", "few"],
)
def test_bins_are_those_of_the_values_themselves(values):
    found = histogram(column(values), None)
    assert len(found.now) == BINS
    assert np.abs(np.array(found.now) - exact(values, BINS)).max() < 0.006
    assert sum(found.now) == pytest.approx(1)
    assert not found.sampled


def test_whole_numbers_share_bins_of_as_many_numbers_each():
    found = histogram(column(np.repeat(np.arange(40), 50)), None)
    assert found.now == pytest.approx([0.05] * 20)


def test_moments_are_told_by_the_sample_since_buckets_of_seconds_are_years():
    start = datetime(2024, 1, 1, tzinfo=UTC)
    moments = pa.array([start + timedelta(minutes=7 * n) for n in range(20_000)])
    found = histogram(column(moments), None)
    assert found.sampled
    assert found.low.startswith("2024-01-01")
    assert max(found.now) < 3 / BINS
    middle = quantile_of(column(moments), 0.5)
    assert abs(middle - (start + timedelta(minutes=70_000)).timestamp()) < 86_400 * 5


def test_dates_that_are_counted_lie_where_they_are():
    days = np.repeat(np.arange("2024-01-01", "2024-03-01", dtype="datetime64[D]"), 20)
    found = histogram(column(days), None)
    assert (found.low, found.high) == ("2024-01-01", "2024-02-29")
    assert not found.sampled
    assert max(found.now) < 0.05


def test_bins_of_both_have_one_scale_and_each_sums_to_one():
    found = histogram(column(RANDOM.normal(5, 1, 5_000)), column(RANDOM.normal(0, 1, 9_000)))
    assert sum(found.now) == pytest.approx(1)
    assert sum(found.before) == pytest.approx(1)
    assert np.argmax(found.now) > np.argmax(found.before) + BINS / 4


def test_values_far_out_do_not_flatten_the_rest_and_are_told_of():
    """So many that the sample, which tells of numbers that lie so far apart, has some for sure."""
    values = np.append(RANDOM.normal(0, 1, 9_900), 1e9 + np.arange(100))
    found = histogram(column(values), None)
    assert max(found.now) < 0.25
    assert 0.002 <= found.outside < 0.03


def test_bins_of_steep_numbers_grow():
    found = histogram(column(np.exp(RANDOM.normal(0, 3, 9_000))), None)
    assert found.grows
    assert max(found.now) < 0.2


@pytest.mark.parametrize(
    "values",
    [
        [float("nan")] * 20,
        [None] * 20,
        [float("inf")] * 9,
        ["a"] * 9,
        [],
        [[1.0]] * 9,
    ],
    ids=["nan", "null", "infinite", "text", "empty", "list"],
)
def test_what_has_no_finite_numbers_has_no_bins(values):
    assert histogram(column(pa.array(values)), None) is None


@pytest.mark.parametrize(
    "values",
    [
        [7.0] * 50,
        [1.7976931348623157e308, -1.7976931348623157e308] * 20,
        [5e-324, 0.0] * 20,
        [5e-324 * n for n in range(100)],
        [2**53 + n for n in range(50)],
        [1.7e308 * n / 5_000 for n in range(-5_000, 5_000)],
        [-0.0] * 5,
    ],
    ids=["one", "largest", "smallest", "small", "whole", "wide", "zero"],
)
def test_numbers_at_the_ends_of_their_range_have_bins_that_hold_them_all(values):
    found = histogram(column(pa.array(values)), None)
    assert sum(found.now) == pytest.approx(1)


def test_bars_show_what_is_gone_and_what_came_and_put_the_rest_together():
    old = column(["gone"] * 50 + ["stays"] * 50)
    new = column(["came"] * 50 + ["stays"] * 30 + [f"rare {n % 20}" for n in range(40)])
    found = {bar.value: bar for bar in bars(new, old)}
    assert (found["gone"].now, found["gone"].before) == (0.0, 0.5)
    assert (found["came"].before, found["came"].rows) == (0.0, 50)
    rest = next(bar for bar in found.values() if bar.rest)
    assert sum(bar.now for bar in found.values()) == pytest.approx(1)
    assert rest.value == "11 other values"


def test_bars_of_numbers_stand_in_the_order_of_the_numbers():
    found = bars(column(pa.array([10, 9, 2, 2, 2, -1])), None)
    assert [bar.value for bar in found] == ["-1", "2", "9", "10"]


def test_values_of_which_none_comes_twice_are_no_bars():
    assert bars(column([f"text {n}" for n in range(50)]), None) == ()
    assert is_counted(column([True, False]))
    assert not is_counted(column(np.arange(50.0)))
