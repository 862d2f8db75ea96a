"""When training stops, which epochs were best, and how fast it learns at each step."""

import pytest

from raypipe.model.schedule import best_epochs, is_over, learning_rate


def history(*losses):
    return [{"epoch": float(i), "loss": loss} for i, loss in enumerate(losses, start=1)]


def test_the_learning_rate_falls_from_its_largest_to_zero():
    rates = [learning_rate(0.1, step, 10) for step in range(11)]

    assert rates[0] == 0.1
    assert rates[5] == pytest.approx(0.05)
    assert rates[10] == 0.0
    assert rates == sorted(rates, reverse=True)


def test_the_earlier_of_two_epochs_with_the_same_loss_is_better():
    assert best_epochs(history(0.5, 0.3, 0.4, 0.3), 3) == [2, 4, 3]


@pytest.mark.parametrize(
    ("losses", "over"),
    [
        ((), False),
        ((0.5, 0.4, 0.3), False),
        ((0.5, 0.4, 0.6), False),
        ((0.5, 0.4, 0.6, 0.4), True),
        ((0.5, 0.6, 0.4), False),
        ((0.9, 0.8, 0.7, 0.6, 0.5), True),
    ],
)
def test_training_is_over_after_all_epochs_or_when_patience_ends(losses, over):
    assert is_over(history(*losses), epochs=5, patience=2) is over


def test_without_patience_only_the_epochs_count():
    assert not is_over(history(0.1, 0.2, 0.3, 0.4), epochs=5, patience=None)
