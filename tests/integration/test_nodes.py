"""A cluster of several nodes: they must see one home, and may come while they are waited for."""

import json
from collections.abc import Iterable, Iterator

import pytest

from tests import ray_head
from tests.acceptance import tiny
from tests.conftest import Project
from tests.ray_head import Head

pytestmark = [pytest.mark.ray, pytest.mark.slow]

FLOW = """
from raypipe import pipeline, step


@step(num_cpus=2)
def one() -> int:
    return 1


@pipeline
def flow():
    return {"one": one()}
"""


@pytest.fixture
def two_nodes() -> Iterator[Head]:
    with ray_head.head() as head:
        head.add_node()
        yield head


def test_a_folder_as_home_is_refused_on_two_nodes_unless_they_share_it(
    project: Project, two_nodes: Head
) -> None:
    two_nodes.welcome(project)
    project.write("flow.py", FLOW)
    command = ("run", "flow.py", "--address", two_nodes.address, "--json")

    refused = project.raypipe(*command)
    assert refused.code == 8
    assert "the cluster has 2 nodes" in refused.result["error"]["message"]
    assert "runtime.shared=true" in refused.result["error"]["hint"]

    shared = project.raypipe(*command, "--shared")
    assert shared.code == 0, shared.err
    assert shared.result["outputs"] == {"one": 1}


SWEEP = """
tuning:
  trials: 2
  epochs: 1
  space:
    training.learning_rate: {low: 0.0003, high: 0.03, log: true}
"""


@pytest.mark.long
def test_a_sweep_and_training_wait_for_a_node_that_the_cluster_starts_for_them(
    project: Project,
) -> None:
    """As on a cloud, where a machine with a GPU comes minutes after it was asked for."""
    with ray_head.head(RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S="120") as head:
        head.welcome(project)
        tiny.make(project)
        project.write("tiny.yaml", tiny.SETTINGS + SWEEP)
        running = project.start(
            "run", "tiny.yaml", "--address", head.address, "--shared", "--json",
            "--set", "training.workers.cpus=3",
        )  # fmt: skip
        assert running.stdout is not None
        until_a_trial_begins(running.stdout)
        head.add_node(cpus=4)
        out, err = running.communicate(timeout=180)

    assert running.returncode == 0, err + out
    result = json.loads(out.splitlines()[-1])
    assert result["status"] == "waiting"
    executed = {step["name"] for step in result["steps"] if step["action"] == "execute"}
    assert executed >= {"trial[0]", "trial[1]", "train"}


def until_a_trial_begins(lines: Iterable[str]) -> None:
    for line in lines:
        if "trial[0]" in line:
            return
    raise AssertionError("no trial began")
