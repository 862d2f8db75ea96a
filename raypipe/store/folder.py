"""Artifacts in a folder, each under its digest: whole or not at all."""

import errno
import json
import os
import shutil
import time
from collections.abc import Callable, Container, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR
from typing import TYPE_CHECKING

from raypipe.engine.digest import digest_bytes, digest_tree, is_digest
from raypipe.engine.ports import Artifacts
from raypipe.engine.records import ArtifactStat
from raypipe.errors import StoreError
from raypipe.fault_points import fault_point
from raypipe.store.content import copy_path, digest_file, digest_path, sync_folder, write_file
from raypipe.store.faults import disk_faults


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """What lies in a store and is no artifact, nor a part of one that is needed."""

    name: str
    key: str
    """Where it lies."""
    size: int
    written: bool = False
    """Whether somebody may be writing it, so that it is left over only if nobody writes."""


STALE = 3600.0
"""Seconds after which what a writer left aside is taken for abandoned."""
LARGEST_MANIFEST = 1 << 30
"""Bytes of the longest manifest. Whoever uses one parses it whole, into about ten times its size;
arrays, tables and files are beside it. So what is longer is read in pieces: it is data, or torn.
"""


class FolderArtifacts:
    """`FOLDER/<digest>` is a file for bytes, and a folder with one entry for a path.

    Writing: aside under `.tmp`, made durable, moved into place, the folder made durable. What is
    there and whole is never written again; what is torn is replaced. Bytes that were published
    under a digest of their own are a manifest, whose digest is that of its tree.
    """

    def __init__(self, folder: Path, note: Callable[[str], None] = lambda digest: None) -> None:
        """`note` is told what is needed before it is looked for, so that nobody removes it."""
        self.folder = folder
        self._note = note
        self._aside = folder / ".tmp"
        self._swept = False
        self._read: set[str] = set()

    def put_bytes(self, data: bytes, digest: str | None = None) -> ArtifactStat:
        """Publish bytes; `digest` where it is that of a manifest's tree."""
        if digest is not None and len(data) > LARGEST_MANIFEST:
            raise _too_long(digest, len(data))
        digest = digest or digest_bytes(data)
        target = self._place(digest)
        self._note(digest)
        if not self.verify(digest):
            with self._faults(digest), self._written_aside() as aside:
                write_file(aside, data)
                fault_point("artifact.aside")
                self._move_file(aside, target)
        return _stat_of(digest, target)

    def put_path(self, path: Path) -> ArtifactStat:
        """Publish a copy of a file or folder under its base name; only its content counts."""
        digest = digest_path(path)
        target = self._place(digest)
        self._note(digest)
        if not self.verify(digest):
            with self._faults(digest), self._written_aside() as aside:
                aside.mkdir()
                copied = copy_path(path, aside / base_name(path))
                if copied != digest:
                    raise changed(path)
                sync_folder(aside)
                fault_point("artifact.aside")
                self._move_folder(aside, digest)
        return _stat_of(digest, target)

    @contextmanager
    def received(self, digest: str) -> Iterator[Path]:
        """Publish what the body writes into a folder, one file or folder of that digest.

        The body answers for the digest, and makes the files durable.
        """
        with self._faults(digest), self._written_aside() as aside:
            aside.mkdir()
            yield aside
            for folder, _, _ in os.walk(aside):
                sync_folder(Path(folder))
            self._move_folder(aside, digest)

    def read(self, digest: str) -> bytes:
        """Return the bytes that were published; checked in full when first read."""
        self._note(digest)
        try:
            data = self._place(digest).read_bytes()
        except OSError as error:
            raise lost(digest, error.strerror) from error
        if digest not in self._read:
            if not is_of(data, digest):
                raise lost(digest, "its content is not what was published")
            self._read.add(digest)
        return data

    def view(self, digest: str) -> bytes:
        """Return the bytes that were published."""
        return self.read(digest)

    def path(self, digest: str) -> Path:
        """Return the copy of a published file or folder."""
        self._note(digest)
        return self._entry(digest)

    def _entry(self, digest: str) -> Path:
        try:
            (entry,) = self._place(digest).iterdir()
        except OSError as error:
            raise lost(digest, error.strerror) from error
        except ValueError as error:
            raise lost(digest, "its folder does not hold one entry") from error
        return entry

    def stat(self, digest: str) -> ArtifactStat:
        """Return what an artifact looks like now; OSError if it is gone."""
        self._note(digest)
        return _stat_of(digest, self._place(digest))

    def intact(self, stat: ArtifactStat) -> bool:
        """Say whether an artifact is whole: its size and time are as recorded, or its digest is."""
        target = self._place(stat.digest)
        self._note(stat.digest)
        try:
            if _stat_of(stat.digest, target) == stat:
                return True
            whole = self.verify(stat.digest)
        except OSError:
            return False
        if whole:
            _set_time(target, stat.mtime_ns)
        return whole

    def returned(self, stat: ArtifactStat) -> bool:
        """Say whether what `path` gave is still as it was published; else it is taken away."""
        if self.intact(stat):
            return True
        self.remove(stat.digest)
        return False

    def verify(self, digest: str) -> bool:
        """Say whether what lies under a digest has that digest; reads all of it."""
        target = self._place(digest)
        try:
            if target.is_dir():
                return digest_path(self._entry(digest)) == digest
            if digest_file(target) == digest:
                return True
            if target.stat().st_size > LARGEST_MANIFEST:
                return False
            return _manifest_digest(target.read_bytes()) == digest
        except (OSError, StoreError):
            return False

    def list(self) -> Iterator[str]:
        """Yield the digest of every artifact, in no order; what has another name is none."""
        if self.folder.is_dir():
            yield from (entry.name for entry in self.folder.iterdir() if is_digest(entry.name))

    def leftovers(self, needed: Container[str]) -> Iterator[Leftover]:
        """Yield what writers have aside."""
        for entry in self._aside.iterdir() if self._aside.is_dir() else ():
            with suppress(OSError):
                fresh = time.time() - _newest(entry) <= STALE
                size, name = _size_of(entry), entry.name
                yield Leftover(name=name, key=name, size=size, written=fresh)

    def discard(self, leftover: Leftover) -> None:
        """Remove what a crashed writer left."""
        _discard(self._aside / leftover.key)

    def remove(self, digest: str) -> None:
        """Remove an artifact; one that is not there is no error."""
        target = self._place(digest)
        self._read.discard(digest)
        with self._faults(digest):
            if not target.is_dir():
                target.unlink(missing_ok=True)
                return
            with self._written_aside() as aside:
                target.rename(aside)

    def _place(self, digest: str) -> Path:
        if not digest.isalnum():
            raise StoreError(f"{digest!r} is no digest")
        return self.folder / digest

    def where(self, digest: str) -> str:
        """Say where an artifact is, for people."""
        return str(self._place(digest))

    # --- writing --------------------------------------------------------------------------------

    def _move_file(self, aside: Path, target: Path) -> None:
        """Move a file into place: the first of several writers wins, but over a torn one."""
        if target.exists():
            aside.replace(target)
        else:
            with suppress(FileExistsError):
                _link(aside, target)
        fault_point("artifact.placed")
        sync_folder(self.folder)

    def _move_folder(self, aside: Path, digest: str) -> None:
        """Move a folder into place: the first of several writers wins, but over a torn one."""
        target = self._place(digest)
        if target.exists() and not self.verify(digest):
            with suppress(FileNotFoundError):
                target.rename(aside.with_suffix(".torn"))
                _discard(aside.with_suffix(".torn"))
        try:
            aside.rename(target)
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise
        fault_point("artifact.placed")
        sync_folder(self.folder)

    @contextmanager
    def _written_aside(self) -> Iterator[Path]:
        """Give a path aside to write to; what is still there afterwards is removed."""
        self._aside.mkdir(parents=True, exist_ok=True)
        self._sweep()
        aside = self._aside / f"{os.getpid()}-{os.urandom(8).hex()}"
        try:
            yield aside
        finally:
            _discard(aside)

    def _sweep(self) -> None:
        """Remove what dead writers left; looked for once an object."""
        if self._swept:
            return
        self._swept = True
        for entry in self._aside.iterdir():
            with suppress(OSError):
                if time.time() - _newest(entry) > STALE:
                    _discard(entry)

    def _faults(self, digest: str) -> AbstractContextManager[None]:
        return disk_faults(f"artifact {digest[:12]} cannot be written in {str(self.folder)!r}")


