"""Training between a fewest and a most of workers: a node goes, another comes, and it goes on."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from raypipe.config.training import CustomModelConfig, TrainingConfig, WorkersConfig
from tests import ray_head
from tests.integration.test_training_on_ray import SETTINGS

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.long]

EPOCHS = 300
"""Enough to be at it while a node is lost, another comes and is noticed."""

MODEL = """
import os, time
from pathlib import Path
import torch
import torch.distributed as dist

class Slow(torch.nn.Module):
    '''Says how many train together, and takes its time while it is held.'''

    def __init__(self, folder):
        super().__init__()
        self.linear = torch.nn.Linear(2, 1)
        self.folder = Path(folder)
        self.size = dist.get_world_size() if dist.is_initialized() else 1

    def forward(self, tensors):
        (self.folder / "together").write_text(f"{self.size} {time.monotonic()}")
        if (self.folder / "hold").exists():
            time.sleep(0.1)
        return self.linear(tensors["dense"])

def build(signature, folder):
    return Slow(folder)
"""


@pytest.fixture
def head() -> Iterator[ray_head.Head]:
    """A head that hears of a lost node within seconds, not in half a minute."""
    quick = {"RAY_health_check_period_ms": "1000", "RAY_health_check_timeout_ms": "2000"}
    with ray_head.head(1, **quick, RAY_health_check_failure_threshold="2") as head:
        yield head


DRIVER = """
import sys
from pathlib import Path

import ray

from raypipe.config.training import TrainingConfig
from tests.integration.test_training_on_ray import Training, _run

folder, address, settings = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
ray.init(address=address, log_to_driver=False, logging_level="ERROR")
files = Training(folder).files()
outcome = _run(folder, "run", "ray", files, TrainingConfig.model_validate_json(settings))
(folder / "epochs").write_text(str([int(row["epoch"]) for row in outcome.history]))
"""


def start(head: ray_head.Head, folder: Path, settings: TrainingConfig) -> "subprocess.Popen[str]":
    """Start training on a cluster, in a process that has its token."""
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(head.place / ".ray/auth_token")}
    paths = {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, folder, head.address, settings.model_dump_json()],
        env={**os.environ, **paths, **token},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_training_goes_on_without_a_lost_node_and_grows_with_one_that_comes(
    tmp_path: Path, head: ray_head.Head, wait_until
) -> None:
    (tmp_path / "slow_on_ray.py").write_text(MODEL)
    hold, together = tmp_path / "hold", tmp_path / "together"
    hold.touch()
    settings = SETTINGS.model_copy(
        update={
            "model": CustomModelConfig(
                build="slow_on_ray:build", options={"folder": str(tmp_path)}
            ),
            "workers": WorkersConfig(min=1, max=2),
            "epochs": EPOCHS,
        }
    )

    def size() -> int:
        said = together.read_text() if together.exists() else ""
        return int(said.split()[0]) if said else 0

    def until(count: int) -> None:
        wait_until(lambda: size() == count or running.poll() is not None, 200)
        assert running.poll() is None, running.communicate()

    node = head.add_node()
    running = start(head, tmp_path, settings)
    try:
        until(2)
        wait_until(lambda: reached(tmp_path) > 3)
        head.lose_node(node)
        until(1)
        assert reached(tmp_path) > 3
        head.add_node()
        until(2)
        hold.unlink()
        _, err = running.communicate(timeout=200)
    finally:
        running.kill()
        running.wait()
    assert running.returncode == 0, err
    assert (tmp_path / "epochs").read_text() == str([*range(1, EPOCHS + 1)])


def reached(folder: Path) -> int:
    """Return the newest epoch of which there is a checkpoint."""
    names = (path.name for path in (folder / "run" / "checkpoints").glob("epoch-*[0-9]"))
    return max((int(name.removeprefix("epoch-")) for name in names), default=0)
