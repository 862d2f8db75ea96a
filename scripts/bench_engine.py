"""Start-up, cached reruns and the engine's share of a step in CPU seconds; a large value's way."""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench_common import cpu, once, row
from bench_project import write_project

RAYPIPE = [sys.executable, "-m", "raypipe"]

FIVE = """
from raypipe import pipeline, step


@step
def load() -> list[int]:
    return [1, 2, 3]


@step
def validate(rows: list[int]) -> list[int]:
    return rows


@step
def preprocess(rows: list[int]) -> list[int]:
    return [row * 2 for row in rows]


@step
def train(rows: list[int]) -> int:
    return sum(rows)


@step
def analyze(model: int) -> str:
    return f"model {model}"


@pipeline
def flow():
    return analyze(train(preprocess(validate(load()))))
"""

MANY = """
from raypipe import pipeline, step


@step
def one(number: int, salt: int) -> int:
    return number + salt


@pipeline
def flow(count: int = 1000, salt: int = 0):
    return {str(number): one(number, salt) for number in range(count)}
"""


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="raypipe-bench-") as name:
        folder = Path(name)
        (folder / "pyproject.toml").write_text("")
        (folder / "five.py").write_text(FIVE)
        (folder / "many.py").write_text(MANY)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("RAYPIPE_")}

        def spent(command: list[str]) -> float:
            return cpu(command, folder, environment=environment)

        bare = spent([sys.executable, "-c", "pass"])
        row("bare python", bare, None)
        row(
            "import raypipe, above bare python",
            spent([sys.executable, "-c", "import raypipe"]) - bare,
            0.10,
        )
        row("raypipe --help, above bare python", spent([*RAYPIPE, "--help"]) - bare, 0.10)
        row("cached rerun of five steps, whole process", spent([*RAYPIPE, "run", "five.py"]), 0.35)
        none = spent([*RAYPIPE, "run", "many.py", "--set", "count=1"])
        cached = spent([*RAYPIPE, "run", "many.py"])
        row("each further cached step (1,000 steps)", 1000 * (cached - none) / 999, 1.0, "ms")
        executed = statistics.median(
            once([*RAYPIPE, "run", "many.py", "--set", f"salt={salt}"], folder, environment)
            for salt in (1, 2, 3)
        )
        row(
            "engine's share of an executed step, inline, durable",
            1000 * (executed - none) / 999,
            3.0,
            "ms",
        )
        plans(folder / "large", environment)


def plans(folder: Path, environment: dict) -> None:
    """Measure plans of a project of 500 modules, importing which is a part of them."""
    folder.mkdir()
    edited = write_project(folder, steps=1000)
    environment = {k: v for k, v in environment.items() if k != "PYTHONDONTWRITEBYTECODE"}

    def spent(*command: str) -> float:
        return once([sys.executable, *command], folder, environment)

    plan, every = ("-m", "raypipe", "plan", "large.py"), ("-m", "raypipe", "plan", "every.py")
    spent("-c", "import large, every")
    imported = statistics.median(spent("-c", "import large") for _ in range(5))
    row("importing 500 modules, bare python", imported, None)
    (folder / ".raypipe").mkdir()
    row("first plan of 1,000 steps in 500 modules", spent(*plan), None)
    spent("-m", "raypipe", "run", "large.py")
    time.sleep(2.1)
    spent(*every)
    measured = statistics.median(spent(*every) for _ in range(5))
    row("plan of a 500-module project", measured, 0.30)
    row(
        "plan of 1,000 steps in 500 modules",
        statistics.median(spent(*plan) for _ in range(5)),
        None,
    )
    after = []
    text = edited.read_text()
    for number in range(5):
        edited.write_text(text.replace("total = 0.0", f"total = round({number}.5)"))
        after.append(spent(*plan))
    row("plan of 1,000 steps in 500 modules after one edit", statistics.median(after), 0.5)


if __name__ == "__main__":
    main()
