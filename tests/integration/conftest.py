"""What the tests with a running cluster share."""

from collections.abc import Iterator

import pytest

from tests import ray_head


@pytest.fixture(scope="session")
def head() -> Iterator[ray_head.Head]:
    """A Ray head with its dashboard, on ports of its own; of one node, and it stays so."""
    with ray_head.head() as started:
        yield started
