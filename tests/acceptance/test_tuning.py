"""A sweep as a person runs it: kept trial by trial, never paid for twice, fed into training."""

import os
import signal
from typing import Any

import pytest

from raypipe.app.look import look
from raypipe.values.tuning import Trial, Tuned
from tests.acceptance import tiny
from tests.conftest import Project, Said, kill_group

TUNING = """
tuning:
  trials: 3
  epochs: 1
  space:
    training.learning_rate: {low: 0.0003, high: 0.03, log: true}
    training.model.options.width: {choices: [4, 8, 16]}
"""


def sections(tuning: str = TUNING, model: str = "{kind: custom, build: 'my_model:build'}") -> str:
    """Return the tiny settings with a sweep after training."""
    text = tiny.SETTINGS.replace("analysis:", f"{tuning.strip()}\nanalysis:")
    return text.replace('{kind: custom, build: "my_model:build"}', model)


@pytest.fixture
def searched(imported: Project) -> Project:
    """The tiny project with a sweep over its model's width and the learning rate."""
    project = imported
    project.edit(
        "my_model.py", "def __init__(self, signature):", "def __init__(self, signature, width):"
    )
    project.edit(
        "my_model.py",
        "WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1)",
        "width), nn.ReLU(), nn.Linear(width, 1)",
    )
    project.edit(
        "my_model.py",
        "def build(signature):\n    return Net(signature)",
        "def build(signature, width=WIDTH):\n    return Net(signature, width)",
    )
    project.write("tiny.yaml", sections())
    return project


def trials_run(said: Said) -> list[str]:
    return [name for name in said.executed if name.startswith("trial[")]


def value(project: Project, step: str) -> Any:
    workshop = look(project.folder / ".raypipe")
    result = workshop.ledger.latest_result("mine", "tiny", step)
    assert result is not None, step
    return workshop.codec.decode(workshop.artifacts.read(result.root), workshop.artifacts)


def test_a_sweep_feeds_training_and_is_never_paid_for_twice(searched: Project) -> None:
    project = searched
    first = tiny.run(project)
    assert first.code == 0, first.err
    assert trials_run(first) == ["trial[0]", "trial[1]", "trial[2]"]

    trials: list[Trial] = [value(project, f"trial[{n}]") for n in range(3)]
    tuned: Tuned = value(project, "choose")
    best = min(trials, key=lambda one: one.metrics["loss"])
    assert (tuned.trial, tuned.chosen) == (best.number, best.chosen)
    assert tuned.settings.learning_rate == best.chosen["training.learning_rate"]
    assert tuned.settings.model.options["width"] == best.chosen["training.model.options.width"]
    assert len({one.chosen["training.learning_rate"] for one in trials}) == 3

    run = first.result["run"]
    shown = project.raypipe("runs", "show", run).out
    for one in trials:
        assert f"{one.metrics['loss']:.6g}" in shown
    curves = project.raypipe("runs", "logs", run, "--json").out
    assert "trial[2]" in curves

    assert tiny.run(project).executed == []
    more = tiny.run(project, "--set", "tuning.trials=5")
    assert trials_run(more) == ["trial[3]", "trial[4]"]
    fewer = tiny.run(project, "--set", "tuning.concurrent=1")
    assert trials_run(fewer) == []

    tiny.approve(project)
    done = tiny.run(project)
    assert done.result["status"] == "succeeded"
    said = project.raypipe("score", "tiny", "incoming/part1.parquet", "--json")
    assert said.code == 0, said.err
    model = project.raypipe("models", "show", "tiny", "--json").result["model"]
    assert model["version"] == "1.0.0"


def test_new_data_alone_repeats_no_trial(searched: Project) -> None:
    project = searched
    tiny.run(project)
    tiny.import_shards(project, tiny.write_shard(project, "part3", tiny.rows(60)))
    again = tiny.run(project)
    assert trials_run(again) == []
    assert "train" in again.executed
    always = tiny.run(project, "--set", "tuning.when=always")
    assert len(trials_run(always)) == 3


def test_another_space_or_other_code_repeats_all(searched: Project) -> None:
    project = searched
    tiny.run(project)
    project.write("tiny.yaml", sections(TUNING.replace("[4, 8, 16]", "[4, 8]")))
    assert len(trials_run(tiny.run(project))) == 3
    project.edit("my_model.py", "nn.ReLU()", "nn.Tanh()")
    assert len(trials_run(tiny.run(project))) == 3


def test_never_uses_what_the_last_sweep_found(searched: Project) -> None:
    project = searched
    untuned = tiny.run(project, "--set", "tuning.when=never")
    assert untuned.code == 0, untuned.err
    assert trials_run(untuned) == []
    tiny.run(project)
    best: Tuned = value(project, "choose")
    project.edit("my_model.py", "nn.ReLU()", "nn.Tanh()")
    recalled = tiny.run(project, "--set", "tuning.when=never")
    assert trials_run(recalled) == []
    assert value(project, "recall").settings.learning_rate == best.settings.learning_rate


