"""A cluster of several nodes, whose steps must all see one home."""

from collections.abc import Iterator

import pytest

from tests import ray_head
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
