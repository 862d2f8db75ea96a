"""Sketches keep their error bounds and merge exactly."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.values.hashing import value_hash
from raypipe.values.sketches import Buckets, Distinct

numbers = st.lists(
    st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-50, 50).map(float)),
    max_size=60,
)


def buckets(values: list[float]) -> Buckets:
    array = np.array(values, dtype=np.float64)
    return Buckets.of(array, np.ones(len(array), np.int64))


def distinct(values: list[int]) -> Distinct:
    return Distinct.of(value_hash(pa.array(values, pa.int64())))


@settings(deadline=None)
@given(st.floats(min_value=1e-300, max_value=1e300), st.sampled_from([-1, 1]))
def test_a_bucket_stands_for_its_values_to_within_one_percent(value, sign):
    assert buckets([sign * value]).values[0] == pytest.approx(sign * value, rel=0.01)


@settings(deadline=None)
@given(numbers, numbers)
def test_buckets_of_a_whole_are_the_merged_buckets_of_its_parts(a, b):
    whole, merged = buckets(a + b), Buckets.merge_all([buckets(a), buckets(b)])
    assert whole.keys.tolist() == merged.keys.tolist()
    assert whole.counts.tolist() == merged.counts.tolist()


@settings(deadline=None)
@given(numbers)
def test_buckets_stand_in_the_order_of_their_values(values):
    held = buckets(values)
    assert held.total == len(values)
    assert (np.diff(held.values) > 0).all()


def test_quantiles_are_within_one_percent():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.lognormal(3, 2, 5000), -rng.lognormal(1, 1, 3000), np.zeros(99)])
    held = Buckets.of(values, np.ones(len(values), np.int64))
    for share in (0.0, 0.01, 0.25, 0.375, 0.5, 0.9, 0.999, 1.0):
        exact = np.quantile(values, share, method="lower")
        assert held.quantile(share) == pytest.approx(exact, rel=0.01)


def test_no_values_have_no_quantile():
    assert buckets([]).quantile(0.5) is None


@pytest.mark.parametrize("count", [0, 1, 100, 1_000, 10_000, 300_000])
def test_the_number_of_distinct_values_is_estimated_to_within_five_percent(count):
    assert distinct(list(range(count))).estimate == pytest.approx(count, rel=0.05)


def test_repeated_values_count_once():
    assert distinct([1, 2, 3] * 1000).estimate == 3


@settings(deadline=None)
@given(st.lists(st.integers(), max_size=50), st.integers(0, 3000), st.integers(0, 3000))
def test_sketches_of_a_whole_are_the_merged_sketches_of_its_parts(some, many, more):
    a, b = [n % 2**63 for n in some] + list(range(many)), list(range(1000, 1000 + more))
    whole, merged = distinct(a + b), Distinct.merge_all([distinct(a), distinct(b)])
    assert whole.ranks.tolist() == merged.ranks.tolist()
    assert (whole.places is None) == (merged.places is None)
    assert whole.registers.tolist() == merged.registers.tolist()
