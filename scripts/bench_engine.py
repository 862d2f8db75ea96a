"""Start-up, cached reruns and the engine's share of a step in CPU seconds; a large value's way."""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench_common import cpu, once, row

from raypipe.app import worker
from raypipe.engine.ports import CallOutcome, StepCall
from raypipe.runtime.on_ray import RayOptions, RayRuntime
from raypipe.store.folder import FolderArtifacts
from raypipe.store.paths import HomePaths
from raypipe.values.codec import TreeCodec

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


LARGE = """
import numpy as np
from raypipe import step


@step
def make(first: int) -> np.ndarray:
    return np.arange(first, first + 8_000_000)


@step
def last(numbers: np.ndarray) -> int:
    return int(numbers[-1])
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
        large_values(folder)


def large_values(folder: Path) -> None:
    """Measure calls on Ray that are given what another just made, by either way, side by side."""
    home = folder / "large"
    home.mkdir()
    (folder / "large_values.py").write_text(LARGE)
    artifacts, codec = FolderArtifacts(HomePaths(home).artifacts), TreeCodec(str)
    runtime = RayRuntime(worker.run_on_ray, RayOptions(home=home, cpus=1))

    def outcome(step: str, **fields: object) -> CallOutcome:
        scratch = Path(tempfile.mkdtemp(dir=home))
        runtime.submit(
            StepCall(
                id=scratch.name, step=step, target=f"large_values:{step}", root=folder,
                folders=(".",), batch=None, resources={}, timeout=None, scratch=scratch,
                events=scratch / "events", run="bench", home=home, **fields,
            )
        )  # fmt: skip
        while not (ended := runtime.wait(1.0)):
            pass
        assert ended[0].error is None, ended[0].error
        return ended[0]

    ways: dict[str, list[float]] = {"artifact": [], "memory": []}
    try:
        for salt in range(7):
            first = codec.encode(salt).manifest
            (made,) = outcome("make", arguments={"first": first}, passed_on=True).outputs
            given = {"numbers": artifacts.read(made.root)}
            known = {stat.digest: stat for stat in made.artifacts}
            for way, stats in (("artifact", {}), ("memory", known)):
                began = time.perf_counter()
                outcome("last", arguments=given, stats=stats)
                ways[way].append(time.perf_counter() - began)
    finally:
        runtime.close()
    artifact, memory = (1000 * statistics.median(seconds[1:]) for seconds in ways.values())
    row("a call given 64 MB, from its artifact, wall", artifact, None, "ms")
    row("the same, from Ray's object store; budget: 0.6 of that", memory, 0.6 * artifact, "ms")


main()
