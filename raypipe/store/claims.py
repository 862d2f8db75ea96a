"""Claims on keys: while one process makes a result, others on this machine wait for it."""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from raypipe.engine.ports import Claim


@dataclass(frozen=True)
class FileClaim:
    """A claim that is held; the system lets go of it when its process ends, however that ends."""

    path: Path
    descriptor: int

    def release(self) -> None:
        """Let others have the key."""
        self.path.unlink(missing_ok=True)
        os.close(self.descriptor)


class FileClaims:
    """Claims as locked files in a folder.

    They only save work: a result that two processes make is recorded once all the same.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def claim(self, key: str) -> Claim | None:
        """Return a claim on a key; None while another process, or this one, holds it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / key
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return None
            if _is_at(descriptor, path):
                return FileClaim(path, descriptor)
            os.close(descriptor)  # its holder let go, and removed it, between the two calls


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.fstat(descriptor).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False
