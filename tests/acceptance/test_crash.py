"""kill -9 in the middle of a run loses nothing that was recorded; a torn artifact is made again."""

from pathlib import Path

import pytest

from tests.conftest import Project, counts, kill_group

STEPS = ("first", "second", "third")

FLOW = """
import time
from pathlib import Path

from raypipe import pipeline, step

LOG = Path(__file__).parent / "log.txt"


def ran(name):
    with LOG.open("a") as file:
        file.write(name + "\\n")


@step
def first() -> list[int]:
    ran("first")
    return [1, 2, 3]


@step
def second(values: list[int]) -> list[int]:
    ran("second")
    while (Path(__file__).parent / "hold").exists():
        time.sleep(0.02)
    return [value * 2 for value in values]


@step
def third(values: list[int]) -> int:
    ran("third")
    return sum(values)


@pipeline
def flow():
    return third(second(first()))
"""


@pytest.fixture
def flow(project: Project) -> Project:
    project.write("flow.py", FLOW)
    return project


@pytest.mark.parametrize(
    "runtime", ["inline", pytest.param("ray", marks=[pytest.mark.ray, pytest.mark.slow])]
)
def test_after_a_kill_only_what_was_not_recorded_runs(
    flow: Project, runtime: str, wait_until
) -> None:
    hold = flow.write("hold", "")
    log = flow.folder / "log.txt"
    process = flow.start("run", "flow.py", "--runtime", runtime)
    wait_until(lambda: counts(log, STEPS)["second"] == 1)
    kill_group(process)
    hold.unlink()

    said = flow.run("flow.py", "--runtime", runtime)

    assert said.result["outputs"] == {"result": 12}
    assert said.executed == ["second", "third"]
    assert counts(log, STEPS) == {"first": 1, "second": 2, "third": 1}


def test_a_torn_artifact_is_made_again(flow: Project) -> None:
    digest = {s["name"]: s["digest"] for s in flow.run("flow.py").result["steps"]}["second"]
    artifact = flow.folder / ".raypipe" / "artifacts" / digest
    artifact.chmod(0o644)
    artifact.write_bytes(artifact.read_bytes()[:5])

    said = flow.run("flow.py")

    assert said.executed == ["second"]
    reasons = {s["name"]: s["reason"]["kind"] for s in said.result["steps"]}
    assert reasons["second"] == "lost artifact"
    assert said.result["outputs"] == {"result": 12}


def test_a_missing_artifact_is_made_again(flow: Project) -> None:
    digest = {s["name"]: s["digest"] for s in flow.run("flow.py").result["steps"]}["first"]
    Path(flow.folder, ".raypipe", "artifacts", digest).unlink()

    assert flow.run("flow.py").executed == ["first"]
    assert flow.run("flow.py").executed == []
