"""kill -9 in the middle of a run loses nothing that was recorded; a torn artifact is made again."""

import json
import os
import shutil
import subprocess
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


ROTTEN = """
import numpy as np

from raypipe import pipeline, step


@step
def make(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.float64)


@step
def total(values: np.ndarray, by: int) -> float:
    return by * float(values.sum())


@pipeline
def flow(by: int = 1):
    values = make(100_000)
    return {"values": values, "total": total(values, by)}
"""


@pytest.mark.parametrize("kept", ["folder", "objects"])
@pytest.mark.parametrize("by", [1, 2])
def test_bit_rot_costs_the_run_that_meets_it_a_step_and_nothing_else(
    project: Project, monkeypatch, kept: str, by: int
) -> None:
    """Whether a step is given what rotted, or only who reads what the run gives finds out."""
    if kept == "objects":
        monkeypatch.setenv("RAYPIPE_ARTIFACTS", f"file://{project.folder}/objects")
    project.write("flow.py", ROTTEN)
    project.run("flow.py")
    folder = project.folder / (".raypipe/artifacts" if kept == "folder" else "objects")
    (file,) = (one for one in folder.rglob("*") if one.is_file() and one.stat().st_size == 800_000)
    before = file.stat()
    file.chmod(0o644)
    file.write_bytes(b"y" * 800_000)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    shutil.rmtree(project.folder / ".raypipe" / "cache", ignore_errors=True)

    said = project.raypipe("run", "flow.py", "--set", f"by={by}", "--json")

    assert said.code == 0, said.err
    assert said.executed == (["make"] if by == 1 else ["make", "total"])
    assert said.result["outputs"]["total"] == by * 4_999_950_000.0
    assert project.run("flow.py", "--set", f"by={by}").executed == []


def started(flow: Project, wait_until) -> subprocess.Popen[str]:
    """Start a run that holds in its second step."""
    flow.write("hold", "")
    process = flow.start("run", "flow.py", "--json")
    wait_until(lambda: counts(flow.folder / "log.txt", STEPS)["second"] == 1)
    return process


def runs_of(flow: Project) -> list[dict]:
    return flow.raypipe("runs", "list", "--json").result["runs"]


def test_a_run_that_was_killed_is_no_longer_under_way(flow: Project, wait_until) -> None:
    process = started(flow, wait_until)
    assert runs_of(flow)[0]["status"] == "running"
    kill_group(process)

    (lost,) = runs_of(flow)
    assert lost["status"] == "failed"
    assert "process ended before" in lost["error"]["message"]

    (flow.folder / "hold").unlink()
    flow.run("flow.py")
    assert [one["status"] for one in runs_of(flow)] == ["succeeded", "failed"]
    shown = flow.raypipe("runs", "show", lost["id"], "--json").result["run"]
    assert {one["status"] for one in shown["executions"]} == {"succeeded", "failed"}


def test_sigterm_ends_a_run_like_ctrl_c(flow: Project, wait_until) -> None:
    process = started(flow, wait_until)
    process.terminate()
    out, err = process.communicate(timeout=30)

    assert process.returncode == 130, err
    results = [line for line in map(json.loads, out.splitlines()) if line["event"] == "result"]
    assert [one["status"] for one in results] == ["cancelled"]
    assert runs_of(flow)[0]["status"] == "cancelled"


def test_what_a_run_under_way_needs_is_not_cleaned_away(flow: Project, wait_until) -> None:
    process = started(flow, wait_until)
    assert flow.raypipe("clean", "--yes").code == 0
    assert list((flow.folder / ".raypipe" / "work").iterdir())
    (flow.folder / "hold").unlink()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err

    assert flow.raypipe("clean", "--yes").code == 0
    assert flow.run("flow.py").executed == []


def test_a_ledger_that_lost_its_content_is_no_new_home(flow: Project) -> None:
    flow.run("flow.py")
    ledger = flow.folder / ".raypipe" / "ledger.db"
    for file in ledger.parent.glob("ledger.db*"):
        file.unlink()
    ledger.touch()
    os.utime(ledger, (1, 1))
    for command in (["run", "flow.py"], ["runs", "list"]):
        said = flow.raypipe(*command)
        assert said.code == 7
        assert "is empty: it has lost what was in it" in said.err


def test_a_step_that_ends_the_process_with_0_has_failed(project: Project) -> None:
    """`raypipe run && deploy` would go on after half a run."""
    project.write(
        "leaves.py",
        "import os\nfrom raypipe import pipeline, step\n\n\n@step\ndef leave() -> int:\n"
        "    os._exit(0)\n\n\n@pipeline\ndef flow():\n    return leave()\n",
    )
    said = project.raypipe("run", "leaves.py", "--json")
    assert said.code == 6, said.err
    assert "os._exit(0)" in said.result["error"]["message"]
