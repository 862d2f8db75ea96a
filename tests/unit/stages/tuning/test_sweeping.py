"""A sweep makes the trials that are missing, and hands each in; only if all fail it fails."""

import json

import pytest

from raypipe.config.tuning import ChoicesConfig, RangeConfig
from raypipe.engine.context import within
from raypipe.errors import StepFailed
from raypipe.stages.tuning.sweeping import Sweep
from raypipe.stages.tuning.trying import Work
from raypipe.values.tuning import Trial

RATE, DEPTH = "training.learning_rate", "training.epochs"
FEW = {DEPTH: ChoicesConfig(choices=(1, 2))}


@pytest.fixture
def handed_in(context):
    """What was handed in, by place."""
    taken: list[tuple[int, Trial]] = []
    with within(context, lambda place, value: taken.append((place, value))):
        yield taken


@pytest.fixture
def begin(search, written, context):
    """Makes a sweep."""

    def begin(numbers, known=(), space=None, earlier=(), **other):
        work = Work(
            written=written,
            search=search(space, **other),
            rows=(),
            context=context,
        )
        known = {trial.number: trial for trial in known}
        return Sweep(work=work, numbers=tuple(numbers), known=known, earlier=tuple(earlier))

    return begin


def ended(asked, loss=1.0, failed=""):
    metrics = {} if failed else {"loss": loss}
    return Trial(number=asked.number, chosen=asked.chosen, metrics=metrics, failed=failed)


def make_all(sweep, loss=lambda asked: 1.0):
    asked_for = []
    while (asked := sweep.next()) is not None:
        asked_for.append(asked)
        sweep.record(ended(asked, loss(asked)))
    return asked_for


def test_why_earlier_trials_cannot_be_used_is_told_with_what_differs(begin, capsys):
    tried = [
        Trial(number=0, chosen={DEPTH: 1}, metrics={"loss": 1.0}),
        Trial(number=1, chosen={DEPTH: 9}, metrics={"loss": 1.0}),
        Trial(number=2, chosen={DEPTH: 8}, metrics={"loss": 1.0}),
        Trial(number=3, chosen={DEPTH: 2}, metrics={}, failed="too deep"),
    ]
    sweep = begin([0], space=FEW, earlier=tried)
    assert sweep.earlier == (tried[0],)
    assert capsys.readouterr().out == (
        "learns from 1 trial of earlier sweeps; 3 more cannot be used: "
        f"{DEPTH} outside the space (2), failed (1)\n"
    )


# --- which trials -------------------------------------------------------------------------------


def test_each_number_is_asked_for_once_with_its_place_in_the_call(begin, handed_in):
    sweep = begin([3, 5, 4])
    made = make_all(sweep)
    assert [(asked.number, asked.place) for asked in made] == [(3, 0), (5, 1), (4, 2)]
    assert [trial.number for trial in sweep.outcome()] == [3, 5, 4]
    assert [(place, trial.number) for place, trial in handed_in] == [(0, 3), (1, 5), (2, 4)]
    assert sweep.left == 0


def test_what_is_kept_is_gone_by(begin, handed_in):
    whole = begin(range(6), sampler="tpe")
    make_all(whole, lambda asked: asked.chosen[RATE])
    kept = [whole.known[number] for number in range(4)]
    rest = begin([4, 5], kept, sampler="tpe")
    make_all(rest, lambda asked: asked.chosen[RATE])
    assert [one.chosen for one in rest.outcome()] == [one.chosen for one in whole.outcome()[4:]]


def test_settings_that_were_tried_are_not_tried_again(begin, handed_in):
    sweep = begin(range(4), space=FEW)
    made = make_all(sweep, lambda asked: asked.chosen[DEPTH] / 10)
    assert len(made) == 2
    trials = sweep.outcome()
    assert len(trials) == 4
    for again in trials[2:]:
        first = trials[again.like]
        assert (again.chosen, again.metrics) == (first.chosen, first.metrics)
        assert (first.like, again.seconds, again.history) == (None, 0.0, ())
    assert len(handed_in) == 4


def test_what_is_like_a_kept_trial_is_not_tried_either(begin, handed_in):
    kept = [Trial(number=n, chosen={DEPTH: n + 1}, metrics={"loss": 0.5}) for n in range(2)]
    sweep = begin([2], kept, space=FEW)
    assert make_all(sweep) == []
    (trial,) = sweep.outcome()
    assert trial.like in {0, 1}


def test_what_is_like_a_trial_under_way_waits_for_it(begin, handed_in):
    sweep = begin(range(3), space=FEW)
    first, second = sweep.next(), sweep.next()
    assert sweep.next() is None
    assert sweep.left == 1
    sweep.record(ended(first))
    sweep.record(ended(second))
    assert sweep.next() is None
    assert (sweep.left, len(sweep.outcome())) == (0, 3)


# --- what comes of them -------------------------------------------------------------------------


def test_a_failed_trial_is_held_back_until_one_comes_to_something(begin, handed_in):
    sweep = begin(range(3))
    sweep.record(ended(sweep.next(), failed="too wide"))
    assert handed_in == []
    sweep.record(ended(sweep.next()))
    assert [trial.number for _, trial in handed_in] == [1, 0]
    sweep.record(ended(sweep.next(), failed="too deep"))
    assert [trial.number for _, trial in handed_in] == [1, 0, 2]
    assert [trial.failed for trial in sweep.outcome()] == ["too wide", "", "too deep"]


def test_where_all_fail_the_first_reason_is_told_and_nothing_is_kept(begin, handed_in):
    sweep = begin(range(3))
    asked = [sweep.next() for _ in range(3)]
    for place in (2, 0, 1):
        sweep.record(ended(asked[place], failed=f"no {place}"))
    with pytest.raises(StepFailed, match=r"none of 3 trials .* the first said: no 0") as error:
        sweep.outcome()
    assert error.value.kind == "SweepFailed"
    assert error.value.hint
    assert handed_in == []


def test_new_trials_that_fail_are_kept_beside_an_earlier_one_that_did_not(begin, handed_in):
    kept = Trial(number=0, chosen={RATE: 0.5}, metrics={"loss": 0.5})
    sweep = begin([1], [kept], space={RATE: RangeConfig(low=0.1, high=1.0)})
    sweep.record(ended(sweep.next(), failed="too wide"))
    assert [trial.failed for trial in sweep.outcome()] == ["too wide"]
    assert len(handed_in) == 1


def test_how_far_it_is_and_what_did_best_is_told(begin, handed_in, context):
    sweep = begin(range(3))
    sweep.tell()
    make_all(sweep, lambda asked: 0.5 - asked.number / 10)
    said = [json.loads(line) for line in context.events.read_text().splitlines()]
    assert [(one["done"], one["total"], one["what"]) for one in said] == [
        (0, 3, "trials"),
        (1, 3, "trials, best loss 0.5"),
        (2, 3, "trials, best loss 0.4"),
        (3, 3, "trials, best loss 0.3"),
    ]