def base_name(path: Path) -> str:
    """Return the last part of a path; of `.` and `..`, that of the folder they name."""
    return path.name if path.name not in {"", ".."} else path.resolve().name or "root"


def is_of(data: bytes, digest: str) -> bool:
    """Say whether bytes, perhaps a manifest, have a digest."""
    return digest_bytes(data) == digest or _manifest_digest(data) == digest


def _manifest_digest(data: bytes) -> str | None:
    try:
        return digest_tree(json.loads(data))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _size_of(path: Path) -> int:
    inside = (path, *(_entries(path) if path.is_dir() else ()))
    return sum(entry.stat().st_size for entry in inside if entry.is_file())


def _stat_of(digest: str, target: Path) -> ArtifactStat:
    stat = target.stat()
    if not S_ISDIR(stat.st_mode):
        return ArtifactStat(digest=digest, size=stat.st_size, mtime_ns=stat.st_mtime_ns)
    stats = [entry.stat() for entry in _entries(target)]
    return ArtifactStat(
        digest=digest,
        size=sum(one.st_size for one in stats if not S_ISDIR(one.st_mode)),
        mtime_ns=max((one.st_mtime_ns for one in stats), default=0),
    )


def _entries(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder and the folders in it, whose times tell what was added."""
    for above, folders, names in os.walk(folder):
        yield from (Path(above, name) for name in (*names, *folders))


def _set_time(target: Path, mtime_ns: int) -> None:
    """Give a whole artifact the time that it was recorded with, so that it is not read again."""
    with suppress(OSError):
        for entry in _entries(target) if target.is_dir() else (target,):
            os.utime(entry, ns=(mtime_ns, mtime_ns))


def _newest(path: Path) -> float:
    inside: Iterator[Path] = _entries(path) if path.is_dir() else iter(())
    return max(entry.stat().st_mtime for entry in (path, *inside))


def _link(aside: Path, target: Path) -> None:
    try:
        target.hardlink_to(aside)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        aside.replace(target)


def _discard(aside: Path) -> None:
    if aside.is_dir():
        shutil.rmtree(aside, ignore_errors=True)
    else:
        aside.unlink(missing_ok=True)


def lost(digest: str, why: str | None) -> StoreError:
    """Return what is said of an artifact that is not there, or is not what it was."""
    return StoreError(
        f"artifact {digest[:12]} is gone or torn: {why}",
        hint="run again: what is lost is made anew",
    )


def _too_long(digest: str, size: int) -> StoreError:
    return StoreError(
        f"manifest {digest[:12]} has {size:,} bytes, and may have {LARGEST_MANIFEST:,}",
        hint="let the step give many values as an array, an Arrow table or a Path",
    )


def changed(path: Path) -> StoreError:
    """Return what is said of a file or folder that something writes to while it is copied."""
    return StoreError(
        f"{str(path)!r} changed while it was copied",
        hint="run again when nothing writes to it; a step should return a path of its own",
    )


if TYPE_CHECKING:
    _fits: Artifacts = FolderArtifacts(Path())
