"""What is in use: noted before it is looked for, so that whoever removes things sees it in time.

A user notes a name, and only then looks whether the thing is there. Who removes reads all notes and
removes in one act, between which no note comes. So a thing is either noted in time, and stays, or
is seen to be gone and is made anew. No clock takes part.
"""

import fcntl
import os
import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from raypipe.errors import StoreError
from raypipe.store.faults import disk_faults

ALIVE = "alive"
"""Name of the file that a user holds locked; the system lets go of it when its process ends."""

LEAVING = "leaving"
"""Name of the lock that users share while they are forgotten, and a cleaning has for itself."""


@dataclass(frozen=True)
class Needed:
    """What is noted at a moment."""

    names: frozenset[str]
    by_anybody: bool
    """Whether there is a user at all."""

    def needs(self, name: str, *, written: bool = False) -> bool:
        """Say whether a thing must stay; what is written stays while anybody is here."""
        return name in self.names or (written and self.by_anybody)


class User:
    """One who uses things: a run with all its processes, or a process by itself."""

    def __init__(self, uses: "Uses", name: str, alive: int | None) -> None:
        self._uses = uses
        self._folder = uses.folder / name
        self._alive = alive
        self._noted: set[str] = set()
        self._guard = threading.Lock()
        self._notes: int | None = None

    def note(self, *names: str) -> None:
        """Say that things are needed, before looking whether they are there."""
        with self._guard:
            fresh = [name for name in names if name not in self._noted]
            if not fresh:
                return
            told = disk_faults(f"what is in use cannot be noted in {str(self._folder)!r}")
            with told, self._uses.locked(fcntl.LOCK_SH):
                # The first line end is for what a full disk may have left of a note before.
                self._append("".join(f"\n{name}" for name in fresh).encode() + b"\n")
            self._noted.update(fresh)

    def _append(self, text: bytes) -> None:
        if (
            self._notes is None
        ):  # a file for each process: to append together is not safe everywhere
            self._folder.mkdir(parents=True, exist_ok=True)
            place = self._folder / f"{os.getpid()}-{os.urandom(4).hex()}"
            self._notes = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
        while text:  # on a disk that is nearly full, a part of it may be written first
            text = text[os.write(self._notes, text) :]

    def end(self) -> None:
        """Need nothing any more; what is recorded by now is found without these notes."""
        with self._guard:
            for descriptor in (self._notes, self._alive):
                if descriptor is not None:
                    os.close(descriptor)
            self._notes = self._alive = None
        self._uses.leave(self._folder.name)


class Noting:
    """Hands notes on to the user of now; outside a run there is none, and nothing is noted."""

    def __init__(self) -> None:
        self.user: User | None = None

    def __call__(self, *names: str) -> None:
        """Note names, if there is a user."""
        if self.user is not None:
            self.user.note(*names)


class Uses:
    """The notes of all users of one kind of things, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, name: str) -> User:
        """Return a user that lives as long as this process, or until it ends."""
        with disk_faults(f"{str(self.folder / name)!r} cannot be made"):
            self.folder.mkdir(parents=True, exist_ok=True)
            with self.locked(fcntl.LOCK_SH):
                (self.folder / name).mkdir(exist_ok=True)
                place = self.folder / name / ALIVE
                alive = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                fcntl.flock(alive, fcntl.LOCK_EX)
        return User(self, name, alive)

    def join(self, name: str) -> User:
        """Return another process's hand on a user that began elsewhere."""
        with disk_faults(f"{str(self.folder)!r} cannot be made"):
            self.folder.mkdir(parents=True, exist_ok=True)
        return User(self, name, None)

    def leave(self, name: str) -> None:
        """Forget a user that ended, unless a cleaning is on its way that may not know its records.

        The next cleaning forgets it then.
        """
        unless_cleaning = self._lock(LEAVING, fcntl.LOCK_SH | fcntl.LOCK_NB)
        with suppress(BlockingIOError, FileNotFoundError), unless_cleaning:
            shutil.rmtree(self.folder / name, ignore_errors=True)

    @contextmanager
    def cleaning(self) -> Iterator[None]:
        """Be the only one that removes things in the body; StoreError while another does."""
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with self._lock("cleaning", fcntl.LOCK_EX | fcntl.LOCK_NB), self._lock(LEAVING):
                yield
        except BlockingIOError:
            raise StoreError(
                "another process is cleaning this home", hint="wait until it is done"
            ) from None

    def gone(self) -> frozenset[str]:
        """Return the users whose process ended: what they needed is recorded, or is needed no more.

        To be asked before the records are read.
        """
        if not self.folder.is_dir():
            return frozenset()
        with self.locked(fcntl.LOCK_EX):
            return frozenset(name for name in self._users() if not self._is_alive(name))

    @contextmanager
    def removing(self, gone: Iterable[str]) -> Iterator[Needed]:
        """Give what is noted by all but those that were gone; nobody notes in the body."""
        if not self.folder.is_dir():
            yield Needed(frozenset(), by_anybody=False)
            return
        with self.locked(fcntl.LOCK_EX):
            users = set(self._users()) - set(gone)
            noted: set[str] = set()
            for name in users:
                for file in (self.folder / name).iterdir():
                    noted.update(file.read_text().split("\n"))
            yield Needed(frozenset(noted), by_anybody=bool(users))

    def forget(self, users: Iterable[str]) -> None:
        """Remove the notes of users that are gone."""
        for name in users:
            shutil.rmtree(self.folder / name, ignore_errors=True)

    @contextmanager
    def locked(self, how: int) -> Iterator[None]:
        """Hold the lock on all notes in the body."""
        with self._lock("lock", how):
            yield

    @contextmanager
    def _lock(self, name: str, how: int = fcntl.LOCK_EX) -> Iterator[None]:
        descriptor = os.open(self.folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, how)
            yield
        finally:
            os.close(descriptor)

    def _users(self) -> list[str]:
        return [entry.name for entry in self.folder.iterdir() if entry.is_dir()]

    def _is_alive(self, name: str) -> bool:
        try:
            descriptor = os.open(self.folder / name / ALIVE, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False
