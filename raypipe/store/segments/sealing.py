"""Turns segments that nobody writes to any more into Parquet files: whole, once, or not yet."""

import fcntl
import os
from pathlib import Path

from raypipe.errors import StoreError
from raypipe.fault_points import fault_point
from raypipe.store.content import sync_folder
from raypipe.store.faults import disk_faults
from raypipe.store.segments.frames import Frame
from raypipe.store.segments.places import SEALED
from raypipe.store.segments.reading import Found, look_at, scan

DAMAGED = "damaged"
"""Folder of segments in which bytes are damaged: their whole records are sealed all the same."""


def seal(folder: Path) -> list[str]:
    """Seal each segment whose writer has ended it, or is gone; return their ids.

    Safe for several at once and for a kill at any point: the records are in the segment until
    the Parquet file is durable under its name, and its name is the segment's.
    """
    with disk_faults(f"the request log {str(folder)!r} cannot be sealed"):
        return [path.stem for path in sorted(folder.glob("*.seg")) if _seal_if_free(path)]


def _seal_if_free(path: Path) -> bool:
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not path.exists():  # another sealer was first
            return False
        return _seal(path)
    except BlockingIOError:  # a living process writes to it, or seals it
        return False
    finally:
        os.close(file)


def _seal(path: Path) -> bool:
    try:
        found = look_at(path)
    except StoreError:  # no segment: `raypipe requests audit` says so
        return False
    sealed = path.parent / SEALED / f"{path.stem}.parquet"
    if found.segment.records and not sealed.exists():
        _write(found, sealed)
        fault_point("segment.sealed")
    if found.damaged:
        aside = path.parent / DAMAGED
        aside.mkdir(mode=0o700, exist_ok=True)
        path.rename(aside / path.name)
    else:
        path.unlink()
    sync_folder(path.parent)
    return bool(found.segment.records)


def _write(found: Found, sealed: Path) -> None:
    from pyarrow import parquet

    from raypipe.store.segments.table import table_of

    bodies = [frame.body for frame in scan(found.segment.path) if isinstance(frame, Frame)]
    about = {
        "records": found.segment.records,
        "digest": found.segment.digest,
        "missing": found.missing,
        "damaged": found.damaged,
        "torn": found.torn,
    }
    meta = {f"raypipe.{key}": str(value) for key, value in about.items()}
    sealed.parent.mkdir(mode=0o700, exist_ok=True)
    aside = sealed.with_suffix(".tmp")
    with aside.open("wb") as file:
        parquet.write_table(
            table_of(bodies).replace_schema_metadata(meta),
            file,
            compression="zstd",
            write_statistics=False,  # whole bodies, twice: nobody asks for them
            write_page_checksum=True,
        )
        file.flush()
        os.fsync(file.fileno())
    aside.rename(sealed)
    sync_folder(sealed.parent)
