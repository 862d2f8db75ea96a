"""A sweep says what mattered, the same each time, and its report needs nothing else."""

import math
from dataclasses import replace

import pytest

from raypipe.config.tuning import ChoicesConfig, RangeConfig
from raypipe.stages.tuning.importance import best_so_far, importance
from raypipe.stages.tuning.report import render, render_part
from raypipe.values.tuning import Trial
from tests.hostile import QUOTES, SCRIPT

RATE, WIDTH = "training.learning_rate", "training.model.hidden"
SPACE = {
    RATE: RangeConfig(low=0.001, high=0.1, log=True),
    WIDTH: ChoicesConfig(choices=([4], [8])),
}


@pytest.fixture
def trials():
    """Twelve trials whose loss follows from the rate alone."""
    rates = [0.001 * 1.5**n for n in range(12)]
    return [
        Trial(
            number=n,
            chosen={RATE: rate, WIDTH: [4] if n % 2 else [8]},
            metrics={"loss": abs(math.log10(rate) + 2)},
            history=(
                {"epoch": 1.0, "loss": 2.0},
                {"epoch": 2.0, "loss": abs(math.log10(rate) + 2)},
            ),
        )
        for n, rate in enumerate(rates)
    ]


def test_what_the_loss_follows_from_mattered_and_it_is_said_the_same_each_time(search, trials):
    found = importance(trials, search(SPACE))
    assert found[RATE] > 0.8
    assert sum(found.values()) == pytest.approx(1)
    assert importance(trials, search(SPACE)) == found


def test_of_few_trials_or_of_equals_nothing_is_said(search, trials):
    assert importance(trials[:3], search(SPACE)) == {}
    assert importance([replace(one, metrics={"loss": 1.0}) for one in trials], search(SPACE)) == {}
    assert importance([replace(one, stopped=1) for one in trials], search(SPACE)) == {}


def test_the_best_so_far_is_of_trials_that_came_to_their_end(search):
    def one(number, loss, **more):
        metrics = {} if "failed" in more else {"loss": loss}
        return Trial(number=number, chosen={}, metrics=metrics, **more)

    tried = [one(0, 0.5), one(1, 0.0, failed="too wide"), one(2, 0.1, stopped=1), one(3, 0.4)]
    best = [row["best"] for row in best_so_far(tried, search())]
    assert best == [0.5, 0.5, 0.5, 0.4]


@pytest.mark.slow
def test_the_report_needs_nothing_else_and_escapes_what_it_is_given(search, trials):
    trials[3] = replace(trials[3], failed=QUOTES, metrics={}, history=())
    page = render(trials, search(SPACE), SCRIPT)
    assert "<script" not in page
    assert "://" not in page.replace("http://www.w3.org/", "")
    assert page.count("<svg") == 4
    assert RATE in page


@pytest.mark.slow
def test_a_part_says_what_the_page_says_and_says_so_of_trials_that_all_failed(search, trials):
    trials[3] = replace(trials[3], failed=SCRIPT, metrics={}, history=())
    page, part = render(trials, search(SPACE), "wind"), render_part(trials, search(SPACE))
    assert part.replace("<h3>", "<h2>").replace("</h3>", "</h2>").strip() in page
    assert "<script" not in part
    none = [replace(one, failed="too wide", metrics={}, history=()) for one in trials]
    assert render_part(none, search(SPACE)).count("too wide") == len(none)
