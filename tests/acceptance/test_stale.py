"""Ways to an old or a wrong result that a key must tell apart, each with real files and runs."""

import os
import subprocess
import sys

import pytest

from tests.conftest import Project

TOP = """
from dataclasses import dataclass
from pathlib import Path
from raypipe import pipeline, step
"""


def answer(project: Project, *arguments: str) -> object:
    """Return what the flow gives."""
    return project.run("flow.py", *arguments).result["outputs"]["result"]


def test_the_methods_of_a_value_count_where_its_class_is_not_named(project: Project) -> None:
    project.write(
        "shapes.py",
        TOP
        + """
@dataclass
class Square:
    side: int

    def area(self):
        return self.side**2


def make():
    return Square(3)
""",
    )
    project.write("consumer.py", TOP + "@step\ndef measure(shape):\n    return shape.area()\n")
    project.write(
        "flow.py",
        TOP
        + """
from consumer import measure
from shapes import make


@step
def load():
    return make()


@pipeline
def flow():
    return measure(load())
""",
    )
    assert answer(project) == 9
    project.edit("shapes.py", "self.side**2", "self.side**2 + 1")
    assert answer(project) == 10


def test_steps_that_reach_the_same_code_are_told_apart(project: Project) -> None:
    project.write(
        "flow.py",
        TOP
        + """
def even_of(n):
    return n == 0 or odd_of(n - 1)


def odd_of(n):
    return n != 0 and even_of(n - 1)


@step
def even(n):
    return globals()["even_of"](n)


@step
def odd(n):
    return globals()["odd_of"](n)


@step
def both(one, other):
    return [one, other]


@pipeline
def flow():
    return both(even(4), odd(4))
""",
    )
    assert answer(project) == [True, False]


@pytest.mark.parametrize(
    "source",
    [
        "def scale(by):\n    @step\n    def scaled(x):\n        return by * x\n    return scaled\n"
        "double, triple = scale(2), scale(3)\n",
        "from functools import wraps\ndef scale(by, f):\n    @wraps(f)\n    def wrapped(x):\n"
        "        return by * f(x)\n    return wrapped\ndef same(x):\n    return x\n"
        "double, triple = step(scale(2, same)), step(scale(3, same))\n",
    ],
    ids=["closure", "wrapped"],
)
def test_steps_that_a_factory_made_are_refused(project: Project, source: str) -> None:
    project.write("flow.py", f"{TOP}{source}@pipeline\ndef flow():\n    return triple(double(1))\n")
    for command in ("run", "plan"):
        said = project.raypipe(command, "flow.py")
        assert said.code == 2, said.err
        assert "Traceback" not in said.err
        assert "step '" in said.err


def test_a_step_cannot_change_what_others_are_given(project: Project) -> None:
    project.write("input/rows.txt", "1 2 3")
    project.write(
        "flow.py",
        TOP
        + """
@step
def spoil(folder: Path):
    (folder / "rows.txt").write_text("9")
    return 1


@step
def count(folder: Path):
    return sum(map(int, (folder / "rows.txt").read_text().split()))


@pipeline
def flow(folder: Path = Path("input"), spoilt: bool = False):
    if spoilt:
        spoil(folder)
    return count(folder)
""",
    )
    said = project.raypipe("run", "flow.py", "--set", "spoilt=true")
    assert said.code == 6, said.err
    assert "changed 'input', which it was given" in said.err
    assert answer(project) == 6
    assert (project.folder / "input/rows.txt").read_text() == "1 2 3"


def test_code_that_is_edited_while_it_runs_gives_nothing_stale(project: Project) -> None:
    project.write("late.py", "def scale(x):\n    return 2 * x\n")
    project.write(
        "flow.py",
        TOP
        + """
ONCE = Path(__file__).parent / "once"


@step
def load():
    late = Path(__file__).parent / "late.py"
    if not ONCE.exists():
        ONCE.touch()
        late.write_text("def scale(x):\\n    return 3 * x\\n")
    from late import scale
    return scale(1)


@pipeline
def flow():
    return load()
""",
    )
    said = project.raypipe("run", "flow.py")
    assert said.code == 6, said.err
    assert "changed while it ran: its result is not kept" in said.err
    assert answer(project) == 3
    project.edit("late.py", "3 * x", "2 * x")
    assert answer(project) == 2


def test_the_order_of_a_dict_is_handed_over_as_it_was_given(project: Project) -> None:
    project.write(
        "flow.py",
        TOP
        + """
@step
def names(columns):
    return list(columns)


@pipeline
def flow(columns: dict[str, int]):
    return names(columns)
""",
    )
    assert answer(project, "--set", "columns={a: 1, b: 2}") == ["a", "b"]
    assert answer(project, "--set", "columns={b: 2, a: 1}") == ["b", "a"]


def test_a_literal_is_what_it_was_when_the_step_was_called(project: Project) -> None:
    project.write(
        "flow.py",
        TOP
        + """
@step
def total(numbers):
    return sum(numbers)


@step
def both(one, other):
    return [one, other]


@pipeline
def flow():
    numbers = [1]
    one = total(numbers)
    numbers.append(2)
    return both(one, total(numbers))
""",
    )
    assert answer(project) == [1, 3]


def test_what_a_script_binds_where_it_is_started_counts(project: Project) -> None:
    project.write(
        "flow.py",
        TOP
        + """
SCALE = 1


@step
def scale(x):
    return SCALE * x


@pipeline
def flow():
    return scale(1)


if __name__ == "__main__":
    SCALE = 2
    print(flow.run().outputs["result"])
""",
    )
    assert python(project) == "2"
    assert answer(project) == 1, "nothing is bound where it is not started as a script"
    project.edit("flow.py", "SCALE = 2", "SCALE = 3")
    assert python(project) == "3"
    assert answer(project) == 1


def test_code_that_is_loaded_from_a_file_counts(project: Project) -> None:
    project.write("plugins/scale.py", "SCALE = 2\n")
    project.write(
        "flow.py",
        TOP
        + """
import runpy


@step
def scale(x):
    return runpy.run_path(str(Path(__file__).parent / "plugins" / "scale.py"))["SCALE"] * x


@pipeline
def flow():
    return scale(1)
""",
    )
    assert answer(project) == 2
    project.edit("plugins/scale.py", "2", "3")
    assert answer(project) == 3


def test_what_the_script_changes_of_other_modules_counts(project: Project) -> None:
    project.write("helpers.py", "SCALE = 1\n")
    project.write(
        "steps.py", TOP + "import helpers\n@step\ndef scale(x):\n    return helpers.SCALE * x\n"
    )
    project.write(
        "flow.py",
        TOP
        + """
import helpers
from steps import scale

helpers.SCALE = 2


@pipeline
def flow():
    return scale(1)
""",
    )
    assert answer(project) == 2
    project.edit("flow.py", "SCALE = 2", "SCALE = 3")
    assert answer(project) == 3


def python(project: Project) -> str:
    """Run the flow with Python itself; return the last line that it prints."""
    said = subprocess.run(
        [sys.executable, "flow.py"],
        cwd=project.folder,
        env={**os.environ, "HOME": str(project.folder)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return said.stdout.strip().splitlines()[-1]
