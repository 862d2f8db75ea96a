"""Reads segments, open and sealed, beside those who write and seal them."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from raypipe.errors import StoreError
from raypipe.store.faults import disk_faults
from raypipe.store.segments.frames import (
    Broken,
    Frame,
    ReadAt,
    read_frames,
    read_header,
    seed_of,
)
from raypipe.store.segments.places import SEALED
from raypipe.store.segments.removing import read_removed

if TYPE_CHECKING:
    import pyarrow as pa

MEND = "restore it from a copy, or move it away; `raypipe requests audit` says what is whole"
HEADER_BYTES = 8192
PIECE = 1 << 18
"""Bytes that are read at once, where records are smaller."""


@dataclass(frozen=True, kw_only=True)
class Segment:
    """What is known of a segment's records by their content."""

    uuid: str
    path: Path
    sealed: bool
    records: int
    """Whole records; an open segment counts as those that are in it now."""
    digest: str
    """Of these records in their order: the same open and sealed."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a look at a segment found beside its whole records."""

    segment: Segment
    missing: int = 0
    """Records that the numbers of the others say were there."""
    damaged: int = 0
    """Bytes in the middle that are no record."""
    torn: int = 0
    """Bytes at the end that are no whole record: never acknowledged."""
    said: str = ""
    """What keeps the segment from being read at all."""

    @property
    def is_whole(self) -> bool:
        """Whether all that was acknowledged is there."""
        return not (self.missing or self.damaged or self.said)


def segments(folder: Path) -> list[Segment]:
    """Return the segments that hold records, by their ids.

    StoreError where a sealed one cannot be read: what is counted without it would be wrong. An open
    one that cannot be holds nothing that was acknowledged.
    """
    found = inspect(folder)
    for one in found:
        if one.said and one.segment.sealed:
            raise StoreError(one.said, hint=MEND)
    return [one.segment for one in found if one.segment.records]


def inspect(folder: Path) -> list[Found]:
    """Look at every segment, each once, though it be sealed meanwhile; not what a rule removed."""
    with disk_faults(f"the request log {str(folder)!r} cannot be read"):
        names = sorted(file.stem for file in folder.glob("*.seg"))  # before the sealed ones
        sealed = {file.stem for file in (folder / SEALED).glob("*.parquet")}
        there = {*names, *sealed} - {*read_removed(folder).going}
        return [
            _inspect_sealed(folder, name) if name in sealed else _inspect_open(folder, name)
            for name in sorted(there)
        ]


