"""Notes of how far the processes that a step started are: they cannot say it once they are gone."""

import os
from contextlib import suppress
from pathlib import Path

LENGTH = 96
"""Bytes of a note."""
NAME = "worker-"
"""What the names of notes begin with, before the worker's rank."""


class Note:
    """The note of one worker's process, written over as it goes on."""

    def __init__(self, scratch: Path, rank: int) -> None:
        scratch.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        self._file = os.open(_file(scratch, rank), flags, 0o644)

    def write(self, text: str) -> None:
        """Say how far the process is."""
        os.pwrite(self._file, f"{os.getpid()} {text}".ljust(LENGTH).encode(), 0)

    def close(self) -> None:
        """Leave the note as it is."""
        os.close(self._file)


def note_in(scratch: Path, rank: int) -> str:
    """Return what a worker noted; nothing if it noted nothing."""
    return _read(_file(scratch, rank))[1]


def notes_in(scratch: Path) -> dict[int, str]:
    """Return what processes noted, by their ids."""
    return {pid: text for pid, text in map(_read, sorted(scratch.glob(f"{NAME}*"))) if text}


def _file(scratch: Path, rank: int) -> Path:
    return scratch / f"{NAME}{rank}"


def _read(path: Path) -> tuple[int, str]:
    with suppress(OSError, ValueError):
        pid, _, text = path.read_text().partition(" ")
        return int(pid), text.strip()
    return 0, ""
