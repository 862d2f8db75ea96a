"""Rows of a file, batch by batch, each with the line that it is written on."""

import codecs
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from raypipe.config.importing import ImportConfig
from raypipe.errors import UsageError
from raypipe.stages.data.reading import faults, open_at, open_bytes
from raypipe.stages.data.types import NULLS, widest
from raypipe.values.imported import Input, Rejected

BATCH = 65_536
"""Rows of a batch."""
_PIECE = 64 * 2**20
_LONG = 200
_NO_OBJECT = re.compile(rb"(?:\A|[\n}])[ \t\r]*null")
"""A line of JSON that is null: Arrow makes a row of it, or dies where it is the first."""
_WINDOW = 4_096
_DEEP = 1_000
_BRACKETS = ((b"{", 1), (b"[", 1), (b"}", -1), (b"]", -1))
Reject = Callable[[Rejected], None]


@dataclass(frozen=True, kw_only=True)
class Lines:
    """A batch of rows, and where each is written."""

    batch: pa.RecordBatch
    lines: Sequence[int]
    """Of the file, counted from 1; the row's number where the file has no lines."""


def delimiter_of(source: Input, settings: ImportConfig) -> str:
    """Return what stands between the values of a line of CSV."""
    tabs = ".tsv" in PurePosixPath(source.location).suffixes
    return settings.delimiter or ("\t" if tabs else ",")


# --- quickly: Arrow's readers, which stop at the first row that is not as those before ------------


