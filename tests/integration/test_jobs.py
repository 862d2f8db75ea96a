"""`ray job submit` to a running head, with a working directory and a home outside of it."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance import tiny
from tests.conftest import Project
from tests.ray_head import RAY, Head

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SCRIPTS = Path(__file__).parents[2] / "scripts"
WHERE_IT_RAN = """

import ray

if ray.is_initialized():
    with open({probe!r}, "a") as file:
        file.write(ray.get_runtime_context().gcs_address + "\\n")
"""

FLOW = """
import ray

from near import where
from raypipe import pipeline, step


@step
def look() -> dict:
    return {"near": where(), "cluster": ray.get_runtime_context().gcs_address}


@pipeline
def flow():
    return {"found": look()}
"""


@dataclass(frozen=True)
class Ended:
    """A job that came to its end."""

    status: str
    """As `ray job submit` says it."""
    log: str

    @property
    def result(self) -> dict[str, Any]:
        """The last JSON line of its log."""
        return json.loads([line for line in self.log.splitlines() if line.startswith("{")][-1])

    @property
    def executed(self) -> list[str]:
        return [step["name"] for step in self.result["steps"] if step["action"] == "execute"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home beside the project, so that no job's working directory holds it."""
    monkeypatch.setenv("RAYPIPE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def project(tmp_path: Path, home: Path, head: Head) -> Project:
    """The tiny project with its data imported and the scripts in it."""
    project = Project(tmp_path / "project")
    project.write("pyproject.toml", "[project]\nname = 'mine'\nversion = '0'\n")
    for script in ("submit_cycle.py", "run_cycle.py"):
        project.write(f"scripts/{script}", (SCRIPTS / script).read_text())
    head.welcome(project)
    return tiny.make(project)


def submit(project: Project, head: Head, *command: str, **variables: str) -> Ended:
    """Submit a job, with the project's folder as its working directory, and wait for its end."""
    environment = json.dumps({"env_vars": variables, "excludes": [".ray"]})
    submitted = [
        RAY, "job", "submit", f"--address={head.dashboard}", "--working-dir=.",
        f"--runtime-env-json={environment}", "--", sys.executable, *command,
    ]  # fmt: skip
    done = subprocess.run(
        submitted,
        cwd=project.folder,
        env={**os.environ, "HOME": str(project.folder), "RAY_AUTH_MODE": "token"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    log = done.stdout + done.stderr
    assert ("succeeded" in log) == (done.returncode == 0), log
    return Ended("succeeded" if done.returncode == 0 else "failed", log)


def as_in_a_job(project: Project, *command: str) -> int:
    """Run what a job runs, of which all is kept, without a job; return its exit code."""
    environment = {**os.environ, "RAY_JOB_CONFIG_JSON_ENV_VAR": "{}"}
    asked = [sys.executable, *command]
    return subprocess.run(asked, cwd=project.folder, env=environment, check=False).returncode


def runs_of(project: Project) -> list[dict[str, Any]]:
    """Return the runs of the cycle, newest first, which an import is none of."""
    runs = project.raypipe("runs", "list", "--json").result["runs"]
    return [run for run in runs if run["pipeline"] == "tiny"]


def test_a_cycle_is_submitted_reviewed_and_submitted_again(
    project: Project, head: Head, home: Path, tmp_path: Path
) -> None:
    project.write("my_model.py", tiny.MODEL + WHERE_IT_RAN.format(probe=str(tmp_path / "probe")))
    command = ("scripts/submit_cycle.py", "tiny.yaml", "--home", str(home))

    first = submit(project, head, *command)
    assert first.status == "succeeded", first.log
    assert first.result["status"] == "waiting"
    assert "▸ train" in first.log  # progress, step by step
    ran_on = {line.rpartition(":")[2] for line in (tmp_path / "probe").read_text().split()}
    assert ran_on == {head.address.rpartition(":")[2]}  # not on a Ray of the job's own
    assert tiny.run(project).executed == []  # on this machine, all of it is found

    runs = runs_of(project)
    assert {(run["project"], run["status"]) for run in runs} == {("mine", "waiting")}
    again = f"ray job submit --working-dir . -- python {' '.join(command)}"
    assert runs[1]["parameters"]["command"] == again
    assert runs[1]["parameters"]["target"] == "tiny.yaml"  # and no folder of Ray's

    assert as_in_a_job(project, *command, "--require-done") == 3
    assert again in tiny.approve(project).out

    second = submit(project, head, "scripts/run_cycle.py", "tiny.yaml", RAYPIPE_HOME=str(home))
    assert second.status == "succeeded", second.log
    assert "tiny@1.0.0, approved by ada" in second.log

    assert tiny.run(project).result["status"] == "succeeded"
    assert tiny.run(project).executed == []


@pytest.mark.long
def test_a_job_ends_with_the_exit_code_of_what_stopped_it(
    project: Project, head: Head, home: Path
) -> None:
    command = ("scripts/submit_cycle.py", "tiny.yaml")
    homeless = submit(project, head, *command)
    assert homeless.result["error"]["message"] == "inside a Ray job the home must be given"
    assert "exit code 2" in homeless.log

    project.edit("my_helpers.py", "return values / 2", "raise ValueError('no such wind')")
    failed = submit(project, head, *command, "--home", str(home))
    assert failed.status == "failed"
    assert failed.result["error"]["exit"] == 6
    assert "exit code 6" in failed.log
    assert "no such wind" in failed.result["error"]["message"]
    runs = runs_of(project)
    assert [run["status"] for run in runs] == ["failed"]


def test_a_job_gives_its_workers_the_project_that_it_runs_wherever_that_lies(
    project: Project, head: Head, home: Path, tmp_path: Path
) -> None:
    """A snapshot of it, in place of the job's working directory; and `raypipe run` is a job too."""
    other = Project(tmp_path / "other")
    other.write("flow.py", FLOW)
    other.write("near.py", "def where():\n    return 'other'\n")
    project.write("near.py", "def where():\n    return 'submitted'\n")

    flow = str(other.folder / "flow.py")
    done = submit(
        project, head, "-m", "raypipe", "run", flow, f"--home={home}", "--runtime=ray", "--json"
    )

    assert done.status == "succeeded", done.log
    found = done.result["outputs"]["found"]
    assert found["near"] == "other"
    assert found["cluster"].endswith(head.address.rpartition(":")[2])
