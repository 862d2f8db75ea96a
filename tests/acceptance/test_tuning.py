"""A sweep as a person runs it: kept trial by trial, never paid for twice, fed into training."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from raypipe.app.look import look
from raypipe.model.bundle import load_bundle
from raypipe.stages.data import dataset_at
from raypipe.store.versions import open_store
from raypipe.values.tuning import Trial, Tuned
from raypipe.values.uri import parse_uri
from tests.acceptance import tiny
from tests.conftest import Project, Said, kill_group
from tests.lineage import Lineage

TUNING = """
tuning:
  trials: 3
  epochs: 1
  space:
    training.learning_rate: {low: 0.0003, high: 0.03, log: true}
    training.model.options.width: {choices: [4, 12, 16]}  # none is the model's default
"""


def sections(tuning: str = TUNING, model: str = "{kind: custom, build: 'my_model:build'}") -> str:
    """Return the tiny settings with a sweep after training."""
    text = tiny.SETTINGS.replace("analysis:", f"{tuning.strip()}\nanalysis:")
    return text.replace('{kind: custom, build: "my_model:build"}', model)


BUILD = "def build(signature, width=WIDTH):\n"
SLOW = """
    import pathlib, time
    with (pathlib.Path(__file__).parent / "built").open("a") as file:
        file.write(f"{width}\\n")
    time.sleep(0.4)
"""


def copied(project: Project, folder: Path) -> Project:
    shutil.copytree(project.folder, folder, symlinks=True, dirs_exist_ok=True)
    return Project(folder)


@pytest.fixture(scope="module")
def _searched(_imported: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = copied(_imported, tmp_path_factory.mktemp("searched") / "project")
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
        f"{BUILD}    return Net(signature, width)",
    )
    project.write("tiny.yaml", sections())
    return project


@pytest.fixture(scope="module")
def _swept(_searched: Project, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Said]:
    project = copied(_searched, tmp_path_factory.mktemp("swept") / "project")
    said = tiny.run(project)
    assert said.code == 0, said.err
    return project, said


@pytest.fixture
def searched(_searched: Project, tmp_path: Path) -> Project:
    """The tiny project with a sweep over its model's width and the learning rate, not run yet."""
    return copied(_searched, tmp_path / "project")


@pytest.fixture
def swept(_swept: tuple[Project, Said], tmp_path: Path) -> Project:
    """The same after its first sweep of three trials; the run waits for its review."""
    return copied(_swept[0], tmp_path / "project")


@pytest.fixture
def first(_swept: tuple[Project, Said]) -> Said:
    """What the run of that sweep said."""
    return _swept[1]


def trials_run(said: Said) -> list[str]:
    return [name for name in said.executed if name.startswith("trial[")]


def value(project: Project, step: str) -> Any:
    workshop = look(project.folder / ".raypipe")
    result = workshop.ledger.latest_result("mine", "tiny", step)
    assert result is not None, step
    return workshop.codec.decode(workshop.artifacts.read(result.root), workshop.artifacts)


def built(project: Project) -> int:
    """How many models were begun, where each build says so."""
    log = project.folder / "built"
    return len(log.read_text().splitlines()) if log.exists() else 0


def kept_trials(project: Project, count: int) -> int:
    ledger = look(project.folder / ".raypipe").ledger
    found = [ledger.latest_result("mine", "tiny", f"trial[{n}]") for n in range(count)]
    return sum(one is not None for one in found)


def test_a_sweep_feeds_training_the_card_and_the_bundle(swept: Project, first: Said) -> None:
    project = swept
    assert trials_run(first) == ["trial[0]", "trial[1]", "trial[2]"]
    trials: list[Trial] = [value(project, f"trial[{n}]") for n in range(3)]
    tuned: Tuned = value(project, "choose")
    best = min(trials, key=lambda one: one.metrics["loss"])
    assert (tuned.trial, tuned.chosen) == (best.number, best.chosen)
    assert tuned.settings.learning_rate == best.chosen["training.learning_rate"]
    width = best.chosen["training.model.options.width"]
    assert tuned.settings.model.options["width"] == width
    assert len({one.chosen["training.learning_rate"] for one in trials}) == 3

    tiny.approve(project)
    assert tiny.run(project).result["status"] == "succeeded"
    said = project.raypipe("score", "tiny", "incoming/part1.parquet", "--json")
    assert said.code == 0, said.err
    model = project.raypipe("models", "show", "tiny", "--json").result["model"]
    assert model["version"] == "1.0.0"
    assert f"training.model.options.width: {width}, found by a sweep" in json.dumps(model)


