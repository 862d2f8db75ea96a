"""Artifacts in a folder, each under its digest: whole or not at all."""

import errno
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from stat import S_ISDIR
from typing import TYPE_CHECKING

from raypipe.engine.digest import digest_bytes, digest_tree
from raypipe.engine.ports import Artifacts
from raypipe.engine.records import ArtifactStat
from raypipe.errors import StoreError
from raypipe.fault_points import fault_point
from raypipe.store.content import copy_path, digest_path, sync_folder, write_file
from raypipe.store.faults import disk_faults

STALE = 3600.0
"""Seconds after which what a writer left aside is taken for abandoned."""


class FolderArtifacts:
    """`FOLDER/<digest>` is a file for bytes, and a folder with one entry for a path.

    Writing: aside under `.tmp`, made durable, moved into place, the folder made durable. What is
    there and whole is never written again; what is torn is replaced. Bytes that were published
    under a digest of their own are a manifest, whose digest is that of its tree.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._aside = folder / ".tmp"
        self._swept = False
        self._read: set[str] = set()

    def put_bytes(self, data: bytes, digest: str | None = None) -> ArtifactStat:
        """Publish bytes; `digest` where it is that of a manifest's tree."""
        digest = digest or digest_bytes(data)
        target = self._place(digest)
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
        if not self.verify(digest):
            with self._faults(digest), self._written_aside() as aside:
                aside.mkdir()
                copied = copy_path(path, aside / _base_name(path))
                if copied != digest:
                    raise _changed(path)
                sync_folder(aside)
                fault_point("artifact.aside")
                self._move_folder(aside, digest)
        return _stat_of(digest, target)

    def read(self, digest: str) -> bytes:
        """Return the bytes that were published; checked in full when first read."""
        try:
            data = self._place(digest).read_bytes()
        except OSError as error:
            raise _lost(digest, error.strerror) from error
        if digest not in self._read:
            if not _is_of(data, digest):
                raise _lost(digest, "its content is not what was published")
            self._read.add(digest)
        return data

    def path(self, digest: str) -> Path:
        """Return the copy of a published file or folder."""
        try:
            (entry,) = self._place(digest).iterdir()
        except OSError as error:
            raise _lost(digest, error.strerror) from error
        except ValueError as error:
            raise _lost(digest, "its folder does not hold one entry") from error
        return entry

    def stat(self, digest: str) -> ArtifactStat:
        """Return what an artifact looks like now; OSError if it is gone."""
        return _stat_of(digest, self._place(digest))

    def intact(self, stat: ArtifactStat) -> bool:
        """Say whether an artifact is whole: its size and time are as recorded, or its digest is."""
        target = self._place(stat.digest)
        try:
            if _stat_of(stat.digest, target) == stat:
                return True
            whole = self.verify(stat.digest)
        except OSError:
            return False
        if whole:
            _set_time(target, stat.mtime_ns)
        return whole

    def verify(self, digest: str) -> bool:
        """Say whether what lies under a digest has that digest; reads all of it."""
        target = self._place(digest)
        try:
            if target.is_dir():
                return digest_path(self.path(digest)) == digest
            return _is_of(target.read_bytes(), digest)
        except (OSError, StoreError):
            return False

    def list(self) -> Iterator[ArtifactStat]:
        """Yield every artifact, in no order."""
        if self.folder.is_dir():
            for entry in self.folder.iterdir():
                if not entry.name.startswith("."):
                    with suppress(FileNotFoundError):
                        yield _stat_of(entry.name, entry)

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


def _base_name(path: Path) -> str:
    """Return the last part of a path; of `.` and `..`, that of the folder they name."""
    return path.name if path.name not in {"", ".."} else path.resolve().name or "root"


def _is_of(data: bytes, digest: str) -> bool:
    return digest_bytes(data) == digest or _manifest_digest(data) == digest


def _manifest_digest(data: bytes) -> str | None:
    try:
        return digest_tree(json.loads(data))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _stat_of(digest: str, target: Path) -> ArtifactStat:
    stat = target.stat()
    if not target.is_dir():
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


def _lost(digest: str, why: str | None) -> StoreError:
    return StoreError(
        f"artifact {digest[:12]} is gone or torn: {why}",
        hint="run again: what is lost is made anew",
    )


def _changed(path: Path) -> StoreError:
    return StoreError(
        f"{str(path)!r} changed while it was copied",
        hint="run again when nothing writes to it; a step should return a path of its own",
    )


if TYPE_CHECKING:
    _fits: Artifacts = FolderArtifacts(Path())

__all__ = ["FolderArtifacts", "digest_path"]
