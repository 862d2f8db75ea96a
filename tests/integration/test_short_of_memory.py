"""A worker of a training that fills its node is ended by Ray's monitor, and the run says so."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from raypipe.config.training import CustomModelConfig, WorkersConfig
from tests import ray_head
from tests.acceptance import tiny
from tests.conftest import Project
from tests.integration.test_elastic import start
from tests.integration.test_training_on_ray import SETTINGS

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.long]

GB = 2**30
ROOM, NEEDED = 6 * GB, 14 * GB
"""Bytes until the monitor acts; that the machine must have free, so that nobody else is short."""

HUNGRY = """
import time
from pathlib import Path

import torch
import torch.distributed as dist


class Hungry(torch.nn.Module):
    '''Takes more and more on the second worker, while that is asked for and the machine has it.'''

    def __init__(self, net, cause):
        super().__init__()
        self.net = net
        self.cause = Path(cause)
        self.batches = 0

    def forward(self, tensors):
        self.batches += self.training
        if self.batches == 4 and dist.get_rank() == 1 and self.cause.exists():
            held = []
            while free() > 5 * 2**30:
                held.append(b"x" * 2**27)
                time.sleep(0.05)
            raise OSError("nobody minded")
        return self.net(tensors)


def free():
    words = Path("/proc/meminfo").read_text().split()
    return int(words[words.index("MemAvailable:") + 1]) * 1024


def build(signature, cause):
    return Hungry(Net(signature), cause)
"""
LINEAR = """
import torch


class Net(torch.nn.Module):
    def __init__(self, signature):
        super().__init__()
        self.linear = torch.nn.Linear(2, 1)

    def forward(self, tensors):
        return self.linear(tensors["dense"])
"""
WORKERS = """  model: {{kind: custom, build: "my_model:build", options: {{cause: "{cause}"}}}}
  workers: {{count: 2}}
  epochs: 1
  batch_size: 40
"""


def memory() -> tuple[int, int]:
    """Return how many bytes the machine has, and has free."""
    words = Path("/proc/meminfo").read_text().split()
    total, free = (int(words[words.index(f"{name}:") + 1]) for name in ("MemTotal", "MemAvailable"))
    return total * 1024, free * 1024


@pytest.fixture
def small() -> Iterator[ray_head.Head]:
    """A node that takes itself for full once a few GB more are in use than now."""
    total, free = memory()
    if free < NEEDED:
        pytest.skip(f"{free / GB:.0f} GB of memory are free, {NEEDED / GB:.0f} are needed")
    threshold = f"{(total - free + ROOM) / total:.4f}"
    monitor = {"RAY_memory_usage_threshold": threshold, "RAY_memory_monitor_refresh_ms": "100"}
    with ray_head.head(**monitor) as head:
        yield head


LOST = (
    r"lost worker 1 of 2 after epoch 1, batch 3 of {} \(it held [\d.]+ GB\): "
    "the node was short of memory"
)


def test_a_run_says_which_worker_it_was_and_ends_well_once_that_needs_less(
    project: Project, small: ray_head.Head
) -> None:
    """The monitor ends processes by their age, and so the step's own with them."""
    small.welcome(project)
    cause = project.folder / "cause"
    cause.touch()
    tiny.make(project)
    model = '  model: {kind: custom, build: "my_model:build"}\n  epochs: 2\n  batch_size: 64\n'
    project.edit("tiny.yaml", model, WORKERS.format(cause=cause))
    project.write("my_model.py", tiny.MODEL + HUNGRY)

    said = project.raypipe("run", "tiny.yaml", "--address", small.address, "--json", timeout=400)

    assert said.code == 6, said.err
    assert "Traceback" not in said.out + said.err
    told = said.result["error"]
    assert re.match(f"(step 'train'|training) {LOST.format(13)}", told["message"]), told
    assert "training.batch_size" in told["hint"]
    cause.unlink()
    again = project.raypipe("run", "--resume", said.result["run"], "--json", timeout=400)
    assert again.result["status"] == "waiting", again.err


def test_workers_that_are_ended_each_time_are_given_up_and_leave_no_cpu_reserved(
    tmp_path: Path, small: ray_head.Head
) -> None:
    """As where the step itself runs on another node, so that its workers alone are ended."""
    (tmp_path / "hungry.py").write_text(LINEAR + HUNGRY)
    (tmp_path / "cause").touch()
    options = {"cause": str(tmp_path / "cause")}
    update = {
        "model": CustomModelConfig(build="hungry:build", options=options),
        "batch_size": 25,
        "epochs": 1,
        "workers": WorkersConfig(count=2),
    }
    settings = SETTINGS.model_copy(update=update)

    _, said = start(small, tmp_path, settings).communicate(timeout=400)

    last = next(line for line in said.splitlines() if line.startswith("raypipe.errors."))
    assert re.match(f"raypipe.errors.StepFailed: training {LOST.format(4)}", last), said
    assert last.endswith("gave up after 3 attempts that came no further")
