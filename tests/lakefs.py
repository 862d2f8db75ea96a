"""A lakeFS server of the tests' own: a port, credentials and a folder that nobody else has."""

import contextlib
import ctypes
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from raypipe.store.lakefs_actions import VARIABLE

SCRIPT = Path(__file__).parent.parent / "scripts" / "lakefs"
TRIES = 3
"""How often a server is started, should its port be taken in the moment that it is chosen."""


class Unavailable(Exception):
    """This machine has no lakeFS server; the message says why."""


@dataclass(frozen=True, kw_only=True)
class LakeFS:
    """A server that is up; its S3 gateway is at the same address."""

    endpoint: str
    """Host and port."""
    access_key: str
    secret_key: str
    gate_token: str = ""
    """What it has in its environment for raypipe's gate."""
    stops: Callable[[], Iterator[None]] = field(default=lambda: iter(()), compare=False)
    """Kills it at the first `next`, and starts it again at the second."""

    @property
    def url(self) -> str:
        """What its clients are given."""
        return f"http://{self.endpoint}"

    def create(self, prefix: str = "repo") -> str:
        """Make a repository with an empty branch `main`; return its name, which is new."""
        name = f"{prefix}-{secrets.token_hex(6)}"
        made = {"name": name, "storage_namespace": f"local://{name}", "default_branch": "main"}
        self.ask("POST", "/repositories", made)
        return name

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Ask its API; HTTPError where it says no."""
        login = b64encode(f"{self.access_key}:{self.secret_key}".encode()).decode()
        return _ask(self.url, method, path, body, {"Authorization": f"Basic {login}"})

    @property
    def lakectl(self) -> dict[str, str]:
        """Address and credentials, as lakeFS's own clients find them in their environment."""
        return {
            "LAKECTL_SERVER_ENDPOINT_URL": self.url,
            "LAKECTL_CREDENTIALS_ACCESS_KEY_ID": self.access_key,
            "LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY": self.secret_key,
        }

    @property
    def environment(self) -> dict[str, str]:
        """The credentials, as an S3 client finds them in its environment."""
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}


@contextlib.contextmanager
def lakefs(trusts: Path | None = None) -> Iterator[LakeFS]:
    """Start a server; at the end nothing of it is left. Unavailable where there is no binary.

    `trusts` is a file of certificates that it takes for signed by whom it knows.
    """
    found = subprocess.run([SCRIPT, "--find"], capture_output=True, text=True, check=False)
    if found.returncode:
        raise Unavailable(found.stderr.strip())
    place = Path(tempfile.mkdtemp(prefix="raypipe-lakefs-"))
    token = secrets.token_hex(32)
    environment = {VARIABLE: token, **({"SSL_CERT_FILE": str(trusts)} if trusts else {})}
    process = None
    try:
        for last in [False] * (TRIES - 1) + [True]:
            port = _free_port()
            process = _start(Path(found.stdout.strip()), place, port, environment)
            if _is_up(process, port):
                break
            process.wait()
            assert not last, (place / "log").read_text()
        server = _set_up(f"127.0.0.1:{port}")

        def restart() -> Iterator[None]:
            nonlocal process
            process.kill()
            process.wait()
            yield
            process = _start(Path(found.stdout.strip()), place, port, environment)
            assert _is_up(process, port), (place / "log").read_text()
            yield

        yield replace(server, stops=restart, gate_token=token)
    finally:
        if process is not None:
            process.kill()
            process.wait()
        shutil.rmtree(place, ignore_errors=True)


def _start(
    binary: Path, place: Path, port: int, environment: dict[str, str]
) -> "subprocess.Popen[bytes]":
    secret = place / "secret"
    if not secret.exists():  # else it is started again, and must read what it encrypted
        secret.write_text(secrets.token_hex(16))
    settings = {
        "logging": {"level": "WARN", "output": "-"},
        "stats": {"enabled": False},
        "security": {"check_latest_version": False},
        "listen_address": f"127.0.0.1:{port}",
        "database": {"type": "local", "local": {"path": str(place / "meta")}},
        "blockstore": {"type": "local", "local": {"path": str(place / "data")}},
        "auth": {"encrypt": {"secret_key": secret.read_text()}},
        "gateways": {"s3": {"domain_name": f"s3.local.lakefs.io:{port}"}},
    }
    (place / "config.yaml").write_text(json.dumps(settings))  # JSON is YAML
    with (place / "log").open("w") as log:
        return subprocess.Popen(
            [binary, "--config", place / "config.yaml", "run"],
            cwd=place,
            env={"PATH": os.environ["PATH"], "HOME": str(place), **environment},
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )


def _end_with_parent() -> None:
    """Let the system end this process when the tests are killed."""
    set_death_signal = 1
    ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)


def _is_up(process: "subprocess.Popen[bytes]", port: int) -> bool:
    """Wait until a server answers; say no if it ended instead."""
    deadline = time.monotonic() + 60
    while process.poll() is None:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_health", timeout=5).close()
            return process.poll() is None
        assert time.monotonic() < deadline, "lakeFS did not answer in time"
        time.sleep(0.05)
    return False


def _set_up(endpoint: str) -> LakeFS:
    """Make the first user, whose credentials the server chooses."""
    made = _ask(f"http://{endpoint}", "POST", "/setup_lakefs", {"username": "tests"}, {})
    return LakeFS(
        endpoint=endpoint,
        access_key=made["access_key_id"],
        secret_key=made["secret_access_key"],
    )


def _ask(url: str, method: str, path: str, body: Any, headers: dict[str, str]) -> Any:
    request = urllib.request.Request(
        f"{url}/api/v1{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **headers},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