def test_every_trial_is_shown_with_its_settings_and_what_it_came_to(
    swept: Project, first: Said
) -> None:
    project, run = swept, first.result["run"]
    trials: list[Trial] = [value(project, f"trial[{n}]") for n in range(3)]
    shown = project.raypipe("runs", "show", run).out
    for one in trials:
        assert f"{one.metrics['loss']:.6g}" in shown
        assert f"{one.chosen['training.learning_rate']:.6g}" in shown
    found = project.raypipe("runs", "show", run, "--json").result["run"]["trials"]
    assert [one["chosen"] for one in found] == [one.chosen for one in trials]
    assert [one["metrics"] for one in found] == [one.metrics for one in trials]
    assert [one["number"] for one in found if one["best"]] == [value(project, "choose").trial]
    said = project.raypipe("runs", "logs", run, "--json").out.splitlines()
    points = [one for one in map(json.loads, said) if one.get("stream") == "metric"]
    assert {f"trial[{n}]" for n in range(3)} <= {one["step"] for one in points}


def test_a_sweep_is_told_as_data_and_drawn_in_a_report(swept: Project, first: Said) -> None:
    run = first.result["run"]
    said = swept.raypipe("runs", "sweep", run, "--out", "sweep.html", "--json").result["sweep"]
    assert [row["number"] for row in said["best_so_far"]] == [0, 1, 2]
    losses = [one["metrics"]["loss"] for one in said["trials"]]
    assert said["best_so_far"][-1]["best"] == min(losses)
    assert losses[said["best"]] == min(losses)
    assert all(one["history"] for one in said["trials"])
    assert said["importance"] == {}  # of three trials nothing is said
    page = (swept.folder / "sweep.html").read_text()
    assert "<script" not in page
    assert "training.learning_rate" in page
    assert "Too few trials" in swept.raypipe("runs", "sweep", run).out


def test_the_report_of_the_run_draws_its_sweep_once(swept: Project) -> None:
    page: Path = value(swept, "report")
    drawn = page.read_text()
    assert "<h2>The sweep before it</h2>" in drawn
    assert "training.model.options.width" in drawn
    assert value(swept, "report_sweep") in drawn
    assert "report_sweep" not in tiny.run(swept).executed
    more = tiny.run(swept, "--set", "tuning.trials=4").executed
    assert {"report_sweep", "report"} <= {*more}


def test_each_trial_is_told_when_it_ends_and_not_with_the_last(first: Said) -> None:
    events = [json.loads(line) for line in first.out.splitlines()]
    ends = {one["name"]: at for at, one in enumerate(events) if one["event"] == "step_ended"}
    curves = [at for at, one in enumerate(events) if one.get("step") == "trial[2]"]
    assert ends["trial[0]"] < ends["trial[1]"] < max(curves) < ends["trial[2]"]


def test_a_sweep_that_is_extended_pays_for_what_is_new(swept: Project) -> None:
    project = swept
    assert tiny.run(project).executed == []
    planned = project.raypipe("plan", "tiny.yaml", "--set", "tuning.trials=5", "--json")
    assert trials_run(planned) == ["trial[3]", "trial[4]"]
    more = tiny.run(project, "--set", "tuning.trials=5")
    assert trials_run(more) == ["trial[3]", "trial[4]"]
    fewer = tiny.run(project, "--set", "tuning.concurrent=1")
    assert trials_run(fewer) == []


@pytest.mark.long
def test_new_data_alone_repeats_no_trial(swept: Project) -> None:
    project = swept
    tiny.import_shards(project, tiny.write_shard(project, "part3", tiny.rows(60)))
    planned = project.raypipe("plan", "tiny.yaml", "--json").actions
    assert {planned[f"trial[{n}]"] for n in range(3)} == {"hit"}
    again = tiny.run(project)
    assert trials_run(again) == []
    assert "train" in again.executed
    always = tiny.run(project, "--set", "tuning.when=always")
    assert len(trials_run(always)) == 3


