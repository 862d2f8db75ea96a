"""The index of source files: what parsing found in each, by the state of the file that it read."""

import json
import os
import sys
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from raypipe.store.faults import disk_faults
from raypipe.store.places import PACKAGE

FORMAT = 8
"""Number of the index's form, and of what parsing finds; another number is another index."""
NAME = "sources.json"
"""The index's file, in the folder of the home's indexes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexEntry:
    """What the index keeps of one module."""

    seal: list[int]
    content: str
    """Digest of what the module says."""
    table: bytes
    file: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceIndex:
    """A line of JSON that tells what there is; behind it the tables, read when they are needed."""

    entries: dict[str, IndexEntry] = field(default_factory=dict)
    distributions: dict[str, str] = field(default_factory=dict)
    found: Any = None

    def to_bytes(self) -> bytes:
        """Return the file; what it keeps of files that are gone is left out."""
        told, tables, start = {}, [], 0
        for known_as, entry in self.entries.items():
            if os.path.exists(entry.file):  # noqa: PTH110, quicker
                end = start + len(entry.table)
                told[known_as] = [entry.seal, entry.content, start, end, entry.file]
                tables.append(entry.table)
                start = end
        head = {
            "format": FORMAT,
            "maker": _maker(),
            "entries": told,
            "distributions": self.distributions,
            "found": self.found,
        }
        return b"\n".join([dump(head), b"".join(tables)])


def gone_from(index: Path) -> int:
    """Return how many modules the index in a folder keeps whose files are gone."""
    return sum(not os.path.exists(one.file) for one in load_index(index / NAME).entries.values())  # noqa: PTH110, quicker


def drop_gone(index: Path) -> int:
    """Drop them from the index, which is replaced whole; return how many there were."""
    count = gone_from(index)
    if count:
        write_index(load_index(index / NAME), index / NAME)
    return count


def write_index(index: SourceIndex, place: Path) -> None:
    """Write an index in the place of the one that is there."""
    with disk_faults(f"the index {str(place)!r} cannot be written"):
        place.parent.mkdir(parents=True, exist_ok=True)
        descriptor, aside = tempfile.mkstemp(dir=place.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(index.to_bytes())
        Path(aside).rename(place)


def seal_of(file: Path | str) -> list[int]:
    """Return what tells that a file was written: times, inode and size; zeros if it is gone."""
    try:
        stat = os.stat(file)  # noqa: PTH116, quicker
    except OSError:
        return [0, 0, 0, 0]
    return [stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_size]


@cache
def _maker() -> list[Any]:
    """Return what tells that other code made an index: this Python, and raypipe's own files."""
    files = [
        *(PACKAGE / "engine" / "fingerprint").glob("*.py"),
        Path(__file__),
        Path(__file__).with_name("sources.py"),
    ]
    return [list(sys.version_info[:3]), sorted(seal_of(file)[::3] for file in files)]


def load_index(index: Path | None) -> SourceIndex:
    """Read an index; an empty one where there is none, or of other code."""
    if index is None:
        return SourceIndex()
    try:
        head, _, tables = index.read_bytes().partition(b"\n")
        data = json.loads(head)
        if data["format"] != FORMAT or data["maker"] != _maker():
            return SourceIndex()
        entries = {
            known_as: IndexEntry(seal=seal, content=content, table=tables[start:end], file=file)
            for known_as, (seal, content, start, end, file) in data["entries"].items()
        }
        return SourceIndex(
            entries=entries, distributions=dict(data["distributions"]), found=data["found"]
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return SourceIndex()


def dump(data: Any) -> bytes:
    """Write as JSON, short."""
    return json.dumps(data, separators=(",", ":")).encode()
