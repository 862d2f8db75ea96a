"""A Ray head of a test's own: ports, token and temporary folder that nobody else has."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import Project

RAY = str(Path(sys.executable).parent / "ray")


@dataclass(frozen=True, kw_only=True)
class Head:
    """A head that is up."""

    place: Path
    """Home folder of its processes, with the token; each has it in its environment."""
    address: str
    dashboard: str
    """URL of the dashboard, which takes jobs."""
    processes: list[subprocess.Popen[bytes]]

    def add_node(self, cpus: int = 1) -> "subprocess.Popen[bytes]":
        """Start a further node of the cluster on this machine; it ends with the head."""
        joining = (
            f"--address={self.address}", f"--num-cpus={cpus}", *agent_ports(free_ports(3)),
            # As on a machine of its own: else it unpacks the code over that which others stand in.
            f"--temp-dir={self.place / f't{len(self.processes)}'}",
        )  # fmt: skip
        self.processes.append(start_ray(self.place, *joining))
        return self.processes[-1]

    def lose_node(self, node: "subprocess.Popen[bytes]") -> None:
        """Kill all processes of a node at once, as when its machine is gone."""
        for pid in processes_of(self.place):
            with contextlib.suppress(ProcessLookupError):
                if os.getsid(pid) == node.pid:
                    os.kill(pid, signal.SIGKILL)

    def welcome(self, project: Project) -> None:
        """Give a project's user the cluster's token, where Ray looks for it."""
        shutil.copytree(self.place / ".ray", project.folder / ".ray", dirs_exist_ok=True)


@contextlib.contextmanager
def head(cpus: int = 2, **environment: str) -> Iterator[Head]:
    """Start a head with its dashboard; at the end nothing of it is left."""
    place = Path(tempfile.mkdtemp(prefix="rph-", dir="/tmp"))
    (place / ".ray").mkdir()
    (place / ".ray" / "auth_token").write_text(secrets.token_hex(32))
    (place / ".ray" / "auth_token").chmod(0o600)
    gcs, dashboard, client, *agents = free_ports(6)
    processes = []
    try:
        begun = start_ray(
            place, "--head", f"--port={gcs}", f"--num-cpus={cpus}", f"--temp-dir={place / 't'}",
            "--include-dashboard=true", f"--dashboard-port={dashboard}",
            f"--ray-client-server-port={client}", *agent_ports(agents), **environment,
        )  # fmt: skip
        processes.append(begun)
        yield Head(
            place=place,
            address=f"127.0.0.1:{gcs}",
            dashboard=f"http://127.0.0.1:{dashboard}",
            processes=processes,
        )
    finally:
        end_all(place)
        for process in processes:
            process.wait()
        shutil.rmtree(place, ignore_errors=True)


def start_ray(place: Path, *arguments: str, **environment: str) -> "subprocess.Popen[bytes]":
    """Start the processes of a node, and wait until they are up."""
    log = place / f"log-{secrets.token_hex(3)}"
    ours = {
        "HOME": str(place),
        "RAY_AUTH_MODE": "token",  # a node that joins asks for no token
        "SPT_NOENV": "1",  # Ray's titles of processes leave their environment readable
    }
    with log.open("w") as file:
        process = subprocess.Popen(
            [RAY, "start", "--block", "--disable-usage-stats", *arguments],
            cwd=place,
            env={k: v for k, v in os.environ.items() if k[:4] != "RAY_"} | ours | environment,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    deadline = time.monotonic() + 90
    while "Ray runtime started" not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)
    return process


def end_all(place: Path) -> None:
    """End every process that has a place for its home folder, jobs and workers among them."""
    deadline = time.monotonic() + 30
    while found := processes_of(place):
        assert time.monotonic() < deadline, found
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)


def processes_of(place: Path) -> list[int]:
    """Return the processes that were started with a place for their home folder."""
    mark = f"HOME={place}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def free_ports(count: int) -> list[int]:
    """Return ports that nobody has now."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def agent_ports(ports: list[int]) -> tuple[str, ...]:
    """Return the options that give a node's agents three ports of their own."""
    names = ("dashboard-agent-listen-port", "metrics-export-port", "runtime-env-agent-port")
    return tuple(f"--{name}={port}" for name, port in zip(names, ports, strict=True))
