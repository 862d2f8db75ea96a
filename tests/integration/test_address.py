"""A running cluster: the code travels to its workers, which know nothing of the project."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance import tiny
from tests.conftest import Project

pytestmark = [pytest.mark.ray, pytest.mark.slow]

FLOW = """
import os

from lib.sums import add
from near import shift
from raypipe import pipeline, step


@step
def here() -> str:
    return os.getcwd()


@step
def total(x: int, y: int) -> int:
    return add(x, y) + shift()


@pipeline
def flow(x: int = 1):
    return {"cwd": here(), "total": total(total(x, 2), 3)}
"""


def free_port() -> int:
    """Return a port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def running_in(place: Path) -> list[int]:
    """Return the processes whose command line names a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and str(place) in (entry / "cmdline").read_text():
                found.append(int(entry.name))
    return found


@pytest.fixture(scope="module")
def head() -> Iterator[tuple[str, Path]]:
    """A Ray head of its own, with a token: its address, and the home folder that has the token."""
    place = Path(tempfile.mkdtemp(prefix="rph-", dir="/tmp"))
    (place / ".ray").mkdir()
    (place / ".ray" / "auth_token").write_text(secrets.token_hex(32))
    (place / ".ray" / "auth_token").chmod(0o600)
    port = free_port()
    command = [
        str(Path(sys.executable).parent / "ray"), "start", "--head", "--block",
        f"--port={port}", "--num-cpus=2", "--include-dashboard=false", "--disable-usage-stats",
        f"--temp-dir={place / 't'}",
    ]  # fmt: skip
    log = (place / "log").open("w")
    process = subprocess.Popen(
        command,
        cwd=place,
        env={k: v for k, v in os.environ.items() if k[:4] != "RAY_"} | {"HOME": str(place)},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 90
        while "Ray runtime started" not in (place / "log").read_text():
            assert process.poll() is None, (place / "log").read_text()
            assert time.monotonic() < deadline, (place / "log").read_text()
            time.sleep(0.2)
        yield f"127.0.0.1:{port}", place
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pid in running_in(place):
            os.kill(pid, signal.SIGKILL)
        log.close()
        shutil.rmtree(place, ignore_errors=True)


def share_token(project: Project, place: Path) -> None:
    """Give a project's user the cluster's token, where Ray looks for it."""
    shutil.copytree(place / ".ray", project.folder / ".ray", dirs_exist_ok=True)


def test_workers_get_the_project_s_code_and_its_edits(
    project: Project, head: tuple[str, Path]
) -> None:
    address, place = head
    share_token(project, place)
    project.write("flows/flow.py", FLOW)
    project.write("flows/near.py", "def shift():\n    return 0\n")  # found beside the script
    project.write("lib/sums.py", "def add(x, y):\n    return x + y\n")

    said = project.run("flows/flow.py", "--address", address)
    outputs = said.result["outputs"]
    assert outputs["total"] == 6
    assert not Path(outputs["cwd"]).is_relative_to(project.folder)  # Ray's copy, unpacked

    project.edit("lib/sums.py", "x + y", "x * y")
    said = project.run("flows/flow.py", "--address", address)
    assert said.result["outputs"]["total"] == 6
    assert said.actions == {"here": "hit", "total": "execute", "total#2": "execute"}

    again = project.run("flows/flow.py", "--address", "127.0.0.1:1")
    assert set(again.actions.values()) == {"hit"}  # what is kept needs no cluster


def test_a_cycle_runs_on_a_cluster_with_the_user_s_model(
    project: Project, head: tuple[str, Path]
) -> None:
    address, place = head
    share_token(project, place)
    tiny.make(project)

    said = project.raypipe("run", "tiny.yaml", "--address", address, "--json", timeout=240)

    assert said.code == 0, said.err
    assert said.result["status"] == "waiting"
    inline = tiny.run(project)
    assert inline.executed == []  # where a step ran does not count
