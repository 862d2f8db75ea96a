"""What is tried next follows from the search, a number and what is known, and from nothing else."""

import math
import statistics

import optuna
import pytest

from raypipe.config.tuning import ChoicesConfig, RangeConfig, with_chosen
from raypipe.stages.tuning.suggesting import as_written, identity, misfit, suggest
from raypipe.values.tuning import Trial

RATE, WIDTH, DEPTH = "training.learning_rate", "training.model.hidden", "training.epochs"


def came_to(number, chosen, value, metric="loss"):
    return Trial(number=number, chosen=chosen, metrics={metric: value})


def sequence(search, written, count, value=lambda chosen: 1.0):
    """Make so many trials, each of which comes to `value` of its settings."""
    known = {}
    for number in range(count):
        chosen = suggest(search, written, number, known, {})
        known[number] = came_to(number, chosen, value(chosen), search.metric)
    return [trial.chosen for trial in known.values()]


# --- the first ----------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_the_first_trial_tries_the_settings_as_they_are_written(search, written, sampler):
    first = suggest(search(sampler=sampler), written, 0, {}, {})
    assert first == {RATE: 0.01, WIDTH: [8]}


@pytest.mark.parametrize(
    "space",
    [
        {RATE: RangeConfig(low=0.1, high=0.2)},
        {RATE: RangeConfig(low=0.001, high=0.1, step=0.002)},
        {WIDTH: ChoicesConfig(choices=([4], [16]))},
        {DEPTH: RangeConfig(low=3, high=9)},
        {"training.patience": RangeConfig(low=1, high=9)},
        {"training.model.options.width": ChoicesConfig(choices=(1, 2))},
    ],
    ids=["below", "between steps", "no choice", "below whole", "none", "no such option"],
)
def test_what_is_written_outside_the_space_is_not_tried(search, written, space):
    assert as_written(search(space), written) is None


@pytest.mark.parametrize(
    ("dimension", "key", "found"),
    [
        (RangeConfig(low=0.01, high=0.1), RATE, 0.01),
        (RangeConfig(low=0.001, high=0.01), RATE, 0.01),
        (RangeConfig(low=0.001, high=0.1, step=0.003), RATE, 0.01),
        (RangeConfig(low=0.001, high=0.01, step=0.003), RATE, 0.01),
        (RangeConfig(low=1, high=10**15), DEPTH, 2),
        (RangeConfig(low=2, high=8, step=2), DEPTH, 2),
        (ChoicesConfig(choices=(3, 2)), DEPTH, 2),
    ],
)
def test_what_is_written_is_found_within_a_space(search, written, dimension, key, found):
    assert as_written(search({key: dimension}), written) == {key: found}


def test_a_section_that_comes_to_what_is_written_is_found_in_its_choices(search, written):
    choices = ({"build": "m:f"}, {"kind": "tabular_mlp", "hidden": [8], "dropout": 0.1})
    written = with_chosen(written, {"training.model.dropout": 0.1})
    found = as_written(search({"training.model": ChoicesConfig(choices=choices)}), written)
    assert found == {"training.model": choices[1]}


# --- those that follow --------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_the_same_history_gives_the_same_suggestion(search, written, sampler):
    asked = search(sampler=sampler)
    tried = sequence(asked, written, 7)
    assert sequence(asked, written, 7) == tried
    assert len({identity(chosen) for chosen in tried}) == 7
    assert sequence(search(sampler=sampler, seed=1), written, 7)[1:] != tried[1:]


def test_random_draws_do_not_depend_on_what_the_others_came_to(search, written):
    rising = sequence(search(), written, 6, value=lambda chosen: chosen[RATE])
    assert sequence(search(), written, 6, value=lambda chosen: -chosen[RATE]) == rising


