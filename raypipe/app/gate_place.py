"""Where the gate of a home is, and the secret that lakeFS shows it, which its owner alone reads."""

import json
import os
import secrets
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from raypipe.errors import StoreError
from raypipe.runtime.processes import start_time
from raypipe.store.content import replace_file
from raypipe.store.faults import disk_faults
from raypipe.store.paths import HomePaths

SHORTEST = 32
"""Letters of a token; a file with fewer was cut off, or written by somebody else."""


def gate_token(paths: HomePaths) -> str:
    """Return the gate's token; it is made where there is none.

    StoreError for a file that others can read, or that is torn: a gate without a secret would take
    anybody for lakeFS.
    """
    file = paths.gate_token
    with disk_faults(f"{str(file)!r} cannot be written"):
        if not file.exists():
            aside = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as writer:
                writer.write(secrets.token_hex(SHORTEST))
                writer.flush()
                os.fsync(descriptor)
            with suppress(FileExistsError):  # another process made one meanwhile, and that counts
                os.link(aside, file)
            aside.unlink()
        mode, token = file.stat().st_mode, file.read_text().strip()
    if mode & 0o077:
        raise StoreError(
            f"{str(file)!r}, which holds the gate's token, can be read by others",
            hint="remove it: another is made, which lakeFS has to be told; then chmod 600",
        )
    if len(token) < SHORTEST or not token.isalnum():
        raise StoreError(
            f"{str(file)!r} holds no token of the gate",
            hint="remove it: another is made, which lakeFS has to be told",
        )
    return token


def gate_of(paths: HomePaths) -> str | None:
    """Return where the gate of a watch of this home is that is up, the first of many; None if none.

    One on another machine that shares the home cannot be told from one that is gone.
    """
    up = [(told["since"], told["gate"]) for told in _told(paths).values() if _is_up(told)]
    return str(min(up)[1]) if up else None


@contextmanager
def gate_told(paths: HomePaths, url: str) -> Iterator[None]:
    """Let other commands of this home know where this process's gate is."""
    pid, host = os.getpid(), socket.gethostname()
    mine = {
        "gate": url,
        "host": host,
        "pid": pid,
        "started": start_time(pid),
        "since": time.time(),
    }
    file = paths.watches / f"{secrets.token_hex(8)}.json"
    with disk_faults(f"{str(file)!r} cannot be written"):
        paths.watches.mkdir(exist_ok=True)
        for left, told in _told(paths).items():
            if told["host"] == host and not _is_up(told):  # it was killed
                left.unlink(missing_ok=True)
        replace_file(file, json.dumps(mine))
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _is_up(told: Mapping[str, Any]) -> bool:
    return bool(start_time(told["pid"]) == told["started"])


def _told(paths: HomePaths) -> dict[Path, dict[str, Any]]:
    """Return what watches wrote of themselves, whether they are up or not."""
    found = {}
    for file in paths.watches.glob("*.json"):
        with suppress(OSError, ValueError):  # it ends just now, or is torn
            told = json.loads(file.read_text())
            if isinstance(told, dict) and told.keys() >= _TOLD:
                found[file] = told
    return found


_TOLD = {"gate", "host", "pid", "started", "since"}
