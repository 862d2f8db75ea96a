"""A driver that is stopped is gone on without; when it wakes up, it comes too late to do harm."""

import json
import os
import signal
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Project, counts, kill_group

STEPS = ("first", "second", "third")
LAPSE = {"RAYPIPE_LAPSE": "1"}

FLOW = """
import time
from pathlib import Path

from raypipe import pipeline, step

HERE = Path(__file__).parent


def ran(name):
    with (HERE / "log.txt").open("a") as file:
        file.write(name + "\\n")


@step
def first() -> list[int]:
    ran("first")
    return [1, 2, 3]


@step
def second(values: list[int]) -> list[int]:
    ran("second")
    while (HERE / "hold").exists():
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


def stopped(flow: Project, wait_until) -> "subprocess.Popen[str]":
    """Start a run, and stop it in its second step."""
    flow.write("hold", "")
    process = flow.start("run", "flow.py", "--json", **LAPSE)
    wait_until(lambda: counts(flow.folder / "log.txt", STEPS)["second"] == 1)
    os.killpg(process.pid, signal.SIGSTOP)
    return process


def result(process: "subprocess.Popen[str]") -> dict:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err + out
    return json.loads(out.strip().splitlines()[-1])


def end(*processes: "subprocess.Popen[str]") -> None:
    for process in processes:
        if process.poll() is None:
            kill_group(process)


def rows_a_key(home: Path) -> set[int]:
    with sqlite3.connect(home / "ledger.db") as ledger:
        found = ledger.execute("SELECT count(*) FROM results GROUP BY key").fetchall()
    ledger.close()
    return {count for (count,) in found}


def test_who_waits_for_a_stopped_driver_takes_over_and_both_end_with_one_result_a_key(
    flow: Project, wait_until
) -> None:
    late = stopped(flow, wait_until)
    try:
        (shown,) = flow.raypipe("runs", "list", "--json").result["runs"]
        assert (shown["status"], shown["error"]["kind"]) == ("lost?", "Interrupted")
        (flow.folder / "hold").unlink()

        said = flow.run("flow.py", **LAPSE)

        assert said.result["outputs"] == {"result": 12}
        assert said.executed == ["second", "third"]
        runs = flow.raypipe("runs", "list", "--json").result["runs"]
        assert [run["status"] for run in runs] == ["succeeded", "failed"]
        assert "does not move" in runs[1]["error"]["message"]
        os.killpg(late.pid, signal.SIGCONT)
        after = result(late)
    finally:
        end(late)

    assert after["outputs"] == {"result": 12}
    digests = [{s["name"]: s["digest"] for s in one["steps"]} for one in (said.result, after)]
    assert digests[0] == digests[1]
    assert counts(flow.folder / "log.txt", STEPS) == {"first": 1, "second": 2, "third": 1}
    assert rows_a_key(flow.folder / ".raypipe") == {1}
    runs = flow.raypipe("runs", "list", "--json").result["runs"]
    assert [run["status"] for run in runs] == ["succeeded", "succeeded"]
    assert flow.run("flow.py").executed == []


def test_a_driver_that_wakes_up_in_time_loses_nothing(flow: Project, wait_until) -> None:
    """It beats again before who waits has seen it stand still for long."""
    first = stopped(flow, wait_until)
    second = flow.start("run", "flow.py", "--json", RAYPIPE_LAPSE="60")
    try:
        wait_until(lambda: len(flow.raypipe("runs", "list", "--json").result["runs"]) == 2)
        os.killpg(first.pid, signal.SIGCONT)
        (flow.folder / "hold").unlink()
        assert [result(one)["outputs"] for one in (first, second)] == [{"result": 12}] * 2
    finally:
        end(first, second)
    assert counts(flow.folder / "log.txt", STEPS) == dict.fromkeys(STEPS, 1)


def test_what_a_stopped_run_needs_is_not_cleaned_away(flow: Project, wait_until) -> None:
    process = stopped(flow, wait_until)
    try:
        assert flow.raypipe("clean", "--yes", **LAPSE).code == 0
        (flow.folder / "hold").unlink()
        os.killpg(process.pid, signal.SIGCONT)
        assert result(process)["outputs"] == {"result": 12}
    finally:
        end(process)
    assert counts(flow.folder / "log.txt", STEPS) == dict.fromkeys(STEPS, 1)
