"""Claims on keys: while one process makes a result, others on this machine wait for it."""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from raypipe.engine.ports import Claim
from raypipe.store.faults import disk_faults


@dataclass(frozen=True)
class FileClaim:
    """A claim that is held; the system lets go of it when its process ends, however that ends."""

    path: Path
    descriptor: int
    shared: bool = False

    def release(self) -> None:
        """Let others have the key."""
        if not self.shared:
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
        return self._lock(key, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def share(self, key: str) -> Claim:
        """Return a claim that others may hold too, as long as nobody has it for himself."""
        claim = self._lock(key, fcntl.LOCK_SH)
        assert claim is not None
        return claim

    def is_held(self, key: str) -> bool:
        """Say whether a process on this machine holds a claim; nothing is made."""
        try:
            descriptor = os.open(self._folder / key, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def _lock(self, key: str, how: int) -> Claim | None:
        path = self._folder / key
        with disk_faults(f"{str(path)!r} cannot be locked"):
            self._folder.mkdir(parents=True, exist_ok=True)
            while True:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                try:
                    fcntl.flock(descriptor, how)
                except BlockingIOError:
                    os.close(descriptor)
                    return None
                if _is_at(descriptor, path):
                    return FileClaim(path, descriptor, shared=bool(how & fcntl.LOCK_SH))
                os.close(descriptor)  # its holder let go, and removed it, between the two calls


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.fstat(descriptor).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False
