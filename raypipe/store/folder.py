"""Artifacts in a folder, each under its digest: whole or not at all."""

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

from raypipe.engine.digest import digest_bytes, digest_tree
from raypipe.engine.ports import Artifacts
from raypipe.engine.records import ArtifactStat
from raypipe.errors import StoreError

CHUNK = 1 << 20
STALE = 3600.0
"""Seconds after which what a writer left aside is taken for abandoned."""


class FolderArtifacts:
    """`FOLDER/<digest>` is a file for bytes, and a folder with one entry for a path.

    Writing: aside under `.tmp`, made durable, renamed into place, the folder made durable. Bytes
    that were published under a digest of their own are a manifest, whose digest is that of its
    tree.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._aside = folder / ".tmp"

    def put_bytes(self, data: bytes, digest: str | None = None) -> ArtifactStat:
        """Publish bytes; `digest` where it is that of a manifest's tree."""
        digest = digest or digest_bytes(data)
        target = self.folder / digest
        if not self.verify(digest):
            with self._faults(digest), self._place(target) as aside:
                with aside.open("wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                aside.chmod(0o444)
        return _stat_of(digest, target)

    def put_path(self, path: Path) -> ArtifactStat:
        """Publish a copy of a file or folder under its base name.

        Its digest is of the content alone.
        """
        digest = digest_path(path)
        target = self.folder / digest
        if not self.verify(digest):
            self.remove(digest)
            with self._faults(digest), self._place(target) as aside:
                aside.mkdir()
                _copy(path, aside / path.name)
                _sync_folder(aside)
        return _stat_of(digest, target)

    def read(self, digest: str) -> bytes:
        """Return the bytes that were published."""
        try:
            return (self.folder / digest).read_bytes()
        except OSError as error:
            raise _lost(digest, error) from error

    def path(self, digest: str) -> Path:
        """Return the copy of a published file or folder."""
        try:
            (entry,) = (self.folder / digest).iterdir()
        except (OSError, ValueError) as error:
            raise _lost(digest, error) from error
        return entry

    def intact(self, stat: ArtifactStat) -> bool:
        """Say whether an artifact is whole.

        Its size and time are as they were, or its digest is.
        """
        target = self.folder / stat.digest
        try:
            if _stat_of(stat.digest, target) == stat:
                return True
            return self.verify(stat.digest)
        except (OSError, StoreError):
            return False

    def verify(self, digest: str) -> bool:
        """Say whether what lies under a digest has that digest; reads all of it."""
        target = self.folder / digest
        try:
            if target.is_dir():
                return digest_path(self.path(digest)) == digest
            data = target.read_bytes()
        except (OSError, StoreError):
            return False
        return digest_bytes(data) == digest or _manifest_digest(data) == digest

    def list(self) -> Iterator[ArtifactStat]:
        """Yield every artifact, in no order."""
        if self.folder.is_dir():
            for entry in self.folder.iterdir():
                if not entry.name.startswith("."):
                    yield _stat_of(entry.name, entry)

    def remove(self, digest: str) -> None:
        """Remove an artifact; one that is not there is no error."""
        target = self.folder / digest
        if target.is_dir():
            aside = self._new_aside()
            target.rename(aside)
            shutil.rmtree(aside)
        else:
            target.unlink(missing_ok=True)

    # --- writing --------------------------------------------------------------------------------

    @contextmanager
    def _place(self, target: Path) -> Iterator[Path]:
        """Give a path aside to write to, and move what is written there into place in one act."""
        aside = self._new_aside()
        try:
            yield aside
            try:
                aside.rename(target)
            except OSError as error:
                if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                    raise
            _sync_folder(self.folder)
        finally:
            _discard(aside)

    def _new_aside(self) -> Path:
        if not self._aside.is_dir():
            self._aside.mkdir(parents=True, exist_ok=True)
        self._sweep()
        return Path(tempfile.mktemp(dir=self._aside, prefix=f"{os.getpid()}-"))

    def _sweep(self) -> None:
        """Remove what dead writers left; looked for once an object."""
        if getattr(self, "_swept", False):
            return
        self._swept = True
        for entry in self._aside.iterdir():
            try:
                if time.time() - entry.stat().st_mtime > STALE:
                    _discard(entry)
            except FileNotFoundError:
                continue

    @contextmanager
    def _faults(self, digest: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            hints = {
                errno.ENOSPC: "free some space, then run again: what was recorded is kept",
                errno.EACCES: f"mend the permissions of {self.folder}",
                errno.EROFS: f"{self.folder} is on a read-only file system; choose another home",
            }
            raise StoreError(
                f"artifact {digest[:12]} cannot be written: {error.strerror}",
                hint=hints.get(error.errno or 0, "look at the home's disk"),
            ) from error


def digest_path(path: Path) -> str:
    """Return the digest of a file's bytes, or of a folder's files by their relative paths."""
    if path.is_dir():
        lines = [
            f"{file.relative_to(path).as_posix()}\0{_digest_file(file)}" for file in _files(path)
        ]
        return digest_bytes(b"folder\n" + "\n".join(lines).encode())
    return digest_bytes(b"file\n" + _digest_file(path).encode())


def _files(folder: Path) -> list[Path]:
    files = sorted(entry for entry in folder.rglob("*") if not entry.is_dir())
    for file in files:
        if not file.resolve().is_relative_to(folder.resolve()):
            raise StoreError(
                f"{file.relative_to(folder)} in {folder.name!r} is a link that leads outside",
                hint="copy what it points to, so that the folder holds all of its content",
            )
    return files


def _digest_file(file: Path) -> str:
    digest = blake2b(digest_size=32)
    with file.open("rb") as opened:
        while chunk := opened.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        target.mkdir()
        for file in _files(source):
            copy = target / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            _copy(file, copy)
        return
    shutil.copyfile(source, target)
    with target.open("rb") as copied:
        os.fsync(copied.fileno())
    target.chmod(0o444)


def _stat_of(digest: str, target: Path) -> ArtifactStat:
    stat = target.stat()
    if not target.is_dir():
        return ArtifactStat(digest=digest, size=stat.st_size, mtime_ns=stat.st_mtime_ns)
    stats = [file.stat() for file in target.rglob("*") if not file.is_dir()]
    return ArtifactStat(
        digest=digest,
        size=sum(one.st_size for one in stats),
        mtime_ns=max((one.st_mtime_ns for one in stats), default=0),
    )


def _manifest_digest(data: bytes) -> str | None:
    import json

    try:
        return digest_tree(json.loads(data))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _discard(aside: Path) -> None:
    if aside.is_dir():
        shutil.rmtree(aside, ignore_errors=True)
    else:
        aside.unlink(missing_ok=True)


def _lost(digest: str, error: Exception) -> StoreError:
    return StoreError(
        f"artifact {digest[:12]} is gone or torn: {getattr(error, 'strerror', None) or error}",
        hint="run again: what is lost is made anew",
    )


def _fits(artifacts: FolderArtifacts) -> Artifacts:
    return artifacts