def quick_csv(source: Input, settings: ImportConfig, types: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Read CSV; columns that have no type given get one by the first block. ArrowInvalid."""
    with open_bytes(source.location) as stream:
        counted = _Quotes(stream)
        reader = pa.csv.open_csv(
            counted,
            read_options=pa.csv.ReadOptions(encoding=settings.encoding),
            parse_options=pa.csv.ParseOptions(
                delimiter=delimiter_of(source, settings), newlines_in_values=True
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types={field.name: field.type for field in types}, strings_can_be_null=True
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


def _json_table(piece: bytes, schema: pa.Schema) -> pa.Table:
    if _NO_OBJECT.search(piece) or _is_deep(piece) or not _is_utf8(piece):
        raise pa.ArrowInvalid("Arrow would take it, or end this process over it")
    return pa.json.read_json(
        pa.BufferReader(piece),
        read_options=pa.json.ReadOptions(block_size=len(piece) + 1),
        parse_options=pa.json.ParseOptions(explicit_schema=schema),
    )


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


# --- as they are: files that say their types ------------------------------------------------------


def parquet_rows(source: Input) -> Iterator[Lines]:
    """Read a Parquet file; rows are counted from 1."""
    system, path = open_at(source.location)
    with faults(source.location), pq.ParquetFile(path, filesystem=system) as file:
        yield from _counted(file.iter_batches(BATCH))


def arrow_rows(source: Input) -> Iterator[Lines]:
    """Read an Arrow file or stream, or a Feather file of version 1; rows are counted from 1."""
    system, path = open_at(source.location)
    with faults(source.location), system.open_input_file(path) as file:
        start = file.read(8)
        file.seek(0)
        if start.startswith(b"ARROW1"):
            reader = pa.ipc.open_file(file)
            batches = (reader.get_batch(n) for n in range(reader.num_record_batches))
            yield from _counted(batches)
        elif start.startswith(b"FEA1"):
            from pyarrow import feather

            yield from _counted(feather.read_table(file).to_batches(BATCH))
        else:
            yield from _counted(pa.ipc.open_stream(file))


def _counted(batches: Any) -> Iterator[Lines]:
    first = 1
    for batch in batches:
        batch.validate(full=True)  # not every writer sees to it that text is UTF-8
        yield Lines(batch=batch, lines=range(first, first + batch.num_rows))
        first += batch.num_rows


# --- with care: each row by itself, so that a bad one is known by its line ------------------------


def careful_csv(source: Input, settings: ImportConfig, reject: Reject) -> Iterator[Lines]:
    """Read CSV as text, row by row."""
    delimiter = delimiter_of(source, settings)
    rows = _csv_rows(source, settings, delimiter)
    names = next(rows, (0, []))[1]
    twice(names, source)
    while taken := list(islice(rows, BATCH)):
        whole = []
        for line, row in taken:
            if len(row) == len(names):
                whole.append((line, row))
            else:
                said = f"{len(row)} values, where there are {len(names)} columns"
                reject(Rejected(line=line, reason=said, text=short(delimiter.join(row))))
        columns = [
            pa.array([None if row[at] in NULLS else row[at] for _, row in whole], pa.string())
            for at in range(len(names))
        ]
        yield Lines(
            batch=pa.RecordBatch.from_arrays(columns, names), lines=[line for line, _ in whole]
        )


def _csv_rows(
    source: Input, settings: ImportConfig, delimiter: str
) -> Iterator[tuple[int, list[str]]]:
    """Yield rows that are not empty, each with the line that it begins on."""
    encoding = "utf-8-sig" if codecs.lookup(settings.encoding).name == "utf-8" else None
    csv.field_size_limit(2**31 - 1)
    with faults(source.location), open_bytes(source.location) as stream:
        text = io.TextIOWrapper(stream, encoding or settings.encoding, newline="")
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        line = 1
        try:
            for row in reader:
                if row:
                    yield line, row
                line = reader.line_num + 1
        except csv.Error as error:
            raise UsageError(
                f"{source.location}:{line} cannot be read: {error}",
                hint="Mend its quotes, or leave the file out.",
            ) from error


def twice(names: Sequence[str], source: Input) -> None:
    """Raise UsageError where several columns have one name."""
    if found := [name for name, times in Counter(names).items() if times > 1]:
        raise UsageError(f"{source.location} has {found[0]!r} for the name of several columns")


_KINDS = {bool: "a truth value", int: "a number", float: "a number", str: "text", list: "a list"}


def careful_jsonl(source: Input, reject: Reject) -> Iterator[Lines]:
    """Read JSON lines row by row; what is not of the kind that most values are is rejected."""
    kinds = _kinds_of_columns(source)
    types = _json_types(source, kinds)
    rows = _fitting(source, kinds, reject)
    while taken := list(islice(rows, BATCH)):
        whole = list(_of_types(taken, types, reject))
        columns = [
            pa.array([row.get(name) for _, row in whole], kind) for name, kind in types.items()
        ]
        yield Lines(
            batch=pa.RecordBatch.from_arrays(columns, list(types)),
            lines=[line for line, _ in whole],
        )


def _of_types(
    rows: list[tuple[int, dict[str, Any]]], types: dict[str, pa.DataType], reject: Reject
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the rows whose values have the types of their columns; the others are rejected."""
    if all(_is_of([row.get(name) for _, row in rows], kind) for name, kind in types.items()):
        yield from rows
        return
    for line, row in rows:
        wrong = [name for name, kind in types.items() if not _is_of([row.get(name)], kind)]
        if wrong:
            said = f"column {wrong[0]!r}: {short(str(row[wrong[0]]))} is no {types[wrong[0]]}"
            reject(Rejected(line=line, reason=said, text=short(json.dumps(row))))
        else:
            yield line, row


def _is_of(values: list[Any], kind: pa.DataType) -> bool:
    try:
        pa.array(values, kind)
    except (pa.ArrowException, OverflowError):
        return False
    return True


def _json_types(source: Input, kinds: dict[str, str]) -> dict[str, pa.DataType]:
    """Return the types that the values of columns have, told by all rows that fit."""
    found: dict[str, pa.DataType] = dict.fromkeys(kinds, pa.null())
    rows = _fitting(source, kinds, lambda rejected: None)
    while taken := list(islice(rows, BATCH)):
        for name in kinds:
            found[name] = _widened(found[name], [row.get(name) for _, row in taken])
    return found


def _widened(kind: pa.DataType, values: list[Any]) -> pa.DataType:
    """Return the type that holds values too; those that no type holds with the first are left."""
    try:
        return widest(kind, pa.array(values).type) or kind
    except (pa.ArrowException, OverflowError):
        half = len(values) // 2
        return _widened(_widened(kind, values[:half]), values[half:]) if half else kind


def _fitting(
    source: Input, kinds: dict[str, str], reject: Reject
) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, row, text in _json_rows(source):
        if isinstance(row, str):
            reject(Rejected(line=line, reason=row, text=short(text)))
            continue
        wrong = [
            f"column {name!r}: {_KINDS.get(type(value), 'an object')}, where most are {kinds[name]}"
            for name, value in row.items()
            if value is not None and _KINDS.get(type(value), "an object") != kinds[name]
        ]
        if wrong:
            reject(Rejected(line=line, reason=wrong[0], text=short(text)))
        else:
            yield line, row


def _kinds_of_columns(source: Input) -> dict[str, str]:
    """Return what most values of each column are."""
    counts: dict[str, Counter[str]] = {}
    for _, row, _ in _json_rows(source):
        for name, value in row.items() if isinstance(row, dict) else ():
            counts.setdefault(name, Counter())
            if value is not None:
                counts[name][_KINDS.get(type(value), "an object")] += 1
    return {
        name: found.most_common(1)[0][0] if found else "nothing" for name, found in counts.items()
    }


def _json_rows(source: Input) -> Iterator[tuple[int, dict[str, Any] | str, str]]:
    """Yield each line that is not empty: its number, its object or what is wrong, its text."""
    with faults(source.location), open_bytes(source.location) as stream:
        for number, raw in enumerate(io.TextIOWrapper(stream, "utf-8-sig"), 1):
            if not raw.strip():
                continue
            if number == 1 and raw.lstrip().startswith("["):
                raise UsageError(
                    f"{source.location} is one JSON array, not JSON lines",
                    hint="Write one object a line: jq -c '.[]' FILE > FILE.jsonl",
                )
            try:
                row = json.loads(raw)
                if "\\u" in raw:
                    json.dumps(row, ensure_ascii=False).encode()
            except UnicodeEncodeError:
                yield number, "no JSON: half of a surrogate pair", raw
                continue
            except (ValueError, RecursionError) as error:
                yield number, f"no JSON: {error}", raw
                continue
            yield number, row if isinstance(row, dict) else "no JSON object", raw


def short(text: str) -> str:
    """Return the beginning of a row as it is written."""
    text = text.rstrip("\r\n")
    return text if len(text) <= _LONG else text[:_LONG] + "…"
