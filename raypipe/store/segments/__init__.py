"""The request log: append-only segments of framed records, sealed to Parquet when they are done."""

from raypipe.store.segments.reading import (
    Found,
    Segment,
    inspect,
    read_records,
    read_segment,
    segments,
)
from raypipe.store.segments.sealing import seal
from raypipe.store.segments.writer import Level, SegmentWriter

__all__ = [
    "Found",
    "Level",
    "Segment",
    "SegmentWriter",
    "inspect",
    "read_records",
    "read_segment",
    "seal",
    "segments",
]
