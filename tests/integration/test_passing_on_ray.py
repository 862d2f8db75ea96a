"""Large values pass from step to step in Ray's object store, and are durable all the same."""

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from raypipe.app import worker
from raypipe.engine.ports import CallOutcome
from raypipe.engine.records import ArtifactStat
from raypipe.runtime.on_ray import RayOptions, RayRuntime
from tests import ray_head
from tests.conftest import Project
from tests.contract.test_runtime import Bench

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SIZE = 5 << 20
FLOW = """
import time
from pathlib import Path

import numpy as np

from raypipe import current, pipeline, step


@step(num_cpus={cpus})
def make(count: int) -> dict[str, np.ndarray | int]:
    return {{"rows": np.arange(count), "count": count}}


@step
def hides(rows: np.ndarray, aside: str) -> int:
    rows[:] = 0
    for file in (current().home / "artifacts").iterdir():
        if file.is_file() and file.stat().st_size > 1 << 20:
            file.rename(Path(aside, file.name))
    return 1


@step(driver=True)
def gate(count: int, folder: str) -> int:
    Path(folder, "reached").touch()
    while not Path(folder, "open").exists():
        time.sleep(0.05)
    return 1


@step
def total(rows: np.ndarray, after: int) -> int:
    return int(rows.sum())


@pipeline
def flow(aside: str, count: int = 1_000_000):
    made = make(count)
    return total(made["rows"], hides(made["rows"], aside))


@pipeline
def gated(folder: str, count: int = 1_000_000):
    made = make(count)
    return total(made["rows"], gate(made["count"], folder))
"""
TOTAL = sum(range(1_000_000))
STEPS = """
from raypipe import step


@step
def blob(seed: int, size: int) -> bytes:
    return seed.to_bytes(4, "big") * (size // 4)


@step
def first(data: bytes) -> int:
    return int.from_bytes(data[:4], "big")
"""


def test_a_step_reads_what_another_made_without_its_artifact_which_the_next_run_has(
    project: Project,
) -> None:
    """It is away while the run goes on; who is given the array writes into his own."""
    project.write("flow.py", FLOW.format(cpus=1))
    (project.folder / "aside").mkdir()
    aside = f"aside={project.folder / 'aside'}"
    said = project.run("flow.py:flow", "--runtime", "ray", "--set", aside)
    assert said.result["outputs"] == {"result": TOTAL}

    (file,) = (project.folder / "aside").iterdir()
    file.rename(project.folder / ".raypipe" / "artifacts" / file.name)
    project.edit("flow.py", "rows.sum()", "rows.max()")
    said = project.run("flow.py:flow", "--runtime", "inline", "--set", aside)
    assert said.executed == ["total"]
    assert said.result["outputs"] == {"result": 999_999}


def raylets(head: ray_head.Head) -> set[int]:
    found = set()
    for pid in ray_head.processes_of(head.place):
        with suppress(OSError):
            if Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].endswith(b"raylet"):
                found.add(pid)
    return found


@pytest.mark.long
def test_what_is_lost_with_its_node_is_read_from_its_artifact(project: Project, wait_until) -> None:
    project.write("flow.py", FLOW.format(cpus=3))
    with ray_head.head() as head:
        head.welcome(project)
        before = raylets(head)
        head.add_node(cpus=3)  # the only one that has room for `make`
        (node,) = raylets(head) - before
        running = project.start(
            "run", "flow.py:gated", "--address", head.address, "--shared", "--json",
            "--set", f"folder={project.folder}",
        )  # fmt: skip
        wait_until(lambda: (project.folder / "reached").exists())
        os.kill(node, signal.SIGKILL)
        (project.folder / "open").touch()
        out, err = running.communicate(timeout=120)
    assert running.returncode == 0, err + out
    told = [json.loads(line) for line in out.splitlines()]
    assert told[-1]["outputs"] == {"result": TOTAL}
    assert not [one for one in told if one["event"] == "retry"]


# --- one runtime, and how much it holds ---------------------------------------------------------


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, ray_token: Path) -> Iterator[Bench]:
    """A runtime of its own that may hold some forty megabytes in memory."""
    folder = tmp_path_factory.mktemp("passing")
    (folder / "contract_steps.py").write_text(STEPS)
    (folder / "home").mkdir()
    shutil.copy(ray_token, folder / "home")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    options = RayOptions(home=folder / "home", cpus=2, in_memory=8 * SIZE / (0.3 * memory))
    made = Bench(RayRuntime(worker.run_on_ray, options), folder)
    yield made
    made.runtime.close()


def made_by(outcome: CallOutcome) -> dict[str, ArtifactStat]:
    assert outcome.error is None
    return {stat.digest: stat for stat in outcome.outputs[0].artifacts}


def given(bench: Bench, outcome: CallOutcome) -> CallOutcome:
    """Give another step what a call made, as the driver does."""
    manifest = bench.artifacts.read(outcome.outputs[0].root)
    return bench.run("first", _arguments={"data": manifest}, _stats=made_by(outcome))


def used() -> float:
    """Return how many bytes Ray says are in its object store."""
    import ray

    name = "object_store_memory"
    return ray.cluster_resources()[name] - ray.available_resources().get(name, 0.0)


def remove_blobs(bench: Bench, outcome: CallOutcome) -> None:
    for stat in made_by(outcome).values():
        if stat.size >= SIZE:
            assert bench.artifacts.verify(stat.digest)  # it is there all the same
            bench.artifacts.remove(stat.digest)


def test_what_is_passed_on_is_there_when_the_worker_that_made_it_is_not(bench: Bench) -> None:
    call = bench.call("blob", seed=7, size=SIZE, _passed_on=True)
    outcome = bench.outcomes(call)[call.id]
    remove_blobs(bench, outcome)
    (begun,) = [json.loads(line) for line in call.events.read_text().splitlines()]
    os.kill(begun["pid"], signal.SIGKILL)
    while Path(f"/proc/{begun['pid']}").exists():
        time.sleep(0.02)

    assert bench.value(given(bench, outcome)) == 7


def test_what_no_other_step_waits_for_is_not_held(bench: Bench) -> None:
    outcome = bench.run("blob", seed=8, size=SIZE)
    remove_blobs(bench, outcome)
    assert "gone or torn" in str(given(bench, outcome).error)


def test_memory_is_bounded_and_the_oldest_is_read_from_its_artifact(
    bench: Bench, wait_until
) -> None:
    outcomes = [bench.run("blob", seed=n, size=SIZE, _passed_on=True) for n in range(20)]
    wait_until(lambda: 0 < used() <= 8 * SIZE + (1 << 20))
    assert [bench.value(given(bench, outcomes[n])) for n in (0, 10, 19)] == [0, 10, 19]

    remove_blobs(bench, outcomes[19])
    assert bench.value(given(bench, outcomes[19])) == 19
    remove_blobs(bench, outcomes[1])
    assert "gone or torn" in str(given(bench, outcomes[1]).error)
