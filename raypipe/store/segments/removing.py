"""Removes sealed segments that a rule lets go: on record first, then from the folder.

From when they are on record nobody reads them, so that a kill on the way loses and counts nothing
twice; whoever removes next goes on with what is still there. Who reads holds the folder meanwhile.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from raypipe.errors import StoreError
from raypipe.fault_points import fault_point
from raypipe.store.content import sync_folder
from raypipe.store.faults import disk_faults
from raypipe.store.segments.places import SEALED, removed_file


@dataclass(frozen=True, kw_only=True)
class Removed:
    """What rules removed of a log so far."""

    segments: int = 0
    requests: int = 0
    labels: int = 0
    first: float | None = None
    """Time of the oldest record among them, and of the newest."""
    last: float | None = None
    at: float | None = None
    """When a rule removed something last."""
    going: tuple[str, ...] = ()
    """Segments among them whose files may still be there: nobody reads them."""


@dataclass(frozen=True, kw_only=True)
class Going:
    """A sealed segment that may go, and what it holds."""

    uuid: str
    requests: int
    labels: int
    first: float
    last: float


@contextmanager
def being_read(folder: Path) -> Iterator[None]:
    """Let nothing of the log be removed in the body."""
    with _locked(folder, fcntl.LOCK_SH):
        yield


@contextmanager
def alone(folder: Path) -> Iterator[bool]:
    """Be the only one who reads or removes in the body; false where somebody reads now."""
    try:
        with _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
            yield True
    except BlockingIOError:
        yield False


def read_removed(folder: Path) -> Removed:
    """Return what rules removed of a log."""
    file = removed_file(folder)
    try:
        told = json.loads(file.read_bytes())
        return Removed(**{**told, "going": tuple(told["going"])})
    except FileNotFoundError:
        return Removed()
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StoreError(
            f"{str(file)!r} cannot be read: {error}",
            hint="it says what was removed of the request log by rule; restore it from a copy",
        ) from error


def remove(folder: Path, segments: Sequence[Going], now: float) -> None:
    """Remove segments, and what an earlier removal left; to be called `alone`."""
    before = read_removed(folder)
    if not (segments or before.going):
        return
    after = _with(before, segments, now) if segments else before
    with disk_faults(f"the request log {str(folder)!r} cannot be written"):
        _write(folder, after)
        fault_point("removal.noted")
        for uuid in after.going:
            (folder / SEALED / f"{uuid}.parquet").unlink(missing_ok=True)
            fault_point("segment.removed")
        if (folder / SEALED).is_dir():
            sync_folder(folder / SEALED)
        _write(folder, replace(after, going=()))


def _with(before: Removed, segments: Sequence[Going], now: float) -> Removed:
    first = [one.first for one in segments]
    last = [one.last for one in segments]
    return Removed(
        segments=before.segments + len(segments),
        requests=before.requests + sum(one.requests for one in segments),
        labels=before.labels + sum(one.labels for one in segments),
        first=min(first if before.first is None else [*first, before.first]),
        last=max(last if before.last is None else [*last, before.last]),
        at=now,
        going=tuple(dict.fromkeys((*before.going, *(one.uuid for one in segments)))),
    )


def _write(folder: Path, removed: Removed) -> None:
    file = removed_file(folder)
    aside = file.with_suffix(".new")
    with aside.open("wb") as opened:
        opened.write(json.dumps(asdict(removed)).encode())
        opened.flush()
        os.fsync(opened.fileno())
    aside.rename(file)
    sync_folder(folder)


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:  # nothing was asked yet, and there is nothing to remove
        yield
        return
    try:
        fcntl.flock(opened, how)
        try:
            yield
        finally:
            fcntl.flock(opened, fcntl.LOCK_UN)
    finally:
        os.close(opened)