def read_records(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield every whole record, segment by segment, in the order in which it was appended."""
    for segment in segments(folder):
        yield from records_of(segment)


def records_of(segment: Segment) -> Iterator[dict[str, Any]]:
    """Yield the records of a segment as they were when it was listed."""
    return map(orjson.loads, read_bodies(segment))


def read_bodies(segment: Segment) -> Iterator[bytes]:
    """Yield the bodies of a segment's records as they were when it was listed."""
    if not segment.sealed:
        try:
            for number, frame in enumerate(_frames(segment.path)):
                if number >= segment.records:
                    return
                yield frame.body
            return
        except FileNotFoundError:  # sealed since
            segment = _as_sealed(segment)
    table = _read_parquet(segment.path, ["body"])
    for batch in table.column("body").slice(0, segment.records).chunks:
        for text in batch.to_pylist():
            yield text.encode()


def read_segment(segment: Segment, columns: list[str] | None = None) -> "pa.Table":
    """Return a segment's records: `kind`, `id`, `time`, `model`, … and the whole `body`."""
    from raypipe.store.segments.table import table_of

    if segment.sealed:
        return _read_parquet(segment.path, columns)
    table = table_of(list(read_bodies(segment)))
    return table if columns is None else table.select(columns)


def _as_sealed(segment: Segment) -> Segment:
    path = segment.path.parent / SEALED / f"{segment.uuid}.parquet"
    return replace(segment, path=path, sealed=True)


# --- open segments ------------------------------------------------------------------------------


def scan(path: Path) -> Iterator[Frame | Broken]:
    """Yield what is in an open segment now, and what of it is no record."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        end = os.fstat(file).st_size
        head = os.pread(file, HEADER_BYTES, 0)
        header, start = read_header(head, path.name)
        yield from read_frames(_pieces_of(file, end), start, end, seed_of(header.uuid))
    finally:
        os.close(file)


def _pieces_of(file: int, end: int) -> ReadAt:
    """Return what reads a file up to an end, many records by one call of the system's."""
    begin, piece = 0, b""

    def read(offset: int, length: int) -> bytes:
        nonlocal begin, piece
        length = min(length, end - offset)
        if not begin <= offset <= offset + length <= begin + len(piece):
            begin, piece = offset, os.pread(file, min(max(length, PIECE), end - offset), offset)
        return piece[offset - begin : offset - begin + length]

    return read


def _frames(path: Path) -> Iterator[Frame]:
    return (found for found in scan(path) if isinstance(found, Frame))


def look_at(path: Path) -> Found:
    """Return what is in an open segment, and what is wrong with it."""
    digest, records, damaged, torn, following = blake2b(digest_size=32), 0, 0, 0, 0
    for found in scan(path):
        if isinstance(found, Broken):
            damaged += 0 if found.tail else found.length
            torn += found.length if found.tail else 0
            continue
        add_to(digest, found.body)
        records += 1
        following = found.sequence + 1
    segment = Segment(
        uuid=path.stem, path=path, sealed=False, records=records, digest=digest.hexdigest()
    )
    return Found(segment=segment, missing=following - records, damaged=damaged, torn=torn)


def add_to(digest: Any, body: bytes) -> None:
    """Count a record in the digest of a segment."""
    digest.update(len(body).to_bytes(4, "little"))
    digest.update(body)


def _inspect_open(folder: Path, name: str) -> Found:
    path = folder / f"{name}.seg"
    try:
        return look_at(path)
    except FileNotFoundError:  # sealed since; or removed, for it held no record
        if (folder / SEALED / f"{name}.parquet").exists():
            return _inspect_sealed(folder, name)
        return Found(segment=Segment(uuid=name, path=path, sealed=False, records=0, digest=""))
    except StoreError as error:
        return _unreadable(path, error, sealed=False)


# --- sealed segments ----------------------------------------------------------------------------


def _inspect_sealed(folder: Path, name: str) -> Found:
    path = folder / SEALED / f"{name}.parquet"
    try:
        digest, counts = _metadata(path)
    except StoreError as error:
        return _unreadable(path, error, sealed=True)
    segment = Segment(
        uuid=name,
        path=path,
        sealed=True,
        records=counts["records"],
        digest=digest,
    )
    return Found(
        segment=segment,
        missing=counts["missing"],
        damaged=counts["damaged"],
        torn=counts["torn"],
    )


def verify(found: Found) -> Found:
    """Read the records of a sealed segment, and hold them against what was sealed."""
    segment = found.segment
    if not segment.sealed or found.said:
        return found
    digest, records = blake2b(digest_size=32), 0
    try:
        read_segment(segment)  # each column against its own checksums
        for body in read_bodies(segment):
            add_to(digest, body)
            records += 1
    except StoreError as error:
        return replace(found, said=str(error))
    if (records, digest.hexdigest()) != (segment.records, segment.digest):
        return replace(found, said=f"{segment.path.name} does not hold what was sealed in it")
    return found


def _unreadable(path: Path, error: StoreError, *, sealed: bool) -> Found:
    segment = Segment(uuid=path.stem, path=path, sealed=sealed, records=0, digest="")
    return Found(segment=segment, said=str(error))


def _metadata(path: Path) -> tuple[str, dict[str, int]]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        meta = parquet.read_schema(path).metadata or {}
        counts = {key: int(meta[f"raypipe.{key}".encode()]) for key in COUNTS}
        return meta[b"raypipe.digest"].decode(), counts
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise _damaged(path, error) from error


COUNTS = ("records", "missing", "damaged", "torn")


def _read_parquet(path: Path, columns: list[str] | None) -> "pa.Table":
    import pyarrow as pa
    from pyarrow import parquet

    from raypipe.store.segments.table import SCHEMA

    try:
        table = parquet.read_table(
            path, columns=columns, partitioning=None, page_checksum_verification=True
        )
        if any(field != SCHEMA.field(field.name) for field in table.schema):
            raise ValueError("its columns are not those of a segment")
        return table
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> StoreError:
    first = next(iter(str(error).splitlines()), type(error).__name__)
    return StoreError(
        f"sealed segment {path.name} cannot be read: {first}",
        hint=MEND,
    )
