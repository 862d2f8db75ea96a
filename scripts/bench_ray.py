"""The engine on Ray beside bare Ray: cold runs, its share of a step, ten thousand items."""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench_common import once, row
from bench_engine import FIVE, RAYPIPE

from raypipe.app import worker
from raypipe.engine.ports import CallOutcome, StepCall
from raypipe.runtime.on_ray import RayOptions, RayRuntime
from raypipe.store.folder import FolderArtifacts
from raypipe.store.paths import HomePaths
from raypipe.values.codec import TreeCodec

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.ray_head import head  # noqa: E402 - a Ray of its own, which tests start too

MAPPED = """
from raypipe import pipeline, step


@step
def numbers(count: int) -> list[int]:
    return list(range(count))


@step
def one(number: int, salt: int) -> int:
    return number + salt


@pipeline
def flow(count: int = 1, salt: int = 0):
    return one.map(numbers(count), salt=salt)
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

DRIVER = """
import os, resource, sys
from raypipe.cli.main import main

out = os.dup(1)
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
used = resource.getrusage(resource.RUSAGE_SELF)
os.write(out, f"{used.ru_utime + used.ru_stime} {used.ru_maxrss / 1024}".encode())
"""

BARE = """
import logging, os, sys, tempfile

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
import ray

address, count, chained = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "chained"
place = {"_temp_dir": sys.argv[4], "include_dashboard": False} if address == "local" else {}
if len(sys.argv) > 5:
    place["runtime_env"] = {"working_dir": sys.argv[5]}
ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **place)


@ray.remote
def one(number):
    return number


if chained:
    reference = one.remote(0)
    for _ in range(count - 1):
        reference = one.remote(reference)
    ray.get(reference)
else:
    waiting, begun = [], 0
    while begun < count or waiting:
        while begun < count and len(waiting) < 500:
            waiting.append(one.remote(begun))
            begun += 1
        done, waiting = ray.wait(waiting, num_returns=1)
        ray.get(done)
ray.shutdown()
"""


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="rpb-", dir="/tmp") as name:
        folder = Path(name)
        for file, text in {"pyproject.toml": "", "mapped.py": MAPPED, "bare.py": BARE}.items():
            (folder / file).write_text(text)
        (folder / "driver.py").write_text(DRIVER)
        environment = {
            k: v for k, v in os.environ.items() if not k.startswith(("RAYPIPE_", "RAY_"))
        }
        environment["HOME"] = name
        cold_runs(folder, environment)
        share_of_a_step(folder, environment)
        ten_thousand(folder, environment)
        large_values(folder)


def cold_runs(folder: Path, environment: dict[str, str]) -> None:
    """Five steps, each changed, so that all are executed; wall time."""
    turns = iter(range(1_000))

    def five(*options: str) -> float:
        edited = FIVE.replace("return [1, 2, 3]", f"return [{next(turns)}, 2, 3]")
        (folder / "five.py").write_text(edited)
        return wall([*RAYPIPE, "run", "five.py", *options], folder, environment)

    def bare(address: str, *sent: str) -> float:
        return wall([*chained(address, 5, folder), *sent], folder, environment)

    row("cold run of five steps, inline, wall", middle(five)[0], 0.6)
    own, measured = middle(lambda: bare("local"), lambda: five("--runtime", "ray"))
    row("five tasks on a Ray of one's own, bare Ray, wall", own, None)
    row("cold run of five steps, own Ray, wall", measured, own + 0.5)
    code = folder / "code"
    code.mkdir()
    (code / "five.py").write_text(FIVE)
    with head() as up:
        (folder / ".ray").mkdir(exist_ok=True)
        token = (up.place / ".ray" / "auth_token").read_text()
        (folder / ".ray" / "auth_token").write_text(token)
        environment = {**environment, "RAY_AUTH_MODE": "token"}
        there, sent, measured = middle(
            lambda: bare(up.address),
            lambda: bare(up.address, str(code)),
            lambda: five("--address", up.address),
        )
        row("five tasks on a cluster that is up, bare Ray, no code sent, wall", there, None)
        row("the same, with a folder of code sent, wall", sent, None)
        row("cold run of five steps, cluster up, wall; code sent", measured, sent * 1.2)


def share_of_a_step(folder: Path, environment: dict[str, str]) -> None:
    """CPU of all processes of a Ray of one's own: driver, workers, Ray."""
    turns = iter(range(1_000))

    def ours(count: int) -> float:
        sets = ("--set", f"count={count}", "--set", f"salt={next(turns)}")
        return once([*RAYPIPE, "run", "mapped.py", "--runtime", "ray", *sets], folder, environment)

    def bare(count: int) -> float:
        return once(fanned(count, folder), folder, environment)

    few, many = 10, 510
    least, most, our_least, our_most = middle(
        lambda: bare(few), lambda: bare(many), lambda: ours(few), lambda: ours(many)
    )
    task, step = (1000 * all_ / (many - few) for all_ in (most - least, our_most - our_least))
    row("a task, bare Ray, CPU of all processes", task, None, "ms")
    row("an executed step on Ray, durable, CPU of all processes", step, task + 5, "ms")


def ten_thousand(folder: Path, environment: dict[str, str]) -> None:
    """CPU and peak memory of the driver alone."""

    def driver(count: int, salt: int) -> tuple[float, float]:
        sets = ["--set", f"count={count}", "--set", f"salt={salt}"]
        command = [sys.executable, "driver.py", "run", "mapped.py", "--runtime", "ray", *sets]
        said = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)
        spent, most = re.findall(r"[\d.]+", said.stdout.decode())
        return float(spent), float(most)

    spent, most = driver(1, 1_000_001)
    all_spent, all_most = driver(10_000, 1_000_002)
    each = 1000 * (all_spent - spent) / 9_999
    row("10,000 steps by .map() on Ray, the driver's CPU each", each, 4.0, "ms")
    row("10,000 steps by .map() on Ray, the driver's memory grows by", all_most - most, 200, "MB")


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


def chained(address: str, count: int, folder: Path) -> list[str]:
    """Return a command that runs tasks one after the other."""
    return [sys.executable, "bare.py", address, str(count), "chained", str(folder / "ray")]


def fanned(count: int, folder: Path) -> list[str]:
    """Return a command that runs tasks side by side."""
    return [sys.executable, "bare.py", "local", str(count), "fanned", str(folder / "ray")]


def wall(command: list[str], folder: Path, environment: dict[str, str]) -> float:
    """Return the seconds that a command takes."""
    begun = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return time.perf_counter() - begun


def middle(*measures: Callable[[], float]) -> list[float]:
    """Return the median of five of each, side by side, one warm-up left out."""
    found = [[measure() for measure in measures] for _ in range(6)][1:]
    return [statistics.median(one) for one in zip(*found, strict=True)]


if __name__ == "__main__":
    main()