def test_a_killed_sweep_goes_on_with_the_trials_that_are_missing(
    searched: Project, wait_until
) -> None:
    project = searched
    project.edit("my_model.py", "def build(signature, width=WIDTH):\n",
                 "def build(signature, width=WIDTH):\n"
                 "    import pathlib, time\n"
                 "    time.sleep(0.5)\n")  # fmt: skip
    process = project.start("run", "tiny.yaml", "--runtime", "inline", "--set", "tuning.trials=6")

    def kept() -> int:
        home = project.folder / ".raypipe"
        if not (home / "ledger.db").exists():
            return 0
        results = [look(home).ledger.latest_result("mine", "tiny", f"trial[{n}]") for n in range(6)]
        return sum(one is not None for one in results)

    wait_until(lambda: kept() >= 2 or process.poll() is not None)
    kill_group(process)
    there = kept()
    assert 2 <= there < 6

    said = tiny.run(project, "--set", "tuning.trials=6")

    assert said.code == 0, said.err
    assert len(trials_run(said)) == 6 - there


def test_a_trial_that_fails_is_kept_with_its_reason_and_ends_nothing(searched: Project) -> None:
    project = searched
    project.edit("my_model.py", "def build(signature, width=WIDTH):\n",
                 "def build(signature, width=WIDTH):\n"
                 "    if width == 16:\n"
                 "        raise ValueError('too wide')\n")  # fmt: skip
    tuning = TUNING.replace("trials: 3", "trials: 6\n  sampler: random")
    project.write("tiny.yaml", sections(tuning))
    said = tiny.run(project)
    assert said.code == 0, said.err
    trials = [value(project, f"trial[{n}]") for n in range(6)]
    failed = [one for one in trials if one.failed]
    assert {one.chosen["training.model.options.width"] for one in failed} <= {16}
    assert all("too wide" in one.failed for one in failed)
    assert value(project, "choose").chosen["training.model.options.width"] != 16
    shown = project.raypipe("runs", "show", said.result["run"]).out
    assert ("too wide" in shown) == bool(failed)


def test_where_every_trial_fails_the_run_ends_with_the_first_reason(searched: Project) -> None:
    project = searched
    project.edit("my_model.py", "    return Net(signature, width)", "    raise ValueError('never')")
    said = tiny.run(project)
    assert said.code == 6
    assert "never" in said.result["error"]["message"]
    assert trials_run(tiny.run(project)) == ["trial[0]", "trial[1]", "trial[2]"]


def test_whole_architectures_are_searched(imported: Project) -> None:
    project = imported
    project.write(
        "tiny.yaml",
        sections(
            """
tuning:
  trials: 2
  epochs: 1
  sampler: grid
  space:
    training.model:
      choices:
        - {kind: tabular_mlp, hidden: [8]}
        - {build: "my_model:build"}
"""
        ),
    )
    said = tiny.run(project)
    assert said.code == 0, said.err
    tried = [value(project, f"trial[{n}]").chosen["training.model"] for n in range(2)]
    assert {"build": "my_model:build"} in tried
    assert {"kind": "tabular_mlp", "hidden": [8]} in tried
    tiny.approve(project)
    assert tiny.run(project).result["status"] == "succeeded"
    assert project.raypipe("score", "tiny", "incoming/part1.parquet").code == 0


IMPOSSIBLE = {
    "an unknown setting": ("training.rate: {low: 0.1, high: 1}", "training.rate"),
    "low above high": ("training.learning_rate: {low: 1, high: 0.1}", "must be below high"),
    "log from 0": ("training.learning_rate: {low: 0, high: 1, log: true}", "log needs it above 0"),
    "beyond the setting": ("training.model.dropout: {low: 0, high: 1.5}", "dropout"),
    "one choice": ("training.epochs: {choices: [1]}", "at least 2"),
    "twice the same": ("training.epochs: {choices: [1, 1]}", "are the same (1)"),
    "no setting of training": ("preprocessing.refit: {choices: [always, recipe]}", "preprocessing"),
    "the seed": ("training.seed: {low: 0, high: 9}", "luck"),
    "no range": ("training.learning_rate: 0.1", "learning_rate"),
    "a wrong choice": ("training.batch_size: {choices: [64, many]}", "many"),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_an_impossible_search_space_is_told_before_anything_runs(
    imported: Project, name: str
) -> None:
    space, words = IMPOSSIBLE[name]
    project = imported
    model = "{kind: tabular_mlp}"
    project.write("tiny.yaml", sections(f"\ntuning:\n  space:\n    {space}\n", model))
    for command in (("config", "check", "tiny.yaml"), ("run", "tiny.yaml")):
        said = project.raypipe(*command)
        assert said.code == 2
        assert words in said.err + said.out
        assert "Traceback" not in said.err


def test_ctrl_c_in_a_sweep_keeps_what_was_tried(searched: Project, wait_until) -> None:
    project = searched
    project.edit(
        "my_model.py",
        "def build(signature, width=WIDTH):\n",
        "def build(signature, width=WIDTH):\n    import time\n    time.sleep(0.5)\n",
    )
    process = project.start("run", "tiny.yaml", "--runtime", "inline", "--set", "tuning.trials=6")
    home = project.folder / ".raypipe"

    def tried() -> bool:
        if not (home / "ledger.db").exists():
            return False
        return look(home).ledger.latest_result("mine", "tiny", "trial[1]") is not None

    wait_until(lambda: tried() or process.poll() is not None)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert len(trials_run(tiny.run(project, "--set", "tuning.trials=6"))) <= 4
