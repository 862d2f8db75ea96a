"""A running cluster: the code travels to its workers, which know nothing of the project."""

from pathlib import Path

import pytest

from tests.acceptance import tiny
from tests.conftest import Project
from tests.ray_head import Head

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


def test_workers_get_the_project_s_code_and_its_edits(project: Project, head: Head) -> None:
    head.welcome(project)
    project.write("flows/flow.py", FLOW)
    project.write("flows/near.py", "def shift():\n    return 0\n")  # found beside the script
    project.write("lib/sums.py", "def add(x, y):\n    return x + y\n")

    said = project.run("flows/flow.py", "--address", head.address)
    outputs = said.result["outputs"]
    assert outputs["total"] == 6
    assert not Path(outputs["cwd"]).is_relative_to(project.folder)  # Ray's copy, unpacked

    first = said.result["run"]
    project.edit("lib/sums.py", "x + y", "x * y + 1")
    said = project.run("flows/flow.py", "--address", head.address)
    assert said.result["outputs"]["total"] == 10
    assert said.actions == {"here": "hit", "total": "execute", "total#2": "execute"}

    then = project.run("--resume", first, "--force", "total")  # there, with the code of then
    assert then.result["outputs"]["total"] == 6
    assert then.actions["total"] == "execute"

    again = project.run("flows/flow.py", "--address", "127.0.0.1:1")
    assert set(again.actions.values()) == {"hit"}  # what is kept needs no cluster


def test_a_cycle_runs_on_a_cluster_with_the_user_s_model(project: Project, head: Head) -> None:
    head.welcome(project)
    tiny.make(project)

    said = project.raypipe("run", "tiny.yaml", "--address", head.address, "--json", timeout=240)

    assert said.code == 0, said.err
    assert said.result["status"] == "waiting"
    inline = tiny.run(project)
    assert inline.executed == []  # where a step ran does not count
