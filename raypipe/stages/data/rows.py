"""Rows of a file, batch by batch, each with the line that it is written on."""

import codecs
import csv
import io
import json
import re
from bisect import bisect_left
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
from raypipe.stages.data.types import DEEPEST, NULLS, is_deep, loses_digits, widest
from raypipe.values.imported import Input, Rejected

BATCH = 65_536
"""Rows of a batch."""
_PIECE = 64 * 2**20
_LONG = 200
_LONG_NUMBER = re.compile(rb"[:,\[]\s*-?\d{16,}\s*[,\]}]")
_NULL_FIRST, _NULL_LATER = re.compile(rb"\s*null"), re.compile(rb"[\n}][ \t\r]*null")
"""A line of JSON that is null: Arrow dies of it where it is the first, else makes a row of it."""
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
        raise UsageError(
            f"{source.location} has {found[0]!r} for the name of several columns",
            hint="Name each column otherwise, or write the file without the others.",
        )


_KINDS = {bool: "a truth value", int: "a number", float: "a number", str: "text", list: "a list"}
_Place = tuple[str, ...]
"""Where in a row a value stands: its column, then fields of objects; `[]` is any item of a list."""


def careful_jsonl(source: Input, reject: Reject) -> Iterator[Lines]:
    """Read JSON lines row by row; what is not of the kind that most values are is rejected."""
    kinds = _kinds_of_places(source)
    types = _json_types(source, kinds)
    rows = _fitting(source, kinds, reject)
    while taken := list(islice(rows, BATCH)):
        columns = [_array(source, taken, name, kind) for name, kind in types.items()]
        yield Lines(
            batch=pa.RecordBatch.from_arrays(columns, list(types)),
            lines=[line for line, _ in taken],
        )


def _json_types(source: Input, kinds: dict[_Place, str]) -> dict[str, pa.DataType]:
    """Return the types that the values of columns have, told by all rows that fit."""
    found: dict[str, pa.DataType] = {place[0]: pa.null() for place in kinds}
    rows = _fitting(source, kinds, lambda rejected: None)
    while taken := list(islice(rows, BATCH)):
        for name in found:
            values = _array(source, taken, name)
            found[name] = widest(found[name], values.type) or pa.string()
    return found


def _array(
    source: Input,
    taken: Sequence[tuple[int, dict[str, Any]]],
    name: str,
    kind: pa.DataType | None = None,
) -> pa.Array:
    """Return the values of a column; UsageError names the row that does not go with those before.

    Arrow takes any value by itself, but not 1.5 beside a whole number that a float cannot hold.
    """
    values = [row.get(name) for _, row in taken]
    try:
        return pa.array(values, kind)
    except (pa.ArrowException, ValueError, OverflowError) as error:
        bad = bisect_left(range(len(values)), True, key=lambda n: not _fit(values[: n + 1], kind))
        said = str(error).split("\n", 1)[0].rstrip(".")
        raise UsageError(
            f"{source.location}:{taken[min(bad, len(taken) - 1)][0]}: column {name!r}: {said}",
            hint="Mend the row, or leave it out.",
        ) from error


def _fit(values: Sequence[Any], kind: pa.DataType | None) -> bool:
    try:
        pa.array(values, kind)
    except (pa.ArrowException, ValueError, OverflowError):
        return False
    return True


def _fitting(
    source: Input, kinds: dict[_Place, str], reject: Reject
) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, row, text in _json_rows(source):
        if isinstance(row, str):
            reject(Rejected(line=line, reason=row, text=short(text)))
            continue
        wrong = next((told for told in _told_of(row) if kinds[told[0]] != told[1]), None)
        if wrong is None:
            yield line, row
            continue
        (name, *inside), kind = wrong
        at = f" at {'.'.join(inside)}" if inside else ""
        reason = f"column {name!r}: {kind}{at}, where most are {kinds[wrong[0]]}"
        reject(Rejected(line=line, reason=reason, text=short(text)))


def _told_of(row: dict[str, Any]) -> Iterator[tuple[_Place, str]]:
    """Yield where in a row values stand, and of what kind each is."""
    left: list[tuple[_Place, Any]] = [((name,), value) for name, value in reversed(row.items())]
    while left:
        place, value = left.pop()
        if value is None:
            continue
        yield place, _KINDS.get(type(value), "an object")
        if isinstance(value, dict):
            left += [((*place, name), inner) for name, inner in reversed(value.items())]
        elif isinstance(value, list):
            left += [((*place, "[]"), inner) for inner in reversed(value)]


def _kinds_of_places(source: Input) -> dict[_Place, str]:
    """Return what most values of each column are, and of each part of nested ones."""
    counts: dict[_Place, Counter[str]] = {}
    for _, row, _ in _json_rows(source):
        if isinstance(row, dict):
            for name in row:
                counts.setdefault((name,), Counter())
            for place, kind in _told_of(row):
                counts.setdefault(place, Counter())[kind] += 1
    return {
        place: found.most_common(1)[0][0] if found else "nothing" for place, found in counts.items()
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
            yield number, _json_row(raw), raw


def _json_row(raw: str) -> dict[str, Any] | str:
    """Return the object that a line holds, or why it is none that can be kept."""
    try:
        row = json.loads(raw, parse_int=_whole)
    except RecursionError:
        return "it is nested too deeply"
    except ValueError as error:
        return f"no JSON: {error}"
    if not isinstance(row, dict):
        return "no JSON object"
    return _unfit(row) if "\\" in raw or raw.count("{") + raw.count("[") > DEEPEST else row


def _unfit(row: dict[str, Any]) -> dict[str, Any] | str:
    """Return a row, or why Arrow and Parquet cannot keep it."""
    for place, _ in _told_of(row):
        if len(place) > DEEPEST:
            return f"column {place[0]!r}: it is nested more than {DEEPEST} levels deep"
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return "half of a surrogate pair, which is no letter"
    return row


def _whole(text: str) -> int | float:
    """Read a whole number; one that no integer of Arrow's holds must be one that a float holds."""
    value = int(text)
    if -(2**63) <= value < 2**63:
        return value
    if abs(value) < 2**1023 and int(float(value)) == value:
        return float(value)
    raise ValueError(f"{text[:40]} has more digits than a number can keep; write it as text")


def short(text: str) -> str:
    """Return the beginning of a row as it is written."""
    text = text.rstrip("\r\n")
    return text if len(text) <= _LONG else text[:_LONG] + "…"
