"""A driver that is stopped is gone on without; when it wakes up, it comes too late to do harm."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Project, counts, kill_group
from tests.receiver import Receiver, receiver

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

DRIVER = """
import os
import signal
import sys
from dataclasses import replace

from raypipe.app import outbox
from raypipe.app.prepare import prepare
from raypipe.app.request import RunRequest
from raypipe.app.run import run_prepared

url, point = sys.argv[1:]


def stop_once(name):
    global point
    if name == point:
        point = ""
        os.kill(os.getpid(), signal.SIGSTOP)


outbox.fault_point = stop_once
asked = RunRequest(target="flow.py")
notify = {"notify": [{"url": url, "on": ["succeeded", "failed"], "timeout": 5.0}]}
outcome = run_prepared(replace(prepare(asked, write=True), settings=notify), asked)
assert outcome.outputs == {"result": 12}, outcome.error
print(outcome.run)
"""
"""A run that tells of its end, and stops itself at a fault point of the outbox."""


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


# --- what goes outside --------------------------------------------------------------------------


@pytest.fixture
def told() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def drive(flow: Project, told: Receiver, point: str = "") -> "subprocess.Popen[str]":
    """Start a driver that tells of its end."""
    flow.write("driver.py", DRIVER)
    return subprocess.Popen(
        [sys.executable, "driver.py", told.url, point],
        cwd=flow.folder,
        env={**os.environ, "HOME": str(flow.folder), **LAPSE},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run_of(driver: "subprocess.Popen[str]") -> str:
    """Return the run of a driver that came to its end."""
    try:
        out, err = driver.communicate(timeout=60)
    finally:
        end(driver)
    assert driver.returncode == 0, err + out
    return out.strip()


def is_stopped(process: "subprocess.Popen[str]") -> bool:
    assert process.poll() is None, process.communicate()
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def ends(told: Receiver) -> Counter[tuple[str, str]]:
    """Count the posts of each end of a run; a notice has one key and says one thing."""
    texts: dict[str, str] = {}
    keys: dict[tuple[str, str], str] = {}
    for key, body in told.posts:
        end = body["run"], body["status"]
        assert keys.setdefault(end, key) == key, "the same is told under two keys"
        assert texts.setdefault(key, body["text"]) == body["text"], "one key is of two things"
    return Counter((body["run"], body["status"]) for _, body in told.posts)


def is_all_delivered(flow: Project, notices: int) -> bool:
    every = flow.raypipe("outbox", "list", "--status", "all", "--json").result["effects"]
    return [one["status"] for one in every] == ["delivered"] * notices


def test_each_end_of_a_run_is_told_once_though_its_driver_stood_still(
    flow: Project, told: Receiver, wait_until
) -> None:
    """The first is given up for lost, and then comes to its end all the same."""
    flow.write("hold", "")
    late = drive(flow, told)
    try:
        wait_until(lambda: counts(flow.folder / "log.txt", STEPS)["second"] == 1)
        os.killpg(late.pid, signal.SIGSTOP)
        (flow.folder / "hold").unlink()
        soon = run_of(drive(flow, told))
        assert sorted(told.events) == ["failed", "succeeded"]
        os.killpg(late.pid, signal.SIGCONT)
        first = run_of(late)
    finally:
        end(late)

    assert ends(told) == {(first, "failed"): 1, (soon, "succeeded"): 1, (first, "succeeded"): 1}
    assert is_all_delivered(flow, 3)
    assert rows_a_key(flow.folder / ".raypipe") == {1}
    assert counts(flow.folder / "log.txt", STEPS) == {"first": 1, "second": 2, "third": 1}


@pytest.mark.parametrize(
    ("point", "posts"),
    [
        ("in the post", 2),
        ("effect.begun", 2),
        ("effect.done", 2),
        ("effect.recorded", 1),
    ],
)
def test_a_driver_that_is_stopped_while_it_tells_tells_nobody_twice_and_nobody_never(
    flow: Project, told: Receiver, wait_until, point: str, posts: int
) -> None:
    """What it had in hand is posted by who takes over, and perhaps again: under the same key."""
    late = drive(flow, told, point)
    if point == "in the post":

        def stop_first() -> None:
            told.taking = lambda: None
            os.killpg(late.pid, signal.SIGSTOP)

        told.taking = stop_first
    try:
        wait_until(lambda: is_stopped(late))
        assert len(told.posts) == (0 if point == "effect.begun" else 1)

        soon = run_of(drive(flow, told))

        assert told.events == ["succeeded"] * 2, "who comes next leaves nothing untold"
        assert is_all_delivered(flow, 2)
        os.killpg(late.pid, signal.SIGCONT)
        first = run_of(late)
    finally:
        end(late)

    assert ends(told) == {(first, "succeeded"): posts, (soon, "succeeded"): 1}
    assert len(told.taken) == 2
    assert is_all_delivered(flow, 2)
    assert rows_a_key(flow.folder / ".raypipe") == {1}
    assert counts(flow.folder / "log.txt", STEPS) == dict.fromkeys(STEPS, 1)
