"""Steps on a running cluster: lost workers, what they leave, and resources that no node has."""

import json
import signal

import pytest

from raypipe.runtime.processes import marked
from tests.conftest import Project
from tests.ray_head import Head

pytestmark = [pytest.mark.ray, pytest.mark.slow]

FLOW = """
import os
import subprocess
import time
from pathlib import Path

from raypipe import pipeline, step


@step(retries=2)
def dies(mark: str, times: int) -> int:
    tries = Path(mark)
    with tries.open("a") as file:
        file.write("x")
    count = len(tries.read_text())
    if count <= times:
        subprocess.Popen(["sleep", "600"])
        subprocess.run(["sh", "-c", "setsid sleep 600 & exit"])
        if os.fork() == 0:  # it keeps the worker's sockets, so that Ray misses nobody
            time.sleep(600)
        time.sleep(0.2)
        os.kill(os.getpid(), 9)
    return count


@step(retries=2, retry_on=(OSError,))
def fails(mark: str) -> int:
    with Path(mark).open("a") as file:
        file.write("x")
    if len(Path(mark).read_text()) == 1:
        raise ConnectionResetError("once")
    raise ValueError("always")


@step(resources={"tpu": 1})
def on_a_tpu() -> int:
    return 1


@step(cache=False, num_cpus=0.5)
def counts(mark: str) -> int:
    with Path(mark).open("a") as file:
        file.write("x")
    return len(Path(mark).read_text())


@pipeline
def lost(mark: str, times: int = 2):
    return dies(mark, times)


@pipeline
def failing(mark: str):
    return fails(mark)


@pipeline
def waiting():
    return on_a_tpu()


@pipeline
def uncached(mark: str):
    return counts(mark)
"""


@pytest.fixture
def flow(project: Project, head: Head) -> Project:
    head.welcome(project)
    project.write("flow.py", FLOW)
    return project


def attempts(flow: Project, run: str) -> list[tuple[str, str]]:
    shown = flow.raypipe("runs", "show", run, "--json").result["run"]
    return [(one["status"], (one["error"] or {}).get("message", "")) for one in shown["executions"]]


def test_a_worker_that_dies_is_made_up_for_and_what_it_left_ends(flow: Project, head: Head) -> None:
    mark = flow.folder / "tries"
    said = flow.run("flow.py:lost", "--set", f"mark={mark}", "--address", head.address)
    assert said.result["outputs"] == {"result": 3}
    run = said.result["run"]
    assert [status for status, _ in attempts(flow, run)] == ["failed", "failed", "succeeded"]
    assert "lost its worker" in attempts(flow, run)[0][1]
    told = [json.loads(line) for line in said.out.splitlines()]  # and nothing that Ray prints
    assert [(one["cause"], one["left"]) for one in told if one["event"] == "retry"] == [
        ("lost", 1),
        ("lost", 0),
    ]
    assert "raylet" not in said.err
    assert marked(f"{run}:") == []


def test_only_listed_failures_are_tried_again(flow: Project, head: Head) -> None:
    mark = flow.folder / "tries"
    said = flow.raypipe(
        "run", "flow.py:failing", "--set", f"mark={mark}", "--address", head.address, "--json"
    )
    assert said.code == 6
    assert said.result["error"]["kind"] == "ValueError"
    assert mark.read_text() == "xx"


def test_what_no_node_has_is_said_while_a_step_waits_for_it(
    flow: Project, head: Head, wait_until
) -> None:
    process = flow.start("run", "flow.py:waiting", "--address", head.address, "--json")
    told = []
    while not told or told[-1]["event"] != "step_waits":
        told.append(json.loads(process.stdout.readline()))
    assert told[-1]["step"] == "on_a_tpu"
    assert told[-1]["what"] == "tpu=1, which no node of the cluster has now"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err


def test_an_uncached_step_runs_in_every_run(flow: Project, head: Head) -> None:
    mark = flow.folder / "tries"
    for expected in (1, 2):
        said = flow.run("flow.py:uncached", "--set", f"mark={mark}", "--address", head.address)
        assert said.result["outputs"] == {"result": expected}


def test_a_ray_of_our_own_refuses_at_once_what_it_can_never_have(project: Project) -> None:
    project.write("flow.py", FLOW)
    said = project.raypipe("run", "flow.py:waiting", "--runtime", "ray", "--json")
    assert said.code == 2
    assert (
        "asks for tpu=1, which this machine's Ray does not have" in said.result["error"]["message"]
    )
