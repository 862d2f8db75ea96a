"""A review that nobody is asked any more says so wherever it is met."""

import pytest

from tests.conftest import Project

FLOW = """\
from raypipe import pipeline, review, step


@step
def drawn(n: int) -> int:
    return n


@step
def used(drawn: int, decision) -> int:
    return drawn


@pipeline
def flow(n: int = 1):
    made = drawn(n)
    return {"used": used(made, review(made, name="accept"))}
"""


@pytest.fixture
def asked(project: Project) -> tuple[Project, str, str]:
    """Return a flow with a run that waits, the run, and its review."""
    project.write("flow.py", FLOW)
    waiting = project.run("flow.py").result
    return project, waiting["run"], waiting["reviews"][0]["id"]


def test_a_review_is_withdrawn_for_newer_evidence_and_says_so_everywhere(asked) -> None:
    project, run, first = asked
    project.write("flow.py", FLOW.replace("return n\n", "return n + 1\n"))
    second = project.run("flow.py").result["reviews"][0]["id"]

    listed = project.raypipe("review", "list", "--json").result["reviews"]
    assert {one["id"]: one["status"] for one in listed} == {first: "withdrawn", second: "open"}
    assert f"newer evidence opened review {second}" in project.raypipe("review", "list").out
    shown = project.raypipe("review", "show", first).out
    assert f"newer evidence opened review {second}" in shown
    assert "approve" not in shown

    refused = project.raypipe("review", "approve", first, "--by", "ada")
    assert refused.code == 2
    assert f"newer evidence opened review {second}" in refused.err
    assert f"raypipe review show {second}" in refused.err

    waits = project.raypipe("runs", "show", run).out
    assert "waiting (withdrawn: nobody is asked)" in waits
    assert f"withdrawn: newer evidence opened review {second}" in waits
    assert "withdrawn: nobody is asked" in project.raypipe("runs", "list").out

    project.write("flow.py", FLOW)
    again = project.run("flow.py").result["reviews"]
    assert [(one["id"], one["status"]) for one in again] == [(first, "open")]
    assert project.raypipe("review", "approve", first, "--by", "ada").code == 0
    assert project.run("flow.py").result["outputs"] == {"used": 1}


def test_runs_with_other_parameters_keep_each_others_review(asked) -> None:
    project, _, first = asked
    second = project.run("flow.py", "--set", "n=2").result["reviews"][0]["id"]
    for one in (first, second):
        assert project.raypipe("review", "approve", one, "--by", "ada").code == 0
    assert project.run("flow.py").result["outputs"] == {"used": 1}
    assert project.run("flow.py", "--set", "n=2").result["outputs"] == {"used": 2}


def test_a_review_is_withdrawn_with_its_run_which_can_go_then(asked) -> None:
    project, run, first = asked
    assert project.raypipe("cancel", run, "--by", "ada").code == 0
    (one,) = project.raypipe("review", "list", "--json").result["reviews"]
    assert (one["id"], one["status"]) == (first, "withdrawn")
    assert one["note"] == f"run {run} was cancelled"
    refused = project.raypipe("review", "reject", first, "--by", "ada")
    assert (refused.code, f"run {run} was cancelled" in refused.err) == (2, True)
