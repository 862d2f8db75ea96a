"""A trial ends early when it is not among the best of those that came so far, and not otherwise."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raypipe.config.tuning import HalvingConfig
from raypipe.stages.tuning.halving import bar_of, bars, best_by, falls_short
from raypipe.values.tuning import Trial, ranked

VALUES = st.lists(st.floats(0, 1), max_size=30)


def trial(number, losses, **more):
    history = tuple({"epoch": float(n), "loss": loss} for n, loss in enumerate(losses, 1))
    metrics = {"loss": min(losses)}
    return Trial(number=number, chosen={"n": number}, metrics=metrics, history=history, **more)


@pytest.mark.parametrize(
    ("first", "factor", "epochs", "rungs"),
    [(1, 3, 9, (1, 3)), (2, 2, 9, (2, 4, 8)), (1, 3, 1, ()), (5, 3, 5, ()), (4, 4, 17, (4, 16))],
)
def test_rungs_are_before_the_end(first, factor, epochs, rungs):
    assert HalvingConfig(first=first, factor=factor).rungs(epochs) == rungs


def test_the_first_trials_are_held_to_nothing(search):
    asked = search(halving=HalvingConfig(first=1, factor=3))
    known = [trial(0, [0.5, 0.4])]
    assert bars(asked, known, 9) == {}
    assert bars(asked, [*known, trial(1, [0.7, 0.6])], 9) == {1: 0.5}


def test_a_trial_ends_at_the_rung_where_others_did_better(search):
    asked = search(halving=HalvingConfig(first=2, factor=2))
    held_to = bars(asked, [trial(0, [0.5, 0.4, 0.3]), trial(1, [0.6, 0.5, 0.4])], 8)
    assert held_to == {2: 0.4}
    worse = trial(2, [0.9, 0.8, 0.1]).history
    assert [falls_short(worse[:n], held_to, asked) for n in (1, 2, 3)] == [False, True, False]
    assert not falls_short(trial(2, [0.9, 0.4]).history, held_to, asked)


def test_what_is_no_number_ends_at_its_first_rung(search):
    asked = search(halving=HalvingConfig())
    assert falls_short([{"epoch": 1.0, "loss": math.nan}], {1: 0.5}, asked)
    assert best_by([{"loss": math.nan}, {"loss": 0.2}], 2, asked) == 0.2


def test_one_that_ended_early_is_not_the_best_while_another_came_to_its_end(search):
    early, whole = trial(0, [0.1], stopped=1), trial(1, [0.5, 0.4])
    assert ranked([early, whole], search()) == [whole, early]


@given(values=VALUES, factor=st.integers(2, 5), more=st.booleans(), value=st.floats(0, 1))
def test_a_value_is_above_the_bar_exactly_if_it_is_among_the_best_one_of_factor(
    values, factor, more, value
):
    bar = bar_of(values, HalvingConfig(factor=factor), more=more)
    better = sum(other > value if more else other < value for other in values)
    kept = (len(values) + 1) // factor
    if bar is None:
        assert kept < 1
    else:
        goes_on = value >= bar if more else value <= bar
        assert goes_on == (better < kept)
