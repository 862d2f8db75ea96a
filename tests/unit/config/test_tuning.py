"""A search space is read as it is meant, and an impossible one is refused before anything runs."""

import json
from pathlib import Path

import pytest

from raypipe.config.load import from_json, load, to_json
from raypipe.config.tuning import (
    ChoicesConfig,
    RangeConfig,
    TuningConfig,
    Written,
    point_of,
    points_of,
    recipes,
    value_at,
    values_of,
    with_chosen,
)
from raypipe.errors import SettingsError
from tests.conftest import Project

BASE = """\
name: flights
data:
  dataset: local://flights/main
  label: late
  split: {by: group, columns: [month, day]}
preprocessing:
  groups:
    - {kind: numeric, columns: [distance, temp]}
training:
  model: {kind: tabular_mlp, hidden: [8], dropout: 0.1}
  epochs: 3
"""
RATE = "training.learning_rate"


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A settings file with a tuning section."""
    monkeypatch.chdir(tmp_path)

    def file(tuning: str) -> str:
        Path("s.yaml").write_text(f"{BASE}tuning:\n  {tuning}\n")
        return "s.yaml"

    return file


def space(text: str) -> str:
    return f"space: {{{text}}}"


def whole(low, high, step=None):
    return RangeConfig(low=low, high=high, step=step)


# --- what is read -------------------------------------------------------------------------------


def test_a_space_is_read_by_what_its_settings_are_given(file):
    text = space(
        f"{RATE}: {{low: 0.001, high: 0.1, log: true}}, training.epochs: {{choices: [1, 2]}}"
    )
    config = load(file(text))
    assert config.tuning.space == {
        RATE: RangeConfig(low=0.001, high=0.1, log=True),
        "training.epochs": ChoicesConfig(choices=(1, 2)),
    }
    assert (config.tuning.trials, config.tuning.concurrent, config.tuning.when) == (6, 2, "recipe")


def test_there_is_no_sweep_unless_a_space_is_given(file):
    assert load(file("trials: 3")).tuning.space == {}


def test_sections_and_dots_mean_the_same(file):
    nested = load(file("space: {training: {model: {dropout: {low: 0.1, high: 0.5}}}}"))
    assert (
        nested.tuning == load(file(space("training.model.dropout: {low: 0.1, high: 0.5}"))).tuning
    )


def test_set_adds_to_a_space_and_changes_a_part_of_it(file):
    settings = file(space(f"{RATE}: {{low: 0.001, high: 0.1, log: true}}"))
    config = load(
        settings,
        [
            f"tuning.space.{RATE}.high=0.01",
            "tuning.space.training.epochs.choices=[1, 2]",
        ],
    )
    assert config.tuning.space == {
        RATE: RangeConfig(low=0.001, high=0.01, log=True),
        "training.epochs": ChoicesConfig(choices=(1, 2)),
    }


def test_set_can_put_choices_in_the_place_of_a_range(file):
    settings = file(space(f"{RATE}: {{low: 0.001, high: 0.1}}"))
    config = load(settings, [f"tuning.space.{RATE}={{choices: [0.1, 0.2]}}"])
    assert config.tuning.space == {RATE: ChoicesConfig(choices=(0.1, 0.2))}


def test_what_was_read_reads_back_equal(file):
    text = space(
        f"{RATE}: {{low: 0.001, high: 0.1, log: true}}, "
        "training.epochs: {low: 1, high: 9, step: 2}, "
        "training.model: {choices: [{kind: tabular_mlp, hidden: [4]}, {build: 'm:f'}]}"
    )
    config = load(file(text))
    assert from_json(json.loads(json.dumps(to_json(config)))) == config


def test_whole_numbers_stay_whole(file):
    found = load(file(space("training.epochs: {low: 1, high: 9}"))).tuning.space["training.epochs"]
    assert found.whole
    assert not RangeConfig(low=1, high=9.0).whole
    assert not RangeConfig(low=1, high=9, step=0.5).whole


@pytest.mark.parametrize(
    "text",
    [
        "training.patience: {choices: [null, 2]}",
        "training.model.options.width: {low: 4, high: 64}",
        "training.model.options.name: {choices: [a, 1, null, [2]]}",
        "training.weight_decay: {low: 0, high: 2, step: 1}",
        "training.weight_decay: {low: 0.0, high: 2}",
        "training.model.build: {choices: ['m:f', 'm:g']}",
    ],
)
def test_what_training_takes_can_be_searched(file, text):
    sets = ["training.model={kind: custom, build: 'm:f'}"]
    assert len(load(file(space(text)), sets).tuning.space) == 1


# --- what is impossible -------------------------------------------------------------------------

LOW = f"line 13: tuning.space.{RATE}"
EPOCHS = "line 13: tuning.space.training.epochs"
IMPOSSIBLE = {
    # a range
    f"{RATE}: {{low: 1, high: 0.1}}": (
        f"{LOW}: low (1) must be below high (0.1); swap them, or set the value itself"
    ),
    f"{RATE}: {{low: 0.1, high: 0.1}}": (
        f"{LOW}: low (0.1) must be below high (0.1); swap them, or set the value itself"
    ),
    f"{RATE}: {{low: 0, high: 1, log: true}}": (
        f"{LOW}: low is 0, and log needs it above 0; leave log away, or raise low"
    ),
    f"{RATE}: {{low: 0.1, high: 1, log: true, step: 0.1}}": (
        f"{LOW}: log and step do not go together; leave one away, or list choices"
    ),
    f"{RATE}: {{low: 0.1, high: 1, step: 0}}": (
        f"{LOW}: step is 0; it must be above 0 and at most high less low (0.9)"
    ),
    f"{RATE}: {{low: 0.1, high: 1, step: 2}}": (
        f"{LOW}: step is 2; it must be above 0 and at most high less low (0.9)"
    ),
    f"{RATE}: {{low: 0.1, high: 1, step: 1e-9}}": (
        f"{LOW}: step is 1e-09, which makes more than 1,000,000 values; leave it away, and all "
        "between low and high is searched"
    ),
    f"{RATE}: {{low: .inf, high: 1}}": f"{LOW}.low: it is '.inf'; it must be a finite number",
    f"{RATE}: {{low: x, high: 1}}": f"{LOW}.low: it is 'x'; it must be a finite number",
    f"{RATE}: {{low: true, high: 1}}": f"{LOW}.low: it is True; it must be a finite number",
    f"{RATE}: {{high: 1}}": f"{LOW}.low is missing: smallest value",
    f"{RATE}: {{low: 0.1, high: 1, lg: true}}": f"{LOW}.lg is no setting; did you mean 'log'?",
    # choices
    f"{RATE}: {{choices: 3}}": f"{LOW}.choices is 3; it must be a list",
    f"{RATE}: {{choices: []}}": f"{LOW}.choices is []; it needs at least 2 of them",
    f"{RATE}: {{choices: [1]}}": f"{LOW}.choices is [1]; it needs at least 2 of them",
    f"{RATE}: {{low: 1, choices: [1, 2]}}": (f"{LOW}.low is no setting; there are choices, kind"),
    "training.epochs: {choices: [1, 2, 1.0]}": (
        f"{EPOCHS}: choices.0 and choices.2 are the same (1.0); leave one away"
    ),
    # neither
    f"{RATE}: [0.1, 0.2]": (
        f"{LOW}: it is [0.1, 0.2]; write {{choices: […]}}, or {{low: …, high: …}}"
    ),
    f"{RATE}: 0.1": f"{LOW}: it is 0.1; write {{choices: […]}}, or {{low: …, high: …}}",
    # what the setting itself refuses
    "training.epochs: {low: 0, high: 3}": (
        f"{EPOCHS}: low does not do: training.epochs is 0; it must be at least 1"
    ),
    "training.epochs: {low: 1, high: 5, step: 0.5}": (
        f"{EPOCHS}: low and a step does not do: training.epochs is 1.5; it must be a whole number"
    ),
    "training.model.dropout: {low: 0, high: 1.5}": (
        "line 13: tuning.space.training.model.dropout: high does not do: training.model.dropout is "
        "1.5; it must be below 1"
    ),
    "training.batch_size: {choices: [64, many]}": (
        "line 13: tuning.space.training.batch_size: choices.1 does not do: training.batch_size is "
        "'many'; it must be a whole number"
    ),
    "training.model: {choices: [{kind: tabular_mlp}, {kind: other}]}": (
        "line 13: tuning.space.training.model: choices.1 does not do: training.model.kind is "
        "'other'; it must be one of 'tabular_mlp', "
        "'tabular_resnet', 'text_classifier', 'image_classifier', 'custom'"
    ),
    "training.weight_decay: {low: 0, high: 1}": (
        "line 13: tuning.space.training.weight_decay: low (0) and high (1) are whole, so that no "
        "other number would be tried, and training.weight_decay takes others; write 0.0, or step: 1"
    ),
    # what is no setting, or none that can be searched
    "training.learning_rat: {low: 0.1, high: 1}": (
        "line 13: tuning.space.training.learning_rat: low does not do: training.learning_rat is no "
        "setting; did you mean 'learning_rate'?"
    ),
    "training.model.hidden.0: {choices: [8, 16]}": (
        "line 13: tuning.space.training.model.hidden.0: training.model.hidden is [8], which has no "
        "'0'; search it whole"
    ),
    "training.model: {choices: [{kind: tabular_mlp}, {build: 'm:b'}]}, "
    "training.model.dropout: {low: 0.1, high: 0.5}": (
        "line 13: tuning.space.training.model.dropout: training.model is searched whole; write "
        "this setting into its choices"
    ),
    "training: {choices: [{epochs: 1}, {epochs: 2}]}": (
        "line 13: tuning.space.training: it is all of training; name a setting in it, such as "
        f"{RATE}"
    ),
    "training.seed: {low: 0, high: 9}": (
        "line 13: tuning.space.training.seed: it cannot be searched: the seed that did best did so "
        "by luck, and is no better on other rows"
    ),
    "training.workers.count: {low: 1, high: 2}": (
        "line 13: tuning.space.training.workers.count: it cannot be searched: it says what a trial "
        "runs on"
    ),
    "preprocessing.refit: {choices: [always, recipe]}": (
        "line 13: tuning.space.preprocessing.refit: it cannot be searched: it says when the recipe "
        "is fitted again, and not what it is"
    ),
    "data.split.salt: {choices: [a, b]}": (
        "line 13: tuning.space.data.split.salt: only settings under `training` and `preprocessing` "
        "can be searched: with others each trial would need its own rows; make a settings file for "
        "each instead"
    ),
    "preprocessing.groups.1.log: {choices: [true, false]}": (
        "line 13: tuning.space.preprocessing.groups.1.log: preprocessing.groups has 1 entries, "
        "counted from 0; there is no '1'"
    ),
    "preprocessing.groups.0.impute: {choices: [mean, mode]}": (
        "line 13: tuning.space.preprocessing.groups.0.impute: choices.1 does not do: "
        "preprocessing.groups.0.impute is 'mode'; it must be 'mean', 'median' or 'zero'"
    ),
    "preprocessing.groups: {choices: [[{kind: cyclic, columns: [temp], period: 24}], "
    "[{kind: numeric, columns: [late]}]]}": (
        "line 13: tuning.space.preprocessing.groups: it makes a recipe whose group 0 reads the "
        "label 'late'; a model cannot be asked with the answer: leave it out"
    ),
    "preprocessing.groups.0: {choices: [{kind: embedding, columns: [temp], limit: 3}, {kind: "
    "embedding, columns: [temp], limit: 4}]}, preprocessing.groups.0.limit: {low: 1, high: 3}": (
        "line 13: tuning.space.preprocessing.groups.0.limit: preprocessing.groups.0 is searched "
        "whole; write this setting into its choices"
    ),
}


def refused(file, tuning):
    with pytest.raises(SettingsError) as error:
        load(file(tuning))
    assert error.value.exit_code == 2
    assert error.value.hint
    return str(error.value)


@pytest.mark.parametrize(("text", "says"), IMPOSSIBLE.items(), ids=IMPOSSIBLE)
def test_an_impossible_space_is_refused_by_key_value_bound_and_way_out(file, text, says):
    assert refused(file, space(text)) == f"s.yaml, {says}"


@pytest.mark.parametrize(
    ("tuning", "says"),
    [
        ("trials: 0", "line 13: tuning.trials is 0; it must be at least 1"),
        ("concurrent: 0", "line 13: tuning.concurrent is 0; it must be at least 1"),
        (
            "sampler: bayes",
            "line 13: tuning.sampler is 'bayes'; it must be 'tpe', 'gp', 'random' or 'grid'",
        ),
        (
            "when: often",
            "line 13: tuning.when is 'often'; it must be 'recipe', 'always' or 'never'",
        ),
        (
            "metric: rmse",
            "line 13: tuning.metric: it is 'rmse'; a binary model is measured by loss, auc, "
            "accuracy",
        ),
        ("space: [1]", "line 13: tuning.space is [1]; it must hold keys and values"),
        (
            "epochs: 2\n  space: {training.epochs: {low: 1, high: 5}}",
            "line 13: tuning.epochs: trials have so many epochs, and training.epochs is searched "
            "too; leave one away",
        ),
        (
            "sampler: grid\n  space: {training.learning_rate: {low: 0.1, high: 1}}",
            "line 14: tuning.space.training.learning_rate: a grid needs values that can be "
            "counted; give it a step, or list choices",
        ),
        (
            "sampler: grid\n  space: {training.epochs: {low: 1, high: 3}}",
            "line 12: tuning.trials: it is 6, and the grid has 3 points; lower it",
        ),
    ],
)
def test_a_sweep_that_cannot_be_made_is_refused(file, tuning, says):
    assert refused(file, tuning) == f"s.yaml, {says}"


def test_every_fault_of_a_space_is_told(file):
    said = refused(
        file, space("training.seed: {low: 0, high: 9}, training.epochs: {choices: [0, x]}")
    )
    assert said.splitlines() == [
        "3 settings of s.yaml are wrong:",
        "  line 13: tuning.space.training.seed: it cannot be searched: the seed that did best did "
        "so by luck, and is no better on other rows",
        "  line 13: tuning.space.training.epochs: choices.0 does not do: training.epochs is 0; it "
        "must be at least 1",
        "  line 13: tuning.space.training.epochs: choices.1 does not do: training.epochs is 'x'; "
        "it must be a whole number",
    ]


def test_a_fault_of_set_names_the_option(file):
    with pytest.raises(SettingsError) as error:
        load(file("trials: 3"), ["tuning.space.training.seed={low: 0, high: 9}"])
    assert str(error.value).startswith("--set tuning.space.training.seed=")


def test_the_command_says_the_same_and_exits_with_2(project: Project):
    project.write("s.yaml", f"{BASE}tuning:\n  {space('training.epochs: {low: 0, high: 3}')}\n")
    said = project.raypipe("config", "check", "s.yaml")
    assert (said.code, said.out) == (2, "")
    assert "line 13: tuning.space.training.epochs: low does not do" in said.err
    assert "raypipe config schema" in said.err
    assert "Traceback" not in said.err


# --- what a choice of settings comes to ---------------------------------------------------------


def around(training, groups=({"kind": "numeric", "columns": ["temp"]},)):
    return Written.model_validate({"training": training, "preprocessing": {"groups": groups}})


def test_chosen_settings_take_the_place_of_those_that_are_written():
    written = around({"epochs": 9, "model": {"kind": "tabular_mlp", "hidden": [8], "dropout": 0.2}})
    chosen = {RATE: 0.5, "training.model.hidden": [4, 2]}
    made = with_chosen(written, chosen)
    assert (made.training.learning_rate, made.training.epochs) == (0.5, 9)
    assert (made.training.model.hidden, made.training.model.dropout) == ((4, 2), 0.2)
    assert written.training.learning_rate == 0.001
    assert with_chosen(written, {}) == written


def test_a_whole_section_can_be_chosen():
    written = around({"model": {"kind": "tabular_mlp", "hidden": [8]}})
    made = with_chosen(written, {"training.model": {"build": "m:f", "options": {"width": 3}}})
    assert (made.training.model.build, made.training.model.options) == ("m:f", {"width": 3})


def test_a_chosen_option_stands_beside_those_that_are_written():
    written = around({"model": {"build": "m:f", "options": {"depth": 2, "width": 3}}})
    made = with_chosen(written, {"training.model.options.width": 5})
    assert made.training.model.options == {"depth": 2, "width": 5}


def test_a_setting_is_found_as_written_or_by_its_default():
    written = around({"model": {"kind": "tabular_mlp", "hidden": [8]}})
    assert value_at(written, "training.model.hidden") == [8]
    assert value_at(written, RATE) == 0.001
    assert value_at(written, "preprocessing.groups.0.impute") == "mean"
    for unknown in ("training.rate", "training.model.width", "preprocessing.groups.1.kind"):
        with pytest.raises(KeyError):
            value_at(written, unknown)


def test_a_group_of_columns_is_named_by_its_number():
    groups = ({"kind": "numeric", "columns": ["a"]}, {"kind": "embedding", "columns": ["b"]})
    written = around({}, groups)
    made = with_chosen(written, {"preprocessing.groups.1.limit": 9})
    assert made.preprocessing.groups[1].limit == 9
    assert made.preprocessing.groups[0] == written.preprocessing.groups[0]
    assert made.training == written.training


def test_each_recipe_that_may_be_chosen_is_there_once():
    groups = ({"kind": "numeric", "columns": ["a"]}, {"kind": "embedding", "columns": ["b"]})
    space = {
        RATE: RangeConfig(low=0.1, high=0.2),
        "preprocessing.groups.0.log": ChoicesConfig(choices=(False, True)),
        "preprocessing.groups.1.limit": whole(10, 30, 10),
    }
    made = [one.groups for one in recipes(space, around({}, groups))]
    assert [(first.log, second.limit) for first, second in made] == [
        (log, limit) for log in (False, True) for limit in (10, 20, 30)
    ]
    assert recipes({RATE: space[RATE]}, around({}, groups)) == ()


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("limit: {low: 1, high: 100}", "make 100 recipes, and all rows are transformed by each; "),
        ("limit: {low: 1, high: 1000000}", "make 1,000,000 recipes"),
    ],
)
def test_more_recipes_than_rows_are_worth_are_refused(file, setting, says):
    Path("s.yaml").write_text(
        BASE.replace("{kind: numeric, columns: [distance, temp]}", "{kind: one_hot, columns: [a]}")
        + f"tuning:\n  {space(f'preprocessing.groups.0.{setting}')}\n"
    )
    with pytest.raises(SettingsError, match=says):
        load("s.yaml")


@pytest.mark.parametrize(
    ("dimension", "values"),
    [
        (whole(1, 4), [1, 2, 3, 4]),
        (whole(1, 6, 2), [1, 3, 5]),
        (RangeConfig(low=0.1, high=0.5, step=0.1), [0.1, 0.2, 0.3, 0.4, 0.5]),
        (RangeConfig(low=0, high=1, step=0.4), [0, 0.4, 0.8]),
        (ChoicesConfig(choices=([1], None, "a")), [[1], None, "a"]),
    ],
)
def test_what_can_be_counted_has_values_in_order(dimension, values):
    assert list(values_of(dimension)) == values


def test_what_lies_between_two_fractions_cannot_be_counted():
    assert values_of(RangeConfig(low=0.1, high=0.5)) is None
    assert points_of({"a": whole(1, 2), "b": RangeConfig(low=0.1, high=0.5)}) is None


def test_a_range_of_many_whole_numbers_takes_no_room():
    large = {"a": whole(1, 10**15), "b": ChoicesConfig(choices=("x", "y"))}
    assert points_of(large) == 2 * 10**15
    assert point_of(large, 2 * 10**15 - 1) == {"a": 10**15, "b": "y"}


def test_the_points_of_a_space_are_each_there_once_the_last_setting_moving_fastest():
    small = {"a": whole(1, 2), "b": ChoicesConfig(choices=("x", "y", "z"))}
    points = [point_of(small, number) for number in range(points_of(small))]
    assert [(point["a"], point["b"]) for point in points] == [
        (1, "x"),
        (1, "y"),
        (1, "z"),
        (2, "x"),
        (2, "y"),
        (2, "z"),
    ]
    assert [list(point) for point in points] == [["a", "b"]] * 6


def test_a_space_is_a_mapping_in_python_too():
    made = TuningConfig(space={"training.epochs": whole(1, 3)})
    assert made.space == {"training.epochs": whole(1, 3)}
