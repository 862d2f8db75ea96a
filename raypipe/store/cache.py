"""Copies of artifacts on this machine's disk: as many as fit, those used last, and all in use."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from operator import itemgetter
from pathlib import Path

from raypipe.engine.records import ArtifactStat
from raypipe.errors import StoreError
from raypipe.store.folder import FolderArtifacts
from raypipe.store.uses import User, Uses

LARGEST = 20 << 30
"""Bytes of all copies, unless settings say otherwise."""
SHARE = 16
"""After this share of the largest size was added, it is counted again: others add too."""


class Cache:
    """Copies in a folder, shared by processes.

    A copy that a process was given stays as long as that process; others go, those used longest ago
    first, before a new one comes that would not fit.
    """

    def __init__(self, folder: Path, largest: int = LARGEST) -> None:
        self._copies = FolderArtifacts(folder / "copies")
        self._small = folder / "small"
        self._uses = Uses(folder / "uses")
        self._largest = largest
        self._user: tuple[int, User] | None = None
        self._size: int | None = None
        """Bytes of all copies, when that was counted last."""
        self._added = 0
        """Bytes that this process added since."""

    def path(self, digest: str) -> Path | None:
        """Return the copy of a file or folder if it is here and whole; it stays from now on."""
        self._me().note(digest)
        return self._copies.path(digest) if self._is_here(digest) else None

    def read(self, digest: str) -> bytes | None:
        """Return a copy of bytes, if it is here and whole."""
        with suppress(StoreError):
            return self._copies.read(digest)
        return None

    def keep_bytes(self, digest: str, data: bytes) -> None:
        """Take a copy of bytes, which have that digest."""
        with suppress(StoreError):  # a cache on a full disk is of no use, and no harm
            self._make_room(len(data))
            self._copies.put_bytes(data, digest)

    def keep_path(self, digest: str, size: int, write: Callable[[Path], None]) -> Path:
        """Take a copy of a file or folder, which `write` puts into an empty folder."""
        self._me().note(digest)
        self._make_room(size)
        with self._copies.received(digest) as folder:
            write(folder)
        self._remember(self._copies.stat(digest))
        return self._copies.path(digest)

    def is_untouched(self, digest: str) -> bool:
        """Say whether a copy that was given away is still what it was; else it is dropped."""
        if self._is_here(digest):
            return True
        self.drop(digest)
        return False

    def drop(self, digest: str) -> None:
        """Remove a copy; one that is not there is no error."""
        self._copies.remove(digest)

    def remember(self, name: str, data: bytes) -> None:
        """Keep a few bytes under a name, the last ones that were told; they may be lost."""
        with suppress(OSError):
            self._small.mkdir(parents=True, exist_ok=True)
            aside = self._small / f".{os.getpid()}-{threading.get_ident()}"
            aside.write_bytes(data)
            aside.replace(self._small / name)

    def recall(self, name: str) -> bytes | None:
        """Return what was told under a name last."""
        try:
            return (self._small / name).read_bytes()
        except OSError:
            return None

    def forget(self, digest: str) -> None:
        """Forget what was told under a digest; its copy goes when there is no room for it."""
        for file in self._small.glob(f"{digest}.*"):
            file.unlink(missing_ok=True)

    def copies(self) -> Iterator[ArtifactStat]:
        """Yield the copies."""
        yield from (stat for _, stat in self._by_use())

    def release(self, digest: str) -> None:
        """Remove a copy, unless somebody uses it."""
        with self._uses.removing(self._uses.gone()) as used:
            if not used.needs(digest):
                self.drop(digest)

    # --- what is whole --------------------------------------------------------------------------

    def _is_here(self, digest: str) -> bool:
        """Say whether a copy is whole: as when it was made, else by its full digest."""
        try:
            stat = self._copies.stat(digest)
        except OSError:
            return False
        if self.recall(f"{digest}.copy") != _text(stat):
            if not self._copies.verify(digest):
                return False
            self._remember(stat)
        with suppress(OSError):
            place = self._place(digest)
            os.utime(place, ns=(time.time_ns(), place.stat().st_mtime_ns))
        return True

    def _remember(self, stat: ArtifactStat) -> None:
        self.remember(f"{stat.digest}.copy", _text(stat))

    # --- room -----------------------------------------------------------------------------------

    def _make_room(self, size: int) -> None:
        """See to it that so many bytes fit; what others add meanwhile is looked at now and then."""
        if self._size is None or self._added > self._largest / SHARE:
            self._size, self._added = sum(stat.size for _, stat in self._by_use()), 0
        if self._size + self._added + size > self._largest:
            self._evict(max(0, self._largest - size))
            self._size = None
        self._added += size

    def _evict(self, most: int) -> None:
        """Remove copies that nobody uses until at most so many bytes are left, or none can go."""
        gone = self._uses.gone()
        with self._uses.removing(gone) as used:
            copies = self._by_use()
            left = sum(stat.size for _, stat in copies)
            for _, stat in copies:
                if left <= most:
                    break
                if not used.needs(stat.digest):
                    self.drop(stat.digest)
                    left -= stat.size
        self._uses.forget(gone)

    def _by_use(self) -> list[tuple[int, ArtifactStat]]:
        """Return the copies, that used longest ago first."""
        found = []
        for digest in self._copies.list():
            with suppress(OSError):
                used = self._place(digest).stat().st_atime_ns
                found.append((used, self._copies.stat(digest)))
        return sorted(found, key=itemgetter(0))

    def _place(self, digest: str) -> Path:
        return self._copies.folder / digest

    def _me(self) -> User:
        """Return this process as a user; one that forked off is another."""
        if self._user is None or self._user[0] != os.getpid():
            self._uses.forget(self._uses.gone())
            name = f"{os.getpid()}-{os.urandom(6).hex()}"
            self._user = os.getpid(), self._uses.begin(name)
        return self._user[1]


def _text(stat: ArtifactStat) -> bytes:
    return f"{stat.size} {stat.mtime_ns}".encode()
