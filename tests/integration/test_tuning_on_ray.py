"""A sweep by real Ray Tune: two trials at once on two CPUs, none hangs, none is paid for twice."""

from collections.abc import Iterator

import pytest

from raypipe.app.look import look
from tests.acceptance import tiny
from tests.conftest import Project, Said, kill_group
from tests.ray_head import processes_of

pytestmark = [pytest.mark.ray, pytest.mark.slow]

TUNING = """tuning:
  trials: 6
  epochs: 1
  space:
    training.learning_rate: {low: 0.0003, high: 0.03, log: true}
    training.batch_size: {choices: [32, 64, 128]}
    preprocessing.groups.0.log: {choices: [false, true]}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The tiny project with a sweep of six trials, two at once; no process of it is left."""
    project = Project(tmp_path_factory.mktemp("tuned"))
    project.write("pyproject.toml", "[project]\nname = 'mine'\nversion = '0'\n")
    tiny.make(project)
    settings = tiny.SETTINGS.replace("analysis:", TUNING + "analysis:")
    project.write("tiny.yaml", settings + "runtime: {kind: ray, cpus: 2}\n")
    yield project
    assert processes_of(project.folder) == []


def run(project: Project, *arguments: str) -> Said:
    return project.raypipe("run", "tiny.yaml", "--json", *arguments, timeout=240)


def trials_run(said: Said) -> list[str]:
    return [name for name in said.executed if name.startswith("trial[")]


@pytest.mark.long
def test_six_trials_then_nine_run_six_and_three(project: Project) -> None:
    first = run(project)
    assert first.code == 0, first.err
    assert len(trials_run(first)) == 6
    more = run(project, "--set", "tuning.trials=9")
    assert trials_run(more) == ["trial[6]", "trial[7]", "trial[8]"]
    assert not (project.folder / "ray_results").exists()  # its HOME is the project's folder
    assert not list((project.folder / ".raypipe" / "work").glob("*/ray_tune"))


def test_trials_that_do_badly_end_early(project: Project) -> None:
    tuning = """tuning:
  trials: 2
  concurrent: 1
  sampler: grid
  halving: {first: 1, factor: 2}
  space: {training.learning_rate: {choices: [0.01, 1.0e-9]}}
"""
    settings = tiny.SETTINGS.replace("name: tiny", "name: halved").replace("epochs: 2", "epochs: 4")
    project.write("halved.yaml", settings.replace("analysis:", tuning + "analysis:"))
    said = project.raypipe("run", "halved.yaml", "--runtime", "ray", "--json", timeout=240)
    assert said.code == 0, said.err
    shown = project.raypipe("runs", "show", said.result["run"], "--json").result["run"]
    assert [one["stopped"] for one in shown["trials"]] == [None, 1]
    assert [len(one["history"]) for one in shown["trials"]] == [4, 1]


DYING = """
import os, pathlib, signal

HERE = pathlib.Path(__file__).parent


def build(signature, dies="never"):
    died = HERE / f"died-{dies}"
    if dies == "always" or (dies == "once" and not died.exists()):
        with died.open("a") as file:
            file.write("x")
        os.kill(os.getpid(), signal.SIGKILL)
    return Net(signature)
"""


@pytest.mark.long
def test_a_trial_that_loses_its_process_is_made_once_more_and_then_it_failed(
    project: Project,
) -> None:
    project.write("my_model.py", tiny.MODEL + DYING)
    dies = "training.model.options.dies: {choices: [never, once, always]}"
    tuning = f"tuning: {{sampler: grid, trials: 3, epochs: 1, space: {{{dies}}}}}\n"
    settings = tiny.SETTINGS.replace("name: tiny", "name: dying")
    project.write("dying.yaml", settings.replace("analysis:", tuning + "analysis:"))

    said = project.raypipe("run", "dying.yaml", "--runtime", "ray", "--json", timeout=240)

    assert said.code == 0, said.err
    shown = project.raypipe("runs", "show", said.result["run"], "--json").result["run"]
    never, once, always = shown["trials"]
    assert (never["failed"], once["failed"]) == ("", "")
    assert once["metrics"] == never["metrics"]
    assert "lost its process twice" in always["failed"]
    assert (project.folder / "died-always").read_text() == "xx"


SLOW = """
import pathlib, time


def build(signature):
    with (pathlib.Path(__file__).parent / "built").open("a") as file:
        file.write("x")
    time.sleep(1)
    return Net(signature)
"""


@pytest.mark.long
def test_a_killed_sweep_goes_on_with_the_trials_that_are_missing(
    project: Project, wait_until
) -> None:
    project.write("my_model.py", tiny.MODEL + SLOW)
    built, home = project.folder / "built", project.folder / ".raypipe"
    ledger = look(home).ledger

    def recorded() -> list[str]:
        newest = ledger.list_runs(limit=1)[0].id
        ended = [row.step for row in ledger.executions(newest) if row.status == "succeeded"]
        return [name for name in ended if name.startswith("trial[")]

    process = project.start("run", "tiny.yaml", "--json")
    wait_until(lambda: built.exists() and recorded(), seconds=120)
    kill_group(process)
    wait_until(lambda: processes_of(project.folder) == [], seconds=60)
    there = recorded()
    assert 1 <= len(there) < 6

    said = run(project)

    assert said.code == 0, said.err
    assert len(trials_run(said)) == 6 - len(there)
    assert not set(there) & set(trials_run(said))


@pytest.mark.long
@pytest.mark.long
def test_a_trial_of_two_workers_finds_room(project: Project) -> None:
    """Nested in a sweep of two at once it hangs by Ray's defaults: no CPU is left for workers."""
    said = run(project, "--set", "training.workers.count=2", "--set", "tuning.trials=2")
    assert said.code == 0, said.err
    assert len(trials_run(said)) == 2


def test_a_trial_that_has_no_room_at_all_is_told(project: Project) -> None:
    said = run(project, "--set", "training.workers.cpus=8", "--set", "tuning.trials=2")
    assert said.code == 8
    assert "the cluster has 2 CPU" in said.result["error"]["message"]
