"""Cleaning takes what nothing needs, says so first, and is safe beside runs that are under way."""

import subprocess
import sys
from pathlib import Path

import pytest

from raypipe.app.clean import clean
from raypipe.app.doctor import verify
from raypipe.app.look import look
from tests.conftest import Project

FLOW = """\
import random
from pathlib import Path

from raypipe import pipeline, step
from raypipe.engine.context import current


@step(cache=False)
def draw(who: str) -> list[bytes]:
    return [bytes([random.randrange(4)]) * 5_000 for _ in range(2)]


@step(cache=False)
def write(drawn: list[bytes]) -> Path:
    folder = current().scratch / "out"
    folder.mkdir(exist_ok=True)
    for number, content in enumerate(drawn):
        (folder / f"{number}.bin").write_bytes(content)
    return folder


@step
def size(folder: Path, drawn: list[bytes]) -> int:
    return sum(len(file.read_bytes()) for file in folder.iterdir()) + len(drawn)


@pipeline
def flow(who: str = ""):
    drawn = draw(who)
    return {"size": size(write(drawn), drawn)}
"""
RUNNER = """
import sys
from pathlib import Path
from raypipe.app.request import RunRequest
from raypipe.app.run import run

home, who = Path(sys.argv[1]), sys.argv[2]
for _ in range(25):
    request = RunRequest(target="flow.py", home=home, sets=(f"who={who}",))
    outcome = run(request)
    assert outcome.status == "succeeded", (outcome.failed, outcome.error)
    assert outcome.values == {"size": 10_002}
"""


@pytest.fixture
def flow(project: Project) -> Project:
    project.write("flow.py", FLOW)
    return project


def start(project: Project, home: Path, who: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", RUNNER, home, who],
        cwd=project.folder,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_cleaning_beside_runs_takes_nothing_that_they_need(flow: Project, tmp_path) -> None:
    """Each run's results replace those before, so that there is always something to remove.

    What a run publishes is often there already, left by another run and needed by nobody.
    """
    home = tmp_path / "home"
    runners = [start(flow, home, who) for who in ("ann", "bob")]
    removed = []
    while any(runner.poll() is None for runner in runners):
        removed.append(clean(home, dry_run=False, runs=0)["count"]) if home.is_dir() else None
    for runner in runners:
        _, err = runner.communicate()
        assert runner.returncode == 0, err

    assert sum(removed) > 20
    clean(home, dry_run=False, runs=0)
    assert all(check.ok for check in verify(home))
    workshop = look(home)
    assert set(workshop.artifacts.list()) == workshop.ledger.live_artifacts()
    assert not list((home / "uses").glob("run-*"))