@pytest.mark.slow
def test_a_gaussian_process_goes_where_the_best_trials_were_and_does_so_again(search, written):
    space = {RATE: RangeConfig(low=0.0001, high=1.0, log=True)}

    def value(chosen):
        return abs(math.log10(chosen[RATE]) + 2.5)

    asked = search(space, sampler="gp")
    tried = sequence(asked, written, 10, value)
    assert sequence(asked, written, 10, value) == tried
    by_chance = sequence(search(space), written, 10, value)
    assert min(map(value, tried)) < min(map(value, by_chance))


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_suggestions_are_within_the_space_and_of_its_types(search, written, sampler):
    space = {
        RATE: RangeConfig(low=0.001, high=0.1, log=True),
        "training.weight_decay": RangeConfig(low=0.1, high=0.75, step=0.2),
        DEPTH: RangeConfig(low=1, high=10, step=3),
        "training.batch_size": RangeConfig(low=8, high=1024, log=True),
        WIDTH: ChoicesConfig(choices=([4], [8, 4])),
    }
    for chosen in sequence(search(space, sampler=sampler), written, 20):
        assert 0.001 <= chosen[RATE] <= 0.1
        assert chosen["training.weight_decay"] in {0.1, 0.3, 0.5, 0.7}
        assert chosen[DEPTH] in {1, 4, 7, 10}
        assert isinstance(chosen[DEPTH], int)
        assert 8 <= chosen["training.batch_size"] <= 1024
        assert isinstance(chosen["training.batch_size"], int)
        assert chosen[WIDTH] in ([4], [8, 4])


def test_log_searches_magnitudes(search, written):
    space = {RATE: RangeConfig(low=0.0001, high=1.0, log=True)}
    drawn = [math.log10(one[RATE]) for one in sequence(search(space), written, 60)]
    assert -2.6 < statistics.median(drawn) < -1.4


@pytest.mark.parametrize(("metric", "sign"), [("loss", 1), ("auc", -1)])
def test_tpe_goes_where_the_best_trials_were(search, written, metric, sign):
    """Of twenty trials the later half is nearer to the best place than random draws are."""

    def value(chosen):
        return sign * abs(math.log10(chosen[RATE]) + 2.5)

    def far(sampler):
        space = {RATE: RangeConfig(low=0.0001, high=1.0, log=True)}
        tried = [
            sequence(search(space, sampler=sampler, metric=metric, seed=n), written, 20, value)
            for n in range(3)
        ]
        return statistics.mean(sign * value(chosen) for one in tried for chosen in one[10:])

    assert far("tpe") < 0.8 * far("random")


def test_a_trial_that_failed_is_none_that_did_well(search, written):
    asked = search(sampler="tpe")
    known = {
        number: Trial(number=number, chosen=chosen, metrics={}, failed="too wide")
        for number, chosen in enumerate(sequence(asked, written, 6))
    }
    assert suggest(asked, written, 6, known, {})


def test_what_is_under_way_is_not_suggested_again(search, written):
    space = {DEPTH: ChoicesConfig(choices=(1, 2, 3))}
    for sampler in ("random", "tpe"):
        asked = search(space, sampler=sampler)
        known = {0: came_to(0, {DEPTH: 2}, 1.0)}
        assert suggest(asked, written, 2, known, {1: {DEPTH: 1}}) == {DEPTH: 3}


@pytest.mark.parametrize("sampler", ["random", "tpe"])
@pytest.mark.parametrize(
    "space",
    [
        {DEPTH: RangeConfig(low=1, high=12)},
        {DEPTH: RangeConfig(low=1, high=4), WIDTH: ChoicesConfig(choices=([4], [8], [16]))},
        {"training.weight_decay": RangeConfig(low=0.1, high=1.2, step=0.1)},
    ],
)
def test_nothing_is_tried_twice_while_something_is_left(search, written, sampler, space):
    tried = sequence(search(space, sampler=sampler), written, 12, lambda one: len(str(one)))
    assert len({identity(chosen) for chosen in tried}) == 12


