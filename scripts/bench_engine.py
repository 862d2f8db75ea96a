"""Start-up, cached reruns and the engine's share of a step, in CPU seconds."""

import os
import statistics
import sys
import tempfile
from pathlib import Path

from bench_common import cpu, once, row

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


main()
