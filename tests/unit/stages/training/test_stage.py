"""The training stage turns tensor files into kept checkpoints, and reports as it goes."""

import json
import subprocess
import sys

import pytest
from safetensors.torch import load_file

from raypipe.config.training import TrainingConfig
from raypipe.errors import StepFailed, UsageError
from raypipe.stages.training import train

SETTINGS = TrainingConfig(epochs=4, batch_size=16, patience=None, keep=2, learning_rate=0.02)


@pytest.fixture
def run(signature, tensor_file, context):
    """Run the stage on two shards, the second without rows for validation."""

    def run(settings=SETTINGS, **splits):
        given = {
            "train": [tensor_file("t1", 60), tensor_file("t2", 41)],
            "validation": [tensor_file("v1", 50), tensor_file("v2", 0)],
            **splits,
        }
        return train(**given, signature=signature, settings=settings)

    return run


def events(context, kind):
    lines = map(json.loads, context.events.read_text().splitlines())
    return [event for event in lines if event["event"] == kind]


@pytest.mark.slow
def test_keeps_the_best_checkpoints_best_first_and_the_candidate_is_the_best(run):
    trained = run()

    losses = sorted(row["loss"] for row in trained.history)
    assert [kept.metrics["loss"] for kept in trained.checkpoints] == losses[:2]
    assert trained.candidate == trained.checkpoints[0]
    assert "head.weight" in load_file(trained.candidate.weights)


def test_history_has_a_row_an_epoch_and_a_checkpoint_the_metrics_of_its_own(run):
    trained = run()

    assert [row["epoch"] for row in trained.history] == [1, 2, 3, 4]
    assert list(trained.history[0]) == ["epoch", "train_loss", "loss", "auc", "accuracy"]
    row = dict(trained.history[trained.candidate.epoch - 1])
    assert trained.candidate.metrics == {k: row[k] for k in ("loss", "auc", "accuracy")}


def test_curves_and_progress_are_reported_each_epoch(run, context):
    trained = run()

    curve = {e["step"]: e["value"] for e in events(context, "metric") if e["name"] == "loss"}
    assert curve == {int(row["epoch"]): row["loss"] for row in trained.history}
    last = events(context, "progress")[-1]
    assert (last["done"], last["total"]) == (4, 4)
    assert last["what"].startswith("loss 0.")
    assert " auc " in last["what"]


def test_a_training_that_had_finished_is_not_run_again(run, context):
    """As when a run was killed between training and the record of its result."""
    trained = run()
    reported = len(events(context, "metric"))

    assert run() == trained
    assert len(events(context, "metric")) == reported


def test_calls_outside_a_run_do_not_meet_one_anothers_checkpoints(signature, tensor_file):
    files = {"train": [tensor_file("t", 60)], "validation": [tensor_file("v", 50)]}
    short = SETTINGS.model_copy(update={"epochs": 1})

    first = train(**files, signature=signature, settings=short)
    second = train(**files, signature=signature, settings=short.model_copy(update={"seed": 1}))

    assert first.candidate.weights.read_bytes() != second.candidate.weights.read_bytes()


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_split_without_rows_is_named(run, tensor_file, split):
    with pytest.raises(StepFailed, match=f"the {split} split has no rows") as stopped:
        run(**{split: [tensor_file("none", 0)]})

    assert "data.split" in stopped.value.hint


def test_a_label_with_one_value_is_named(run, tensor_file):
    with pytest.raises(StepFailed, match="'late' has one value in the train split"):
        run(train=[tensor_file("all late", 30, positive=True)])


def test_settings_at_odds_with_the_label_say_what_to_set(run):
    with pytest.raises(UsageError, match="'late' is binary") as refused:
        run(SETTINGS.model_copy(update={"task": "regression"}))

    assert refused.value.hint == "set training.task to binary"


def test_several_workers_need_ray(run):
    with pytest.raises(UsageError, match=r"workers\.count is 2, but without Ray") as refused:
        run(TrainingConfig(workers={"count": 2}))

    assert "--runtime ray" in refused.value.hint


def test_a_loop_of_ones_own_needs_ray(run):
    with pytest.raises(UsageError, match="'mine:loop', which Ray Train runs") as refused:
        run(TrainingConfig(loop="mine:loop"))

    assert "--runtime ray" in refused.value.hint


def test_importing_the_stage_imports_neither_torch_nor_ray():
    found = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; sys.path[:] = {sys.path!r}; import raypipe.stages.training; "
            "print([m for m in ('torch', 'ray', 'pyarrow') if m in sys.modules])",
        ],
        capture_output=True,
        text=True,
        check=True,
    )

    assert found.stdout.strip() == "[]"
