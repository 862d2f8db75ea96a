"""Temporary folders that go with their process, or, where that was killed, with the next one."""

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from raypipe.store.faults import disk_faults

_HELD = ".held"
"""A file in each folder that is locked while its process lives."""
_FRESH = 60.0
"""Seconds that a process has from making a folder to having locked it."""


@contextlib.contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """Make a folder for temporary files, and remove those that killed processes left behind.

    StoreError where the disk has no room for it.
    """
    place = Path(tempfile.gettempdir())
    for left in place.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):  # another user's, or another process removes it
            _remove_abandoned(left)
    with disk_faults(f"a folder in {str(place)!r} cannot be made"):
        folder, held = _held_folder(prefix, place)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _held_folder(prefix: str, place: Path) -> tuple[Path, int]:
    """Make a folder and lock it; another, where it was taken for abandoned before it was locked."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
        with contextlib.suppress(FileNotFoundError):
            held = os.open(folder / _HELD, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(held, fcntl.LOCK_EX)
            if os.fstat(held).st_nlink:
                return folder, held
            os.close(held)


def _remove_abandoned(folder: Path) -> None:
    said = folder.lstat()
    if said.st_uid != os.getuid() or not folder.is_dir() or folder.is_symlink():
        return
    try:
        held = os.open(folder / _HELD, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        if time.time() - said.st_mtime > _FRESH:
            folder.rmdir()  # killed before it locked it; one that holds anything is a user's own
        return
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
    finally:
        os.close(held)
