"""A run that a fault of training on real Ray ended goes on by the command once it is mended."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.acceptance import tiny
from tests.conftest import Project, Said
from tests.ray_head import processes_of

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.long]

MODEL = """
import os
from pathlib import Path

import torch
import torch.distributed as dist

HERE = Path(os.environ["HOME"])


class Watched(Net):
    '''Notes each batch of its first worker's; breaks on the second where something is not right.'''

    batches = 0
    greedy = False

    def forward(self, tensors):
        first = not dist.is_initialized() or dist.get_rank() == 0
        if self.training:
            self.batches += 1
            if first:
                with (HERE / "batches").open("a") as file:
                    file.write("x")
            elif self.batches == 15:
                if (HERE / "unplugged").exists():
                    raise OSError("the drive is not there")
                if self.greedy:
                    torch.zeros(2**50)
        return super().forward(tensors)


def build(signature, greedy=False):
    made = Watched(signature)
    made.greedy = greedy
    return made
"""
WORKERS = "  workers: {count: 2}\n  epochs: 3\n  batch_size: 40\n"
BATCHES = 13
"""Of an epoch, on each worker."""
PLACE = r"epoch 2, batch 2 of 13 on worker 1 of 2 \(38 rows: "


@pytest.fixture
def watched(project: Project) -> Iterator[Project]:
    """The tiny project with two workers on Ray, and a model that may break on the second."""
    tiny.make(project)
    project.edit("tiny.yaml", "  epochs: 2\n  batch_size: 64\n", WORKERS)
    project.edit("tiny.yaml", "name: tiny\n", "name: tiny\nruntime: {kind: ray, cpus: 2}\n")
    project.write("my_model.py", tiny.MODEL + MODEL)
    yield project
    assert processes_of(project.folder) == []


def run(project: Project, *arguments: str) -> tuple[Said, int]:
    """Run the command; return what it said, and batches that the first worker trained."""
    batches = project.folder / "batches"
    batches.write_text("")
    said = project.raypipe("run", *arguments, "--json", timeout=240)
    return said, len(batches.read_text())


def digest(said: Said) -> str:
    """What a training gave, weights and curves, to the bit."""
    assert said.result["status"] == "waiting", said.err  # for its review
    (train,) = [step for step in said.result["steps"] if step["name"] == "train"]
    return str(train["digest"])


def stopped(said: Said) -> dict[str, Any]:
    """What is told of a run that failed, by a sentence and no traceback."""
    assert said.code == 6, said.err
    assert "Traceback" not in said.out + said.err
    return dict(said.result["error"])


def test_once_the_machine_is_mended_a_resumed_run_goes_on_from_the_last_checkpoint(watched):
    (watched.folder / "unplugged").touch()
    broken, _ = run(watched, "tiny.yaml")
    told = stopped(broken)
    assert re.match(f"training raised OSError at {PLACE}.*the drive is not there", told["message"])
    assert told["step"] == "train"

    (watched.folder / "unplugged").unlink()
    mended, batches = run(watched, "--resume", broken.result["run"])

    assert mended.executed[0] == "train"
    assert batches == 2 * BATCHES  # the first epoch was kept
    whole, batches = run(watched, "tiny.yaml", "--force", "train")
    assert batches == 3 * BATCHES
    assert digest(mended) == digest(whole)


def test_a_setting_that_is_mended_makes_another_training_which_begins_anew(watched):
    broken, _ = run(watched, "tiny.yaml", "--set", "training.model.options.greedy=true")
    told = stopped(broken)
    assert re.match(f"training ran out of memory at {PLACE}", told["message"])
    assert "lower training.batch_size" in told["hint"]

    mended, batches = run(watched, "tiny.yaml")

    assert batches == 3 * BATCHES
    assert digest(mended) == digest(run(watched, "tiny.yaml", "--force", "train")[0])
