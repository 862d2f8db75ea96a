"""The tuning stage trains with each choice, keeps what that came to, and chooses the best."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from raypipe.config.data import HashSplit
from raypipe.config.tuning import ChoicesConfig, HalvingConfig, with_chosen
from raypipe.engine.context import within
from raypipe.errors import ClusterError, StepFailed, StoreError, UsageError
from raypipe.stages.tuning import choose, recall, trial
from raypipe.stages.tuning.trying import Asked, Work, concluded, from_text, to_text
from raypipe.values.tuning import Trial, Tuned

RATE, WIDTH = "training.learning_rate", "training.model.hidden"


@pytest.fixture
def handed_in(context):
    """What was handed in, by place."""
    taken: dict[int, Trial] = {}
    with within(context, taken.setdefault):
        yield taken


@pytest.fixture
def run(search, training, recipe, signature, tensor_file, handed_in):
    """Run the stage on a shard."""

    def run(numbers=(0, 1, 2), space=None, settings=None, known=(), **other):
        splits = {"train": [tensor_file("t", 80)], "validation": [tensor_file("v", 40)]}
        splits |= {name: other.pop(name) for name in list(splits) if name in other}
        return trial(
            list(numbers),
            search(space, **other),
            settings or training,
            recipe,
            "late",
            HashSplit(columns=("number",)),
            "mine",
            rows=[(splits["train"], splits["validation"], signature)],
            concurrent=2,
            known=known,
        )

    return run


# --- trials -------------------------------------------------------------------------------------


def test_each_trial_trains_with_what_was_chosen_and_is_handed_in(run, handed_in, context):
    trials = run()
    assert [one.number for one in trials] == [0, 1, 2]
    assert trials[0].chosen == {RATE: 0.01, WIDTH: [8]}
    assert handed_in == dict(enumerate(trials))
    for place, one in enumerate(trials):
        assert set(one.metrics) == {"loss", "auc", "accuracy"}
        assert [row["epoch"] for row in one.history] == [1, 2]
        assert one.metrics["loss"] == min(row["loss"] for row in one.history)
        assert (one.failed, one.like) == ("", None)
        lines = map(json.loads, context.events.read_text().splitlines())
        curve = {
            e["step"]: e["value"] for e in lines if e.get("item") == place and e["name"] == "loss"
        }
        assert curve == {row["epoch"]: row["loss"] for row in one.history}
    assert len({one.metrics["loss"] for one in trials}) == 3


def test_the_same_trials_come_to_the_same(run):
    assert [replace(one, seconds=0) for one in run()] == [replace(one, seconds=0) for one in run()]


def test_a_trial_has_so_many_epochs_as_the_sweep_says(run):
    assert [len(one.history) for one in run((0, 1), epochs=1)] == [1, 1]


def test_a_trial_that_does_badly_ends_early_and_is_not_chosen(run):
    whole, early = run(
        (0, 1),
        space={RATE: ChoicesConfig(choices=(0.01, 1e-9))},
        sampler="grid",
        epochs=5,
        halving=HalvingConfig(first=2, factor=2),
    )
    assert (len(whole.history), whole.stopped) == (5, None)
    assert (len(early.history), early.stopped) == (2, 2)
    assert early.metrics["loss"] > whole.metrics["loss"]


def test_trials_that_are_kept_are_not_made_again(run, handed_in):
    kept = tuple((number, one) for number, one in enumerate(run((0, 1, 2, 3), sampler="tpe")))
    handed_in.clear()
    (more,) = run((4,), known=kept, sampler="tpe")
    assert more.number == 4
    assert handed_in == {0: more}


def test_a_choice_that_brings_training_down_is_recorded_with_its_reason(run, handed_in):
    good, bad = run((0, 1), space={RATE: ChoicesConfig(choices=(0.01, 1e30))})
    assert (good.chosen, good.failed) == ({RATE: 0.01}, "")
    assert bad.failed.startswith("the loss is")
    assert handed_in == {0: good, 1: bad}


def test_a_model_that_cannot_be_built_is_a_failed_trial(run, training):
    space = {
        "training.model": ChoicesConfig(
            choices=({"kind": "tabular_mlp", "hidden": [8]}, {"build": "no.such.module:build"})
        )
    }
    good, bad = sorted(run((0, 1), space=space), key=lambda one: bool(one.failed))
    assert good.metrics
    assert "no.such.module" in bad.failed
    assert (bad.metrics, bad.history) == ({}, ())


def test_where_no_trial_comes_to_anything_the_stage_fails(run, handed_in, written):
    space = {"training.model.build": ChoicesConfig(choices=("no.such:a", "no.such:b"))}
    custom = with_chosen(written, {"training.model": {"build": "no.such:c"}}).training
    with pytest.raises(StepFailed, match=r"none of 2 trials came to anything.*no\.such"):
        run((0, 1), space=space, settings=custom)
    assert handed_in == {}


def test_a_metric_that_the_rows_do_not_give_fails_each_trial(run, tensor_file):
    alike = [tensor_file("alike", 40, positive=True)]
    with pytest.raises(StepFailed, match="give no auc: they are all of one class"):
        run((0, 1), metric="auc", validation=alike)


def test_each_trial_trains_on_the_rows_of_the_recipe_that_it_chose(
    search, training, recipe, signature, tensor_file, handed_in
):
    """The rows of one recipe lack the index, so that a model that read them would be another."""
    plain = replace(signature, tensors=signature.tensors[:1])
    key = "preprocessing.groups.0.log"
    tried = tuple(
        recipe.model_copy(update={"groups": (recipe.groups[0].model_copy(update={"log": log}),)})
        for log in (False, True)
    )
    train, validation = [tensor_file("t", 80)], [tensor_file("v", 40)]

    def trials(rows):
        space = {key: ChoicesConfig(choices=(False, True))}
        return trial(
            [0, 1],
            search(space, sampler="grid", recipes=tried),
            training,
            recipe,
            "late",
            HashSplit(columns=("number",)),
            "mine",
            rows=[(train, validation, one) for one in rows],
            concurrent=2,
        )

    first, second = trials([signature, plain])
    assert (first.chosen, second.chosen) == ({key: False}, {key: True})
    assert first.metrics["loss"] != second.metrics["loss"]
    swapped = trials([plain, signature])
    assert [one.metrics for one in swapped] == [second.metrics, first.metrics]


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_split_without_rows_is_told_before_any_trial(run, tensor_file, split):
    with pytest.raises(StepFailed, match=f"the {split} split has no rows") as error:
        run(**{split: [tensor_file("none", 0)]})
    assert "data.split" in error.value.hint


def test_workers_want_ray(run, training):
    workers = training.workers.model_copy(update={"count": 2})
    with pytest.raises(UsageError, match="without Ray there is one worker") as error:
        run(settings=training.model_copy(update={"workers": workers}))
    assert "--runtime ray" in error.value.hint


def test_the_stage_is_imported_without_torch_ray_and_optuna():
    code = (
        "import sys, raypipe.stages.tuning;"
        "print([name for name in ('torch', 'ray', 'optuna') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture
def work(search, written, context):
    return Work(
        written=written,
        search=search(),
        rows=(),
        context=context,
    )


ASKED = Asked(number=3, place=0, chosen={RATE: 0.5})


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("too wide\nand more"), "ValueError: too wide"),
        (KeyError(), "KeyError: no word of why"),
        (StepFailed("the loss is nan"), "the loss is nan"),
        (MemoryError("no room"), "MemoryError: no room"),
    ],
)
def test_what_a_choice_brings_down_is_the_result_of_its_trial(work, error, said):
    def train():
        raise error

    made = concluded(ASKED, work, train)
    assert (made.number, made.chosen, made.metrics, made.failed) == (3, {RATE: 0.5}, {}, said)


@pytest.mark.parametrize("error", [StoreError("the disk is full"), ClusterError("no room")])
def test_what_is_no_fault_of_a_choice_ends_the_sweep(work, error):
    def train():
        raise error

    with pytest.raises(type(error)):
        concluded(ASKED, work, train)


def test_a_trial_goes_by_the_epoch_whose_weights_would_be_kept(work):
    rows = tuple(
        {"epoch": float(epoch), "train_loss": 1.0, "loss": loss, "auc": auc}
        for epoch, (loss, auc) in enumerate([(0.6, 0.9), (0.4, 0.7), (0.5, 0.8)], start=1)
    )
    made = concluded(ASKED, replace(work, search=replace(work.search, metric="auc")), lambda: rows)
    assert made.metrics == {"loss": 0.4, "auc": 0.7}
    assert made.history == rows
    assert made.seconds > 0


def test_a_trial_comes_over_from_a_worker_as_it_was():
    made = Trial(
        number=3,
        chosen={RATE: 0.1, WIDTH: [4, None], "training.model": {"build": "m:f"}},
        metrics={"loss": 0.25},
        history=({"epoch": 1.0, "loss": 0.25},),
        seconds=0.5,
    )
    assert from_text(to_text(made)) == made


# --- the choice ---------------------------------------------------------------------------------


def came_to(number, loss, failed=""):
    return Trial(
        number=number,
        chosen={RATE: number / 10},
        metrics={} if failed else {"loss": loss, "auc": loss},
        failed=failed,
    )


@pytest.mark.parametrize(("metric", "best"), [("loss", 2), ("auc", 3)])
def test_training_goes_on_with_what_did_best(search, training, recipe, metric, best):
    trials = [came_to(1, 0.5, "no"), came_to(2, 0.4), came_to(3, 0.6), came_to(4, 0.4)]
    tuned = choose(trials, training, recipe, search(metric=metric))
    assert (tuned.trial, tuned.chosen) == (best, {RATE: best / 10})
    assert tuned.metrics == trials[best - 1].metrics
    assert tuned.settings == training.model_copy(update={"learning_rate": best / 10})
    assert tuned.recipe == recipe


def test_training_goes_on_with_the_recipe_that_did_best(search, training, recipe):
    log = {"preprocessing.groups.0.log": True}
    tuned = choose([replace(came_to(0, 0.5), chosen=log)], training, recipe, search())
    assert tuned.recipe.groups == (recipe.groups[0].model_copy(update={"log": True}),)
    assert tuned.settings == training


def test_nothing_is_chosen_where_nothing_came_to_anything(search, training, recipe):
    with pytest.raises(StepFailed, match="the first said: too wide") as error:
        choose([came_to(0, 0, "too wide"), came_to(1, 0, "too deep")], training, recipe, search())
    assert "--force trial" in error.value.hint


def test_without_a_sweep_before_the_settings_are_as_written(training, recipe):
    assert recall(None, training, recipe) == Tuned(
        settings=training, recipe=recipe, chosen={}, trial=None, metrics={}
    )


def test_what_the_last_sweep_found_is_put_into_the_settings_of_now(training, recipe):
    chosen = {RATE: 0.5, "preprocessing.groups.0.log": True}
    last = Tuned(settings=training, recipe=recipe, chosen=chosen, trial=2, metrics={"loss": 0.1})
    now = training.model_copy(update={"epochs": 7})
    found = recall(last, now, recipe)
    assert found.recipe.groups[0].log
    assert (found.settings.learning_rate, found.settings.epochs) == (0.5, 7)
    assert (found.chosen, found.trial, found.metrics) == (last.chosen, 2, last.metrics)


def test_what_the_last_sweep_found_for_another_model_is_refused(training, recipe):
    last = Tuned(
        settings=training,
        recipe=recipe,
        chosen={"training.model.options.width": 5},
        trial=0,
        metrics={},
    )
    with pytest.raises(UsageError, match="does not fit the settings any more") as error:
        recall(last, training, recipe)
    assert "tuning.when" in error.value.hint
