"""A node or the head of a cluster dies in mid-run: the run ends with words, and another goes on."""

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from tests import ray_head
from tests.conftest import Project, kill_group

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.long]

FLOW = """
import time
from pathlib import Path

from raypipe import pipeline, step

HERE = Path({folder!r})


def ran(name):
    with (HERE / "log.txt").open("a") as file:
        file.write(name + "\\n")


@step
def first() -> int:
    ran("first")
    return 1


@step
def second(value: int) -> int:
    ran("second")
    while (HERE / "hold").exists():
        time.sleep(0.05)
    return value + 1


@pipeline
def flow():
    return second(first())
"""


def processes_named(head: ray_head.Head, name: str) -> list[int]:
    found = []
    for pid in ray_head.processes_of(head.place):
        with suppress(OSError):
            program = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
            if program.endswith(name.encode()):
                found.append(pid)
    return found


@pytest.mark.parametrize("killed", ["raylet", "gcs_server"])
def test_a_run_whose_cluster_dies_ends_with_words_and_the_next_goes_on(
    project: Project, killed: str, wait_until
) -> None:
    project.write("flow.py", FLOW.format(folder=str(project.folder)))
    hold, log = project.write("hold", ""), project.folder / "log.txt"
    with ray_head.head() as head:
        head.welcome(project)
        process = project.start("run", "flow.py", "--address", head.address, "--json")
        try:
            wait_until(lambda: log.exists() and "second" in log.read_text())
            (pid,) = processes_named(head, killed)
            os.kill(pid, signal.SIGKILL)
            out, err = process.communicate(timeout=200)
        finally:
            if process.poll() is None:
                kill_group(process)
    assert process.returncode in {6, 8}, err
    assert '"event":"result"' in out.strip().splitlines()[-1]
    assert "is dead" in out or "does not answer any more" in out
    hold.unlink()

    said = project.run("flow.py")

    assert said.result["outputs"] == {"result": 2}
    assert said.executed == ["second"]
    assert log.read_text().split() == ["first", "second", "second"]
