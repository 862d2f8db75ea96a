"""The files of one local repository, each under the digest of its bytes."""

import hashlib
import os
import re
import sqlite3
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from raypipe.errors import StoreError
from raypipe.store.versions_local_rows import Tree

_OBJECT = re.compile(r"[0-9a-f]{64}")
_BLOCK = 1 << 20
_ASIDE_LIFETIME = 86_400.0


class LocalObjects:
    """Files by their content, in `objects/` of a repository; `aside/` holds what is written."""

    def __init__(self, repository: Path) -> None:
        self._folder = repository / "objects"
        self._aside = repository / "aside"

    @property
    def folder(self) -> Path:
        """Where they lie."""
        return self._folder

    def __iter__(self) -> Iterator[Path]:
        """Yield every file."""
        for folder in sorted(self._folder.iterdir()):
            yield from sorted(file for file in folder.iterdir() if _OBJECT.fullmatch(file.name))

    def file(self, object_id: str) -> Path:
        """Return where an object lies, or is to lie."""
        digest = object_id.removeprefix("blake2b:")
        return self._folder / digest[:2] / digest

    def keep(self, files: Mapping[str, Path]) -> Tree:
        """Copy files to where their content belongs; all of it is durable then."""
        with faults(self._aside):
            self._sweep()
        kept: Tree = {}
        folders = set()
        for path, file in files.items():
            with faults(file):
                kept[path], place = self._copy_in(file)
                folders.add(place.parent)
        with faults(self._folder):
            for folder in (*folders, self._folder):
                sync_folder(folder)
        return kept

    def _copy_in(self, file: Path) -> tuple[tuple[str, int], Path]:
        """Copy a file aside, make its bytes durable, and move it to its place."""
        aside = self._aside / uuid.uuid4().hex
        try:
            digest, size = _copy(file, aside)
            place = self.file(digest)
            if not place.is_file() or size_of(place) != size:
                place.parent.mkdir(exist_ok=True)
                aside.replace(place)
        finally:
            aside.unlink(missing_ok=True)
        return (f"blake2b:{digest}", size), place

    def _sweep(self) -> None:
        """Remove what killed processes left aside."""
        for left in self._aside.iterdir():
            try:
                if time.time() - left.stat().st_mtime > _ASIDE_LIFETIME:
                    left.unlink(missing_ok=True)
            except FileNotFoundError:
                continue


@contextmanager
def faults(what: Path) -> Iterator[None]:
    """Raise StoreError for what a disk or SQLite says; `what` is where."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise StoreError(
            f"The version store failed at {what}: {error}",
            hint="Look whether the disk is full and the folder yours.",
        ) from error


def _copy(source: Path, target: Path) -> tuple[str, int]:
    digest, size = hashlib.blake2b(digest_size=32), 0
    with source.open("rb") as reader, target.open("xb") as writer:
        while block := reader.read(_BLOCK):
            digest.update(block)
            size += writer.write(block)
        writer.flush()
        os.fsync(writer.fileno())
        os.fchmod(writer.fileno(), 0o444)
    return digest.hexdigest(), size


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def size_of(file: Path) -> int:
    """Return a file's bytes; none if it went meanwhile."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
