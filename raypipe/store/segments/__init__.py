"""The request log: append-only segments of framed records, sealed to Parquet when they are done."""

from raypipe.store.segments.reading import (
    Found,
    Segment,
    inspect,
    read_records,
    read_segment,
    segments,
)
from raypipe.store.segments.removing import (
    Going,
    Removed,
    alone,
    being_read,
    read_removed,
    remove,
)
from raypipe.store.segments.sealing import seal
from raypipe.store.segments.writer import Level, SegmentWriter

__all__ = [
    "Found",
    "Going",
    "Level",
    "Removed",
    "Segment",
    "SegmentWriter",
    "alone",
    "being_read",
    "inspect",
    "read_records",
    "read_removed",
    "read_segment",
    "remove",
    "seal",
    "segments",
]
