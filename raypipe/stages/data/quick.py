"""Rows by Arrow's readers, which stop at the first one that is not as those before."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.json

from raypipe.config.importing import ImportConfig
from raypipe.stages.data.reading import open_bytes
from raypipe.stages.data.rows import BATCH, delimiter_of
from raypipe.stages.data.types import is_deep, loses_digits, widest
from raypipe.values.imported import Input

_PIECE = 64 * 2**20
_LONG_NUMBER = re.compile(rb"[:,\[]\s*-?\d{16,}\s*[,\]}]")
_NULL_FIRST, _NULL_LATER = re.compile(rb"\s*null"), re.compile(rb"[\n}][ \t\r]*null")
"""A line of JSON that is null: Arrow dies of it where it is the first, else makes a row of it."""
_WINDOW = 4_096
_DEEP = 1_000
_BRACKETS = ((b"{", 1), (b"[", 1), (b"}", -1), (b"]", -1))


def quick_csv(
    source: Input, settings: ImportConfig, types: pa.Schema, only: Sequence[str] = ()
) -> Iterator[pa.RecordBatch]:
    """Read CSV, or `only` some columns; what has no type given gets one by the first block.

    ArrowInvalid.
    """
    with open_bytes(source.location) as stream:
        counted = _Quotes(stream)
        reader = pa.csv.open_csv(
            counted,
            read_options=pa.csv.ReadOptions(encoding=settings.encoding),
            parse_options=pa.csv.ParseOptions(
                delimiter=delimiter_of(source, settings), newlines_in_values=True
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types={field.name: field.type for field in types},
                strings_can_be_null=True,
                include_columns=list(only),
            ),
        )
        yield from reader
    if counted.count % 2:  # one may never end, and Arrow takes all that follows it for its value
        raise pa.ArrowInvalid("quotes that do not end")


class _Quotes:
    """A stream whose quotes are counted as it is read."""

    closed = False

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.count = 0

    def read(self, size: int) -> bytes:
        block: bytes = self._stream.read(size)
        self.count += block.count(b'"')
        return block


def quick_jsonl(source: Input, types: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Read JSON lines; a column's type is that of its values in all pieces. ArrowInvalid."""
    schema = types
    if source.size > _PIECE or source.location.endswith((".gz", ".bz2", ".zst", ".lz4")):
        schema = _schema_of_pieces(source, types)
    for piece in _pieces(source):
        yield from _json_table(piece, schema).to_batches(BATCH)


def _schema_of_pieces(source: Input, types: pa.Schema) -> pa.Schema:
    found: dict[str, pa.DataType] = {}
    for piece in _pieces(source):
        for field in _json_table(piece, types).schema:
            wider = widest(found.get(field.name, field.type), field.type)
            if wider is None:
                raise pa.ArrowInvalid(f"column {field.name!r} has values of several kinds")
            found[field.name] = wider
    return pa.schema(list(found.items()))


def loses_digits_in(source: Input, settings: ImportConfig, columns: Sequence[str]) -> bool:
    """Say whether what was read as floats has whole numbers with more digits than these keep."""
    if source.kind == "csv":
        texts = pa.schema([(name, pa.string()) for name in columns])
        batches = quick_csv(source, settings, texts, columns)
        return any(loses_digits(batch[name]) for batch in batches for name in columns)
    return any(_LONG_NUMBER.search(piece) for piece in _pieces(source))


def _json_table(piece: bytes, schema: pa.Schema) -> pa.Table:
    if _NULL_FIRST.match(piece) or _is_deep(piece) or not _is_utf8(piece):
        raise pa.ArrowInvalid("Arrow would take it, or end this process over it")
    table = pa.json.read_json(
        pa.BufferReader(piece),
        read_options=pa.json.ReadOptions(block_size=len(piece) + 1),
        parse_options=pa.json.ParseOptions(explicit_schema=schema),
    )
    if any(map(is_deep, table.schema.types)):
        raise pa.ArrowInvalid("a value is nested too deeply")
    if all(column.null_count for column in table.columns) and _NULL_LATER.search(piece):
        raise pa.ArrowInvalid("a row is null")
    return table


def _is_deep(piece: bytes) -> bool:
    """Say whether values lie so deep in one another that Arrow's recursion might not end well."""
    depth = 0
    for start in range(0, len(piece), _WINDOW):
        window = piece[start : start + _WINDOW]
        end = window.rfind(b"\n") + 1
        depth = (0 if end else depth) + sum(
            sign * window.count(bracket, end) for bracket, sign in _BRACKETS
        )
        if depth > _DEEP:
            return True
    return False


def _is_utf8(piece: bytes) -> bool:
    if piece.isascii():
        return True
    try:
        piece.decode()
    except UnicodeDecodeError:
        return False
    return True


def _pieces(source: Input) -> Iterator[bytes]:
    """Yield the bytes of a file, cut between lines."""
    with open_bytes(source.location) as stream:
        left = b""
        while block := stream.read(_PIECE):
            block = left + block
            cut = block.rfind(b"\n") + 1
            if cut:
                yield block[:cut]
            left = block[cut:]
        if left.strip():
            yield left