def test_once_all_was_tried_something_comes_again(search, written):
    space = {DEPTH: ChoicesConfig(choices=(1, 2))}
    tried = sequence(search(space), written, 4)
    assert {chosen[DEPTH] for chosen in tried[:2]} == {1, 2}
    assert {chosen[DEPTH] for chosen in tried} == {1, 2}


def test_choices_that_are_equal_and_of_other_types_are_told_apart(search, written):
    space = {"training.model.options.deep": ChoicesConfig(choices=(1, True, 1.0))}
    tried = sequence(search(space), written, 3)
    found = [chosen["training.model.options.deep"] for chosen in tried]
    assert sorted(map(repr, found)) == ["1", "1.0", "True"]


def test_a_grid_goes_point_by_point(search, written):
    space = {DEPTH: RangeConfig(low=1, high=2), WIDTH: ChoicesConfig(choices=([4], [8]))}
    tried = sequence(search(space, sampler="grid"), written, 4)
    assert [(one[DEPTH], one[WIDTH]) for one in tried] == [(1, [4]), (1, [8]), (2, [4]), (2, [8])]


def test_settings_are_the_same_in_whatever_order_they_are_named():
    assert identity({"a": 1, "b": [2]}) == identity({"b": [2], "a": 1})
    assert identity({"a": 1}) != identity({"a": 1.0})


def test_optuna_says_nothing_and_is_left_as_loud_as_it_was(search, written, capfd):
    before = optuna.logging.get_verbosity()
    suggest(search(sampler="tpe"), written, 1, {}, {})
    assert optuna.logging.get_verbosity() == before
    assert capfd.readouterr() == ("", "")


# --- earlier sweeps -----------------------------------------------------------------------------


def test_the_sampler_goes_by_trials_of_earlier_sweeps(search, written):
    """With forty of them, its own first ones are nearer to the best place than by chance."""
    space = {RATE: RangeConfig(low=0.0001, high=1.0, log=True)}

    def value(chosen):
        return abs(math.log10(chosen[RATE]) + 2.5)

    asked = search(space, sampler="tpe")
    tried = [{RATE: 10 ** (-4 + place / 10)} for place in range(41)]
    earlier = [came_to(n, chosen, value(chosen)) for n, chosen in enumerate(tried)]
    own = [suggest(asked, written, n, {}, {}, earlier) for n in range(1, 13)]
    alone = [suggest(asked, written, n, {}, {}) for n in range(1, 13)]
    assert statistics.mean(map(value, own)) < 0.7 * statistics.mean(map(value, alone))


@pytest.mark.parametrize(
    ("chosen", "more", "why"),
    [
        ({RATE: 0.01, WIDTH: [4]}, {}, ""),
        ({RATE: 0.01, WIDTH: [4], DEPTH: 3}, {}, ""),
        ({RATE: 0.5, WIDTH: [4]}, {}, f"{RATE} outside the space"),
        ({RATE: 0.01, WIDTH: [5]}, {}, f"{WIDTH} outside the space"),
        ({RATE: 0.01}, {}, f"no {WIDTH}"),
        ({RATE: "high", WIDTH: [4]}, {}, f"{RATE} outside the space"),
        ({RATE: 0.01, WIDTH: [4]}, {"failed": "too wide"}, "failed"),
        ({RATE: 0.01, WIDTH: [4]}, {"stopped": 1}, "ended early"),
        ({RATE: 0.01, WIDTH: [4]}, {"like": 1}, "like another trial"),
        ({RATE: 0.01, WIDTH: [4]}, {"metrics": {"auc": 0.5}}, "no loss"),
    ],
)
def test_only_whole_trials_within_the_space_are_learned_from(search, chosen, more, why):
    trial = Trial(**{"number": 0, "chosen": chosen, "metrics": {"loss": 0.5}, **more})
    assert misfit(trial, search()) == why
