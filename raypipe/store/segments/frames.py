"""How a segment is written down: a header that says who writes it, then framed records.

    header  magic | u32 format | u32 length | u32 crc | JSON of the writer
    record  u32 length | u32 crc | u64 sequence | body

The checksum of a record covers its length, sequence and body, and starts from the segment's id, so
that bytes of another segment never pass. All numbers are little-endian.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from json import dumps, loads
from struct import Struct
from zlib import crc32

from raypipe.errors import StoreError

MAGIC = b"raypseg\n"
FORMAT = 1
_TOP = Struct("<8sIII")
_HEAD = Struct("<IIQ")
_COUNTED = Struct("<IQ")
LARGEST_HEADER = 4096
"""Bytes: a header says less than this."""
LARGEST_BODY = (1 << 31) - 1
"""Bytes of the largest record."""

ReadAt = Callable[[int, int], bytes]
"""Bytes from an offset on; fewer where the file ends."""

_SEQUENCE = re.compile(rb"[^\0]\0{4,7}")
"""The last bytes of a sequence below 2^32, which the text of a record cannot hold."""
_PIECE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Header:
    """Which segment it is, and which process wrote it; it holds a lock on the file meanwhile."""

    uuid: str
    pid: int
    host: str
    created: float


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole record and where it lies."""

    offset: int
    sequence: int
    body: bytes

    @property
    def end(self) -> int:
        """Where the next record begins."""
        return self.offset + _HEAD.size + len(self.body)


@dataclass(frozen=True, slots=True)
class Broken:
    """Bytes that are no record; whole ones follow them, unless they are the tail."""

    offset: int
    length: int
    tail: bool


def seed_of(uuid: str) -> int:
    """Return where the checksums of a segment's records start from."""
    return crc32(uuid.encode())


def frame(seed: int, sequence: int, body: bytes) -> bytes:
    """Return a record as it is written."""
    length = len(body)
    checksum = crc32(body, crc32(_COUNTED.pack(length, sequence), seed))
    return _HEAD.pack(length, checksum, sequence) + body


def write_header(header: Header) -> bytes:
    """Return a header as it is written."""
    text = dumps(asdict(header), separators=(",", ":")).encode()
    return _TOP.pack(MAGIC, FORMAT, len(text), crc32(text)) + text


def read_header(data: bytes, name: str) -> tuple[Header, int]:
    """Return the header that a file begins with, and where the first record begins.

    StoreError where it is no whole header of a format that is known here.
    """
    if len(data) < _TOP.size:
        raise _no_segment(name)
    magic, form, length, checksum = _TOP.unpack_from(data)
    if magic != MAGIC:
        raise _no_segment(name)
    if form != FORMAT:
        raise StoreError(
            f"segment {name} is of format {form}, and format {FORMAT} is read here",
            hint="use the version of raypipe that wrote it, or a newer one",
        )
    text = data[_TOP.size : _TOP.size + length]
    if len(text) != length or crc32(text) != checksum:
        raise _no_segment(name)
    return Header(**loads(text)), _TOP.size + length


def _no_segment(name: str) -> StoreError:
    return StoreError(
        f"{name} does not begin as a segment of the request log does",
        hint="nothing was acknowledged in a file without a whole header; move it away",
    )


def read_frames(read: ReadAt, start: int, end: int, seed: int) -> Iterator[Frame | Broken]:
    """Yield the records between two offsets in order, and what lies between them and is none."""
    offset, expected = start, 0
    while offset < end:
        found = _frame_at(read, offset, end, seed)
        if found is None or found.sequence < expected:
            found = _frame_after(read, offset + 1, end, seed, expected)
            until = end if found is None else found.offset
            yield Broken(offset, until - offset, tail=found is None)
            if found is None:
                return
        yield found
        offset, expected = found.end, found.sequence + 1


def _frame_at(read: ReadAt, offset: int, end: int, seed: int) -> Frame | None:
    head = read(offset, _HEAD.size)
    if len(head) < _HEAD.size:
        return None
    length, checksum, sequence = _HEAD.unpack(head)
    if length > end - offset - _HEAD.size:
        return None
    body = read(offset + _HEAD.size, length)
    if len(body) < length:
        return None
    if crc32(body, crc32(_COUNTED.pack(length, sequence), seed)) != checksum:
        return None
    return Frame(offset, sequence, body)


def _frame_after(read: ReadAt, start: int, end: int, seed: int, expected: int) -> Frame | None:
    """Return the first whole record that begins at or after an offset.

    Only where the bytes look like a sequence that may follow is a checksum made, so that a long
    run of damage is passed over quickly.
    """
    latest = expected + (end - start) // _HEAD.size + 1
    for offset in _candidates(read, start, end, expected == 0):
        head = read(offset, _HEAD.size)
        if len(head) == _HEAD.size and expected <= _HEAD.unpack(head)[2] <= latest:
            found = _frame_at(read, offset, end, seed)
            if found is not None:
                return found
    return None


def _candidates(read: ReadAt, start: int, end: int, first: bool) -> Iterator[int]:
    """Yield offsets, in order, where a record may begin."""
    if first:  # a sequence of 0 has no byte to be found by; it can only be the very first record
        yield start
    position = start
    while position < end:
        piece = read(position, _PIECE)
        last = position
        for match in _SEQUENCE.finditer(piece):
            last = position + match.start()
            # Its highest byte that is not 0 was found: the first, second, third or fourth.
            yield from (last - 8 - byte for byte in (3, 2, 1, 0) if last - 8 - byte >= start)
        if position + len(piece) >= end or not piece:
            return
        position += max(len(piece) - 16, 1)