@pytest.mark.long
def test_another_space_or_other_code_repeats_all(swept: Project) -> None:
    project = swept
    project.write("tiny.yaml", sections(TUNING.replace("[4, 12, 16]", "[4, 12]")))
    assert len(trials_run(tiny.run(project))) == 3
    project.edit("my_model.py", "nn.ReLU()", "nn.Tanh()")
    assert len(trials_run(tiny.run(project))) == 3


def test_another_sweep_learns_from_earlier_ones_and_repeats_nothing(swept: Project) -> None:
    asked = ["--set", "tuning.seed=5", "--set", "tuning.learn_from=earlier"]
    said = tiny.run(swept, *asked)
    assert len(trials_run(said)) == 3
    logs = swept.raypipe("runs", "logs", said.result["run"]).out
    assert "learns from 3 trials of earlier sweeps; 0 more" in logs
    require_known_origins(swept, said.result["run"])
    assert trials_run(tiny.run(swept, *asked)) == []  # though there are more earlier ones now


def require_known_origins(project: Project, run: str) -> None:
    """The ledger says of each trial which trials it learned from, and leads back to their rows."""
    workshop = look(project.folder / ".raypipe")
    versions = open_store(parse_uri("local://tiny/main"), workshop.paths.home)
    dataset = dataset_at("local://tiny/main", versions)
    lineage = Lineage(workshop=workshop, dataset=dataset, run=run)
    assert lineage.unsealed() == []
    for number in range(3):
        given = lineage.given(lineage.results[f"trial[{number}]"])
        learned = {name: d for name, d in given.items() if name.startswith(("earlier", "known"))}
        assert {f"earlier[{n}]" for n in range(3)} <= {*learned}
        assert sum(name.startswith("known") for name in learned) == number
        for digest in learned.values():
            assert {origin.step for origin in lineage.origins[digest]} == {"trial"}


def test_never_uses_what_the_last_sweep_found(swept: Project) -> None:
    project = swept
    best: Tuned = value(project, "choose")
    project.edit("my_model.py", "nn.ReLU()", "nn.Tanh()")
    recalled = tiny.run(project, "--set", "tuning.when=never")
    assert recalled.code == 0, recalled.err
    assert trials_run(recalled) == []
    assert value(project, "recall").settings == best.settings


def test_never_without_a_sweep_before_trains_as_written(searched: Project) -> None:
    untuned = tiny.run(searched, "--set", "tuning.when=never")
    assert untuned.code == 0, untuned.err
    assert trials_run(untuned) == []
    assert value(searched, "recall").chosen == {}


def test_a_killed_sweep_goes_on_with_the_trials_that_are_missing(
    searched: Project, wait_until
) -> None:
    project = searched
    project.edit("my_model.py", BUILD, BUILD + SLOW)
    process = project.start("run", "tiny.yaml", "--runtime", "inline", "--set", "tuning.trials=5")
    wait_until(lambda: built(project) >= 3 or process.poll() is not None)
    kill_group(process)
    there = kept_trials(project, 5)
    assert 2 <= there < 5

    said = tiny.run(project, "--set", "tuning.trials=5")

    assert said.code == 0, said.err
    assert len(trials_run(said)) == 5 - there


def test_ctrl_c_in_a_sweep_keeps_what_was_tried(searched: Project, wait_until) -> None:
    project = searched
    project.edit("my_model.py", BUILD, BUILD + SLOW)
    process = project.start("run", "tiny.yaml", "--runtime", "inline", "--set", "tuning.trials=5")
    wait_until(lambda: built(project) >= 3 or process.poll() is not None)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert 2 <= kept_trials(project, 5) < 5


