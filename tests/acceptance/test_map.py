"""`.map()` and `when=` through the command: inline, and on a Ray of its own."""

import pytest

from tests.conftest import Project

FLOW = """
import os
from pathlib import Path

from raypipe import pipeline, review, step


@step
def numbers(n: int) -> list[int]:
    return list(range(n))


@step
def square(number: int, salt: int) -> int:
    with open("ran.txt", "a") as file:
        file.write(f"{number}\\n")
    return number * number + salt


@step
def is_large(total: int) -> bool:
    return total > 100


@step
def total(squares: list[int]) -> int:
    return sum(squares)


@step
def alarm(total: int) -> str:
    return f"{total} is large"


@pipeline
def flow(n: int = 4, salt: int = 0):
    squares = square.with_options(at_once=2).map(numbers(n), salt=salt)
    review({"squares": squares}, name="look", when=is_large(total(squares)))
    whole = total(squares)
    return {"alarm": alarm.with_options(when=is_large(whole))(whole), "total": whole}
"""


@pytest.fixture
def flow(project: Project) -> Project:
    project.write("flow.py", FLOW)
    return project


def squared(flow: Project) -> list[int]:
    """Return what was squared since the last look."""
    file = flow.folder / "ran.txt"
    found = sorted(map(int, file.read_text().split())) if file.exists() else []
    file.unlink(missing_ok=True)
    return found


def test_items_are_made_once_whether_inline_or_on_ray(flow: Project) -> None:
    first = flow.run("flow.py")
    assert first.result["outputs"] == {"alarm": None, "total": 14}
    assert squared(flow) == [0, 1, 2, 3]
    again = flow.run("flow.py", "--runtime", "inline")
    assert (again.executed, squared(flow)) == ([], [])
    longer = flow.run("flow.py", "--set", "n=6")
    assert squared(flow) == [4, 5]
    steps = {step["name"]: step["reason"]["kind"] for step in longer.result["steps"]}
    assert (steps["square[5]"], steps["square"], steps["alarm"]) == ("new", "same", "skipped")


@pytest.mark.ray
def test_items_run_as_ray_tasks(flow: Project) -> None:
    said = flow.run("flow.py", "--runtime", "ray", "--set", "n=5")
    assert said.result["outputs"]["total"] == 30
    assert squared(flow) == [0, 1, 2, 3, 4]
    assert flow.run("flow.py", "--set", "n=5").executed == []


def test_a_review_of_a_mapped_output_shows_its_values(flow: Project) -> None:
    waiting = flow.run("flow.py", "--set", "n=8")
    assert waiting.result["status"] == "waiting"
    (review,) = waiting.result["reviews"]
    shown = flow.raypipe("review", "show", review["id"])
    assert shown.code == 0
    assert "squares" in shown.out
    assert flow.raypipe("review", "approve", review["id"], "--by", "ann").code == 0
    done = flow.run("flow.py", "--set", "n=8")
    assert done.result["outputs"] == {"alarm": "140 is large", "total": 140}
    assert done.executed == []


def test_a_plan_and_why_speak_of_items(flow: Project) -> None:
    flow.run("flow.py")
    flow.edit("flow.py", "number * number", "number * number * 1")
    planned = flow.raypipe("plan", "flow.py", "--json")
    steps = {step["name"]: step for step in planned.result["steps"]}
    assert steps["square"]["action"] == "execute"
    assert "4 of 4 items" in steps["square"]["reason"]["detail"]
    said = flow.raypipe("why", "square[3]", "flow.py")
    assert "number * number * 1" in said.out


def test_an_item_can_be_forced_alone(flow: Project) -> None:
    flow.run("flow.py")
    assert flow.run("flow.py", "--force", "square[2]").executed == ["square[2]"]
    said = flow.raypipe("run", "flow.py", "--force", "squares[2]", "--json")
    assert said.code == 9
    assert "no step 'squares[2]'" in said.result["error"]["message"]


def test_an_item_that_fails_is_named_and_the_others_are_kept(flow: Project) -> None:
    flow.edit("flow.py", "    return number * number + salt", "    return 6 // (2 - number) + salt")
    failed = flow.raypipe("run", "flow.py", "--json")
    assert failed.code == 6
    assert failed.result["error"]["step"] == "square[2]"
    assert squared(flow) == [0, 1, 2]
    flow.raypipe("run", "flow.py", "--json")
    assert squared(flow) == [2]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("numbers(n), salt", "3, salt", "square.map() goes over a list or tuple, not int"),
        ("-> list[int]:\n    return list(range(n))", ":\n    return n", "which is no list"),
        ("return total > 100", "return total", "which is no bool"),
        ("at_once=2", "at_once=0", "at_once must be a whole number above 0, it is 0"),
    ],
    ids=["no list", "no list later", "no bool", "no number"],
)
def test_what_cannot_be_is_said_in_a_sentence(flow: Project, old: str, new: str, said: str) -> None:
    flow.edit("flow.py", old, new)
    failed = flow.raypipe("run", "flow.py")
    assert failed.code in {2, 6}
    assert said in failed.err
    assert "Traceback" not in failed.err
