"""After an edit exactly the right steps run, and the answer is right.

Nothing stale, nothing twice.
"""

import pytest

from tests.conftest import Project

STEPS = ("load", "validate", "preprocess", "train", "analyze")

FLOW = '''
"""Five steps in a row."""
from pathlib import Path

from raypipe import pipeline, step
from lib.helpers import widen

LOG = Path(__file__).parent / "log.txt"
OFFSET = 3


def ran(name):
    with LOG.open("a") as file:
        file.write(name + "\\n")


def scale(values, by):
    return [value * by for value in values]


@step
def load(source: Path) -> list[int]:
    ran("load")
    return [int(line) for line in source.read_text().split()]


@step
def validate(rows: list[int]) -> list[int]:
    ran("validate")
    assert rows
    return rows


@step
def preprocess(rows: list[int]) -> list[int]:
    ran("preprocess")
    shifted = [row + OFFSET for row in rows]
    return widen(scale(shifted, 2))


@step
def train(rows: list[int], rate: int) -> int:
    ran("train")
    return sum(rows) * rate


@step
def analyze(model: int) -> str:
    ran("analyze")
    return f"model {model}"


@pipeline
def flow(source: Path = Path("input.txt"), rate: int = 1):
    return analyze(train(preprocess(validate(load(source))), rate))
'''

HELPERS = '''
"""Helpers of the flow."""


def widen(values):
    return [value + 1 for value in values]
'''

# name: (file, old text, new text), steps that must run, answer
EDITS = {
    "no change": (None, (), "model 38"),
    "a comment": (("flow.py", "    assert rows\n", "    assert rows  # some\n"), (), "model 38"),
    "a body, same result": (
        (
            "flow.py",
            "shifted = [row + OFFSET for row in rows]",
            "shifted = [OFFSET + row for row in rows]",
        ),
        ("preprocess",),
        "model 38",
    ),
    "a body, other result": (
        ("flow.py", "row + OFFSET", "row + OFFSET + 1"),
        ("preprocess", "train", "analyze"),
        "model 46",
    ),
    "a helper in the same module": (
        ("flow.py", "value * by", "value * by * 10"),
        ("preprocess", "train", "analyze"),
        "model 344",
    ),
    "a helper in another module": (
        ("lib/helpers.py", "value + 1", "value + 2"),
        ("preprocess", "train", "analyze"),
        "model 42",
    ),
    "a module constant": (
        ("flow.py", "OFFSET = 3", "OFFSET = 4"),
        ("preprocess", "train", "analyze"),
        "model 46",
    ),
    "the input's content": (("input.txt", "1 2 3 -1", "1 2 3 0"), STEPS, "model 40"),
    "one step's parameter": (
        ("flow.py", "rate: int = 1", "rate: int = 2"),
        ("train", "analyze"),
        "model 76",
    ),
}


@pytest.fixture
def flow(project: Project) -> Project:
    """The flow, run once."""
    project.write("flow.py", FLOW)
    project.write("lib/helpers.py", HELPERS)
    project.write("input.txt", "1 2 3 -1")
    assert project.run("flow.py").result["outputs"] == {"result": "model 38"}
    (project.folder / "log.txt").unlink()
    return project


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_runs_what_it_touches_and_no_more(flow: Project, edit: str) -> None:
    change, expected, answer = EDITS[edit]
    if change is not None:
        flow.edit(*change)

    planned = flow.raypipe("plan", "flow.py", "--json")
    said = flow.run("flow.py")

    log = flow.folder / "log.txt"
    ran = log.read_text().split() if log.exists() else []
    assert ran == list(expected)
    assert said.executed == list(expected)
    assert said.result["outputs"] == {"result": answer}
    assert planned.executed == list(expected[:1])


def test_what_ran_after_an_edit_is_kept_beside_what_ran_before(flow: Project) -> None:
    flow.edit("flow.py", "OFFSET = 3", "OFFSET = 4")
    flow.run("flow.py")
    flow.edit("flow.py", "OFFSET = 4", "OFFSET = 3")

    assert flow.run("flow.py").executed == []


def test_the_reason_names_the_symbol_and_why_shows_its_lines(flow: Project) -> None:
    flow.edit("lib/helpers.py", "value + 1", "value + 2")

    steps = {s["name"]: s for s in flow.raypipe("plan", "flow.py", "--json").result["steps"]}
    assert steps["preprocess"]["reason"] == {
        "kind": "code",
        "what": "lib.helpers:widen",
        "detail": "changed",
    }
    assert steps["train"]["action"] == "open"
    why = flow.raypipe("why", "preprocess", "flow.py")
    assert "+    return [value + 2 for value in values]" in why.out
    assert "-    return [value + 1 for value in values]" in why.out
