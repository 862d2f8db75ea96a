"""Bounds of what chance does: held against draws."""

import numpy as np
import pytest

from raypipe.values.chance import (
    beyond_at_most,
    chi_square_at_most,
    differ,
    gap_at_most,
    share_at_least,
    share_at_most,
)


@pytest.mark.parametrize("freedom", [1, 3, 10, 100])
def test_a_chi_square_is_bounded_as_it_is_drawn(freedom):
    drawn = np.random.default_rng(0).chisquare(freedom, 200_000)
    assert np.quantile(drawn, 0.99) == pytest.approx(chi_square_at_most(freedom, 0.01), rel=0.03)


def test_the_ends_of_a_share_hold_the_truth_nearly_always():
    draw = np.random.default_rng(0)
    for truth in (0.01, 0.2, 0.5):
        counts = draw.binomial(300, truth, 2_000)
        inside = [share_at_least(c, 300) <= truth <= share_at_most(c, 300) for c in counts]
        assert np.mean(inside) > 0.98
    assert share_at_least(0, 10) == 0
    assert share_at_most(10, 10) == 1


def test_new_values_beyond_the_accepted_range_are_as_many_as_reckoned():
    draw = np.random.default_rng(0)
    allowed = beyond_at_most(100, 100, 0.01)
    beyond = [(draw.normal(size=100) > draw.normal(size=100).max()).sum() for _ in range(5_000)]
    assert np.mean(np.array(beyond) > allowed) < 0.012
    assert np.mean(np.array(beyond) >= allowed) > 0.008


def test_a_gap_of_two_samples_rarely_exceeds_its_bound():
    draw = np.random.default_rng(0)
    grid = np.linspace(-3, 3, 200)
    gaps = []
    for _ in range(1_000):
        a, b = np.sort(draw.normal(size=200)), np.sort(draw.normal(size=300))
        apart = np.searchsorted(a, grid) / 200 - np.searchsorted(b, grid) / 300
        gaps.append(np.abs(apart).max())
    assert np.mean(np.array(gaps) > gap_at_most(200, 300, 0.05)) < 0.07


def test_shares_differ_only_where_chance_does_not_explain_it():
    assert differ(50, 100, 10, 100)
    assert not differ(12, 100, 10, 100)
    assert not differ(10, 100, 50, 100)
    assert not differ(1, 0, 1, 5)
