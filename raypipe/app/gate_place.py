"""Where the gate of a home is, and the secret that lakeFS shows it, which its owner alone reads."""

import json
import os
import secrets
from contextlib import suppress

from raypipe.engine.records import Json
from raypipe.errors import StoreError
from raypipe.runtime.processes import start_time
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
    """Return where the gate of a watch of this home is that is up; None if none is."""
    told = read_watch(paths)
    if told is None or start_time(told["pid"]) != told["started"]:
        return None
    return str(told["gate"])


def read_watch(paths: HomePaths) -> Json:
    """Return what the watch that was started last wrote of itself, whether it is up or not."""
    try:
        return json.loads(paths.watch.read_text())
    except (OSError, ValueError):
        return None