@pytest.mark.long
def test_two_runs_at_once_make_each_trial_once(searched: Project) -> None:
    project = searched
    project.edit("my_model.py", BUILD, BUILD + SLOW)
    command = ("run", "tiny.yaml", "--runtime", "inline", "--json")
    said = [run.communicate(timeout=120) for run in [project.start(*command) for _ in range(2)]]
    results = [json.loads(out.strip().splitlines()[-1]) for out, _ in said]
    assert [one["status"] for one in results] == ["waiting"] * 2, said
    executed = [
        step["name"]
        for one in results
        for step in one["steps"]
        if step["name"].startswith("trial[") and step["action"] == "execute"
    ]
    assert sorted(executed) == ["trial[0]", "trial[1]", "trial[2]"]


def test_a_trial_that_fails_is_kept_with_its_reason_and_ends_nothing(searched: Project) -> None:
    project = searched
    project.edit(
        "my_model.py",
        BUILD,
        f"{BUILD}    if width == 16:\n        raise ValueError('too wide')\n",
    )
    width = "training.model.options.width: {choices: [4, 16]}"
    project.write(
        "tiny.yaml",
        sections(f"tuning:\n  sampler: grid\n  trials: 2\n  epochs: 1\n  space: {{{width}}}\n"),
    )
    said = tiny.run(project)
    assert said.code == 0, said.err
    good, bad = (value(project, f"trial[{n}]") for n in range(2))
    assert (good.failed, bad.failed, bad.metrics) == ("", "ValueError: too wide", {})
    assert value(project, "choose").chosen == {"training.model.options.width": 4}
    assert "too wide" in project.raypipe("runs", "show", said.result["run"]).out
    assert tiny.run(project).executed == []


@pytest.mark.long
def test_where_every_trial_fails_the_run_ends_with_the_first_reason(searched: Project) -> None:
    project = searched
    project.edit("my_model.py", "    return Net(signature, width)", "    raise ValueError('never')")
    said = tiny.run(project)
    assert said.code == 6
    assert "never" in said.result["error"]["message"]
    assert trials_run(tiny.run(project)) == ["trial[0]", "trial[1]", "trial[2]"]


@pytest.mark.long
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


RECIPES = """
tuning:
  trials: 4
  epochs: 1
  sampler: grid
  space:
    preprocessing.groups.0.log: {choices: [false, true]}
    training.learning_rate: {choices: [0.001, 0.03]}
"""


@pytest.mark.long
def test_recipes_are_searched_and_the_best_one_is_in_the_model(imported: Project) -> None:
    project = imported
    tiny_model = "{kind: custom, build: 'my_model:build'}"
    project.write("tiny.yaml", sections(RECIPES, tiny_model))
    first = tiny.run(project)
    assert first.code == 0, first.err
    assert len(trials_run(first)) == 4
    tuned: Tuned = value(project, "choose")
    log = tuned.chosen["preprocessing.groups.0.log"]
    losses = {value(project, f"trial[{n}]").metrics["loss"] for n in range(4)}
    assert len(losses) == 4, "recipe and learning rate both count"

    tiny.approve(project)
    assert tiny.run(project).result["status"] == "succeeded"
    workshop = look(project.folder / ".raypipe")
    (row,) = workshop.ledger.versions("tiny")
    loaded = load_bundle(workshop.artifacts.path(row.bundle), workshop.artifacts.path)
    assert loaded.transform.groups[0].log == log
    assert project.raypipe("score", "tiny", "incoming/part1.parquet").code == 0
    assert tiny.run(project).executed == []

    project.edit("my_features.py", "SCALE = 1.0", "SCALE = 2.0")
    planned = project.raypipe("plan", "tiny.yaml", "--json").result["steps"]
    again = {step["name"] for step in planned if step["action"] != "hit"}
    assert {"fit", "fit#2", "transform_shards[0]", "trial[0]", "train"} <= again, again

    project.write("tiny.yaml", sections(RECIPES + "  when: never\n", tiny_model))
    said = tiny.run(project)
    assert (said.code, trials_run(said)) == (0, []), said.err
    recalled: Tuned = value(project, "recall")
    assert (recalled.chosen, recalled.recipe.groups[0].log) == (tuned.chosen, log)


IMPOSSIBLE = {
    "of the space": ("training.learning_rate: {low: 1, high: 0.1}", "must be below high"),
    "of the setting": ("training.model.dropout: {low: 0, high: 1.5}", "dropout is 1.5"),
}
"""All others are held beside the settings, in tests/unit/config."""


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
