"""Runs are found, ordered, tagged and laid side by side, however many they are."""

import pytest

from tests.conftest import Project

FLOW = """
from raypipe import log_metric, pipeline, step


@step
def fit(rate: float) -> float:
    for at in range(3):
        log_metric("auc", rate * (at + 1) / 3, at)
    return rate


@pipeline
def flow(rate: float = 0.5, name: str = "plain"):
    return {"fit": fit(rate)}
"""


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project of three runs, by the same code, that came to 0.5, 0.9 and 0.7."""
    project = Project(tmp_path_factory.mktemp("tracking"))
    project.write("pyproject.toml", "[project]\nname = 'mine'\nversion = '0'\n")
    project.write("flow.py", FLOW)
    for rate in (0.5, 0.9, 0.7):
        said = project.raypipe("run", "flow.py", "--set", f"rate={rate}", "--json")
        assert said.result["status"] == "succeeded", said.err
    return project


def listed(project: Project, *more: str) -> list[float]:
    said = project.raypipe("runs", "list", *more, "--json")
    assert said.code == 0, said.err
    return [float(one["parameters"]["parameters"]["rate"]) for one in said.result["runs"]]


def test_runs_are_found_ordered_tagged_and_compared(flow: Project) -> None:
    assert listed(flow) == [0.7, 0.9, 0.5]
    assert listed(flow, "--sort", "-auc") == [0.9, 0.7, 0.5]
    assert listed(flow, "--sort", "rate", "--last", "2") == [0.5, 0.7]
    assert listed(flow, "--where", "auc > 0.6 and pipeline == 'flow'") == [0.7, 0.9]
    assert listed(flow, "--where", "fit.auc < 0.6 or rate == 0.9", "--sort", "auc") == [0.5, 0.9]

    runs = [one["id"] for one in flow.raypipe("runs", "list", "--json").result["runs"]]
    assert flow.raypipe("runs", "tag", runs[1], "good", "v2", "--by", "Ann").code == 0
    assert flow.raypipe("runs", "tag", runs[1], "v2", "--off").code == 0
    assert flow.raypipe("runs", "note", runs[1], "a higher rate", "--by", "Ann").code == 0
    assert listed(flow, "--where", "'good' in tags") == [0.9]
    assert "good" in flow.raypipe("runs", "list").out
    shown = flow.raypipe("runs", "show", runs[1])
    assert "tags: good\n" in shown.out
    assert "a higher rate (Ann, " in shown.out

    said = flow.raypipe("runs", "compare", *reversed(runs), "--json").result["comparison"]
    assert said["parameters"] == {"rate": ["0.5", "0.9", "0.7"]}
    assert said["metrics"]["fit.auc"] == pytest.approx([0.5, 0.9, 0.7])
    text = flow.raypipe("runs", "compare", *runs).out
    assert all(run in text for run in runs)
    assert "good" in text


def test_a_run_that_found_what_it_needs_has_the_metrics_of_what_it_found(flow: Project) -> None:
    again = flow.raypipe("run", "flow.py", "--set", "rate=0.9", "--json").result["run"]
    said = flow.raypipe("runs", "list", "--where", "auc > 0.8", "--json").result["runs"]
    assert said[0]["id"] == again
    assert [one["shown"]["auc"] for one in said] == pytest.approx([0.9, 0.9])


def test_what_cannot_be_asked_is_told_with_what_can(flow: Project) -> None:
    said = flow.raypipe("runs", "list", "--where=acu > 0.7")
    assert (said.code, "did you mean 'auc'" in said.err) == (2, True)
    said = flow.raypipe("runs", "list", "--where=__import__('os')")
    assert (said.code, "cannot be asked of runs" in said.err) == (2, True)
    assert "Traceback" not in said.err
