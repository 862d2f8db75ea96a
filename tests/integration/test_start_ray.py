"""cluster/start_ray, which starts nodes for `ray up`, with a real Ray."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ray_head import RAY, agent_ports, end_all, free_ports, processes_of

pytestmark = [pytest.mark.ray, pytest.mark.slow]

START_RAY = Path(__file__).parents[2] / "cluster" / "start_ray"


@pytest.fixture
def place() -> Iterator[Path]:
    """A home folder for the node's processes, with a short path and a token."""
    place = Path(tempfile.mkdtemp(prefix="rps-", dir="/tmp"))
    (place / ".ray").mkdir()
    (place / ".ray" / "auth_token").write_text(secrets.token_hex(32))
    (place / ".ray" / "auth_token").chmod(0o600)
    yield place
    end_all(place)
    shutil.rmtree(place, ignore_errors=True)


def start_ray(place: Path, *arguments: str) -> str:
    path = f"{Path(RAY).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [START_RAY, *arguments],
        cwd=place,
        env={**os.environ, "HOME": str(place), "PATH": path, "RAY_AUTH_MODE": "token"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_node_takes_the_place_of_the_one_before_and_nothing_is_left_when_it_stops(
    place: Path,
) -> None:
    gcs, client, *agents = free_ports(5)
    head = (
        "--head", f"--port={gcs}", "--num-cpus=1", f"--temp-dir={place / 't'}",
        "--include-dashboard=false", f"--ray-client-server-port={client}", *agent_ports(agents),
    )  # fmt: skip
    assert "Ray is up" in start_ray(place, *head)
    first = set(processes_of(place))
    assert len(first) > 3

    # Killed outright, `ray start` leaves what it started, which holds the ports.
    os.kill(int((place / ".raypipe-node" / "pid").read_text()), signal.SIGKILL)
    assert "Ray is up" in start_ray(place, *head)
    assert first & set(processes_of(place)) == set()

    assert "Ray is down" in start_ray(place, "--stop")
    assert processes_of(place) == []
    assert "No node is up" in start_ray(place, "--stop")
