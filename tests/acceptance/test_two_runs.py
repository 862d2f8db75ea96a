"""Two identical runs at once: each step executes once, and both end right."""

import json

from tests.conftest import Project, counts

STEPS = ("first", "second", "third")

FLOW = """
import time
from pathlib import Path

from raypipe import pipeline, step

LOG = Path(__file__).parent / "log.txt"


def ran(name):
    with LOG.open("a") as file:
        file.write(name + "\\n")
    time.sleep(0.3)


@step
def first() -> int:
    ran("first")
    return 1


@step
def second(value: int) -> int:
    ran("second")
    return value + 1


@step
def third(value: int) -> int:
    ran("third")
    return value + 1


@pipeline
def flow():
    return third(second(first()))
"""


def test_each_step_executes_once_however_many_runs_there_are(project: Project) -> None:
    project.write("flow.py", FLOW)
    runs = [project.start("run", "flow.py", "--json") for _ in range(4)]
    said = [run.communicate(timeout=100) for run in runs]

    assert [run.returncode for run in runs] == [0] * 4, said
    results = [json.loads(out.strip().splitlines()[-1]) for out, _ in said]
    assert [result["outputs"] for result in results] == [{"result": 3}] * 4
    assert counts(project.folder / "log.txt", STEPS) == dict.fromkeys(STEPS, 1)
