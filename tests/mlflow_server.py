"""A real MLflow server of the tests' own: a port and a folder that nobody else has."""

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

SCRIPT = Path(__file__).parent.parent / "scripts" / "mlflow"
PATIENCE = 90.0
"""Seconds that it has to come up."""


class Unavailable(Exception):
    """This machine has no MLflow server; the message says why."""


def command() -> str:
    """Return where it is; scripts/mlflow installs it."""
    found = subprocess.run([SCRIPT, "--find"], capture_output=True, text=True, check=False)
    if found.returncode:
        raise Unavailable(found.stderr.strip())
    return found.stdout.strip()


@contextlib.contextmanager
def mlflow(folder: Path) -> Iterator[str]:
    """Give the address of a server that is up in the body."""
    name = command()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    with (folder / "mlflow.log").open("wb") as log:
        process = subprocess.Popen(
            [
                name, "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
                "--backend-store-uri", f"sqlite:///{folder}/mlflow.db",
                "--artifacts-destination", str(folder / "artifacts"),
            ],
            stdout=log, stderr=log, cwd=folder, start_new_session=True,
            env={**environment, "MLFLOW_DISABLE_TELEMETRY": "true"},
        )  # fmt: skip
        try:
            _await(url, process, folder)
            yield url
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _await(url: str, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=2):
            return
        time.sleep(0.2)
    raise AssertionError(f"MLflow did not come up: {(folder / 'mlflow.log').read_text()[-2000:]}")
