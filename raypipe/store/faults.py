"""What a disk says, in raypipe's words."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from raypipe.errors import StoreError

_HINTS = {
    errno.ENOSPC: "free some space, then run again: what was recorded is kept",
    errno.EDQUOT: "free some of your quota, then run again: what was recorded is kept",
    errno.EACCES: "mend the folder's permissions, or choose another home with --home",
    errno.EPERM: "mend the folder's permissions, or choose another home with --home",
    errno.EROFS: "the disk is read-only; choose another home with --home",
}
SCARCE = 16 << 20
"""Bytes: with less than this free, a fault of the disk is most likely a full one."""


@contextmanager
def disk_faults(what: str) -> Iterator[None]:
    """Raise StoreError for an OSError of the body; `what` says what cannot be done, with a path."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{what}: {error.strerror or error}", hint=hint_of(error)) from error


def hint_of(error: OSError) -> str:
    """Return the next step after an error of the disk."""
    return _HINTS.get(error.errno or 0, "look at the home's disk")


def is_full(path: Path) -> bool:
    """Say whether the disk that a path is on has no space left to speak of."""
    there = next((folder for folder in (path, *path.parents) if folder.exists()), Path("/"))
    return shutil.disk_usage(there).free < SCARCE
