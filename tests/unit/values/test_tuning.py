"""Trials are ranked by the metric of their search."""

import pytest

from raypipe.values.tuning import Search, Trial, ranked


def search(metric):
    return Search(space={}, sampler="tpe", seed=0, metric=metric, epochs=None)


def trial(number, value=None):
    metrics = {} if value is None else {"loss": value, "auc": value, "rmse": value, "r2": value}
    return Trial(number=number, chosen={}, metrics=metrics, failed="" if metrics else "no")


@pytest.mark.parametrize(
    ("metric", "order"),
    [("loss", [3, 0, 2]), ("rmse", [3, 0, 2]), ("auc", [2, 0, 3]), ("r2", [2, 0, 3])],
)
def test_the_best_comes_first_and_what_failed_not_at_all(metric, order):
    trials = [trial(0, 0.5), trial(1), trial(2, 0.9), trial(3, 0.1)]
    assert [one.number for one in ranked(trials, search(metric))] == order


@pytest.mark.parametrize("metric", ["loss", "auc"])
def test_of_equal_ones_the_first_is_better(metric):
    trials = [trial(number, 0.5) for number in (2, 0, 1)]
    assert [one.number for one in ranked(trials, search(metric))] == [0, 1, 2]


def test_seconds_are_no_part_of_what_a_trial_is():
    from raypipe.store.folder import digest_path
    from raypipe.values.codec import TreeCodec

    codec = TreeCodec(digest_path)
    one, other = (
        Trial(number=0, chosen={}, metrics={"loss": 0.5}, seconds=seconds) for seconds in (1.0, 2.0)
    )
    assert codec.encode(one).digest == codec.encode(other).digest
