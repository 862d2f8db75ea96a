"""One input of an import becomes shards: quickly, or row by row where a row is not as it should."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from raypipe.config.importing import ImportConfig
from raypipe.errors import UsageError
from raypipe.stages.data.careful_csv import careful_csv
from raypipe.stages.data.careful_json import careful_jsonl
from raypipe.stages.data.images import image_rows
from raypipe.stages.data.quick import loses_digits_in, quick_csv, quick_jsonl
from raypipe.stages.data.reading import faults, open_at
from raypipe.stages.data.rejects import Rejects
from raypipe.stages.data.rows import Lines, short, twice
from raypipe.stages.data.typed import arrow_rows, parquet_rows
from raypipe.stages.data.types import (
    MOMENTS,
    OF_TEXT,
    Inference,
    broken_rows,
    cast,
    casts,
    decoded,
    is_beyond_calendars,
    named_type,
    plain,
    widest,
)
from raypipe.stages.data.writing import Writing
from raypipe.values.imported import Converted, Input, Rejected
from raypipe.values.words import amount

TEXT = ("csv", "jsonl")
_WHOLE_TO = 2.0**53
"""Up to this a float holds every whole number."""


class _NotAsExpected(Exception):
    """A row that a quick reader let pass and that cannot stay."""


def convert(
    source: Input, settings: ImportConfig, known: pa.Schema, folder: Path, *, agreed: bool = False
) -> Converted:
    """Write an input's rows as shards below a folder; UsageError names file and line of a bad row.

    `known` are the types of columns that are there already; they are all of them and in this order
    where they are `agreed` among the inputs.
    """
    known = _with_named_types(known, settings)
    try:
        return _quickly(source, settings, known, folder / "quick", agreed=agreed)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, _NotAsExpected):
        pass
    try:
        return _with_care(source, settings, known, folder / "careful", agreed=agreed)
    except pa.ArrowException as error:
        said = str(error).split("\n", 1)[0]
        raise UsageError(
            f"{source.location} cannot become Parquet: {said}",
            hint="--type COLUMN=TYPE says what a column is; or leave the column or the file out.",
        ) from error


def _with_named_types(known: pa.Schema, settings: ImportConfig) -> pa.Schema:
    types = {field.name: field.type for field in known}
    for column, name in settings.types.items():
        kind = named_type(name)
        if kind is None:
            raise UsageError(
                f"types: column {column!r} cannot be {name!r}: there is no such type",
                hint="Use int64, float64, string, bool, date32, timestamp[us], …",
            )
        types[column] = kind
    return pa.schema(list(types.items()))


# --- quickly --------------------------------------------------------------------------------------


def _quickly(
    source: Input, settings: ImportConfig, known: pa.Schema, folder: Path, *, agreed: bool
) -> Converted:
    if source.kind not in TEXT:
        raise _NotAsExpected
    writing = Writing(source, settings, known, folder, agreed=agreed)
    read = (
        quick_csv(source, settings, known)
        if source.kind == "csv"
        else quick_jsonl(source, known)
    )  # fmt: skip
    doubtful: set[str] = set()
    with faults_but_of_rows(source):
        for batch in read:
            twice(batch.schema.names, source)
            if _needs_care(batch, settings, known):
                raise _NotAsExpected
            writing.add(batch)
            doubtful.update(
                field.name
                for column, field in zip(batch.columns, batch.schema, strict=True)
                if _is_doubtful(column, field, known)
            )
        if doubtful and loses_digits_in(source, settings, sorted(doubtful)):
            raise _NotAsExpected
    return writing.close(inferred=set(writing.names) - set(known.names), rejects=Rejects())


def _needs_care(batch: pa.RecordBatch, settings: ImportConfig, known: pa.Schema) -> bool:
    """Say whether a row has no key, or text is not written as is said: Arrow reads it as bytes."""
    names = batch.schema.names
    told = [f for f in batch.schema if f.name not in known.names]
    return any(batch[name].null_count for name in settings.key if name in names) or any(
        pa.types.is_binary(f.type) for f in told
    )


def _is_doubtful(column: pa.Array, field: pa.Field, known: pa.Schema) -> bool:
    """Say whether Arrow may have taken whole numbers for floats that do not hold all their digits.

    That is known of small ones; what is in lists and objects is not looked at.
    """
    if field.name in known.names:
        return False
    if pa.types.is_nested(field.type):
        return _has_floats(field.type)
    if not pa.types.is_floating(field.type):
        return False
    ends = pc.min_max(column).as_py()
    return any(end is not None and abs(end) >= _WHOLE_TO for end in ends.values())


def _has_floats(kind: pa.DataType) -> bool:
    inner = [kind.field(n).type for n in range(kind.num_fields)]
    return pa.types.is_floating(kind) or any(map(_has_floats, inner))


def faults_but_of_rows(source: Input) -> "_Faults":
    """Name the file in what the system says of it; what Arrow says of rows is left as it is."""
    return _Faults(source.location)


class _Faults:
    def __init__(self, location: str) -> None:
        self._location = location

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError | UnicodeDecodeError) and not isinstance(
            error, pa.ArrowInvalid
        ):
            with faults(self._location):
                raise error


# --- with care ------------------------------------------------------------------------------------


def _with_care(
    source: Input, settings: ImportConfig, known: pa.Schema, folder: Path, *, agreed: bool
) -> Converted:
    types = known if agreed else _types_of(source, settings, known)
    rejects = Rejects(folder if settings.rejects else None)
    writing = Writing(source, settings, types, folder, agreed=agreed)
    for lines in _rows(source, settings, rejects):
        writing.add(_fitted(lines, types, settings, rejects))
    if rejects.count and not settings.rejects:
        raise _bad_row(source, rejects)
    rows = writing.rows + rejects.count
    if rejects.count > settings.rejected_share * rows:
        raise _too_many(source, settings, rejects, rows)
    inferred = set(writing.names) - set(known.names) if source.kind in TEXT else set()
    return writing.close(inferred=inferred, rejects=rejects)


def _rows(source: Input, settings: ImportConfig, rejects: Rejects) -> Iterator[Lines]:
    match source.kind:
        case "csv":
            return careful_csv(source, settings, rejects.add)
        case "jsonl":
            return careful_jsonl(source, rejects.add)
        case "parquet":
            return parquet_rows(source)
        case "arrow":
            return arrow_rows(source)
        case "images":
            return image_rows(source, settings, rejects.add)


def _types_of(source: Input, settings: ImportConfig, known: pa.Schema) -> pa.Schema:
    """Return the types of all columns: those that are known, and what all values tell."""
    if source.kind not in TEXT:
        return _widened(_schema_of(source, settings), known)
    among = OF_TEXT if source.kind == "csv" else MOMENTS
    inference, schema = None, pa.schema([])
    for lines in _rows(source, settings, Rejects()):
        schema = lines.batch.schema
        texts = [f.name for f in schema if pa.types.is_string(f.type) and f.name not in known.names]
        inference = inference or Inference(texts, among)
        inference.see([lines.batch[name] for name in texts])
    told = {f.name: f.type for f in inference.schema()} if inference else {}
    types = {f.name: f.type for f in known}
    return pa.schema([(f.name, types.get(f.name, told.get(f.name, f.type))) for f in schema])


def _schema_of(source: Input, settings: ImportConfig) -> pa.Schema:
    if source.kind == "parquet":
        system, path = open_at(source.location)
        with faults(source.location):
            schema = pq.read_schema(path, filesystem=system)
    else:
        first = next(iter(_rows(source, settings, Rejects())), None)
        schema = pa.schema([]) if first is None else first.batch.schema
    twice(schema.names, source)
    return pa.schema([(f.name, plain(f.type)) for f in schema])


def _widened(own: pa.Schema, known: pa.Schema) -> pa.Schema:
    """Return a file's own types, where those that are known do not hold them too."""
    types = {f.name: f.type for f in known}
    return pa.schema(
        [
            (f.name, types[f.name] if widest(f.type, types.get(f.name, f.type)) == types.get(f.name)
             else f.type)
            for f in own
        ]
    )  # fmt: skip


def _fitted(
    lines: Lines, types: pa.Schema, settings: ImportConfig, rejects: Rejects
) -> pa.RecordBatch:
    """Return the rows whose values have the types that are meant, each column cast to its own."""
    batch = lines.batch
    bad: dict[int, str] = {}
    for name in batch.schema.names:
        kind = types.field(name).type
        if batch[name].type != kind and not casts(decoded(batch[name]), kind):
            for row in broken_rows(decoded(batch[name]), kind):
                value = short(str(batch[name][int(row)].as_py()))
                bad.setdefault(int(row), f"column {name!r}: {value!r} is no {kind}")
    for name in settings.key:
        if name in batch.schema.names:
            for row in np.flatnonzero(pc.is_null(batch[name]).to_numpy(zero_copy_only=False)):
                bad.setdefault(int(row), f"column {name!r} is empty, which names the row")
    for name in batch.schema.names:
        for row in np.flatnonzero(is_beyond_calendars(batch[name])):
            bad.setdefault(int(row), f"column {name!r}: its year is none of 1 to 9999")
    for row in sorted(bad):
        text = ", ".join(_text(column.slice(row, 1)) for column in batch.columns)
        rejects.add(Rejected(line=lines.lines[row], reason=bad[row], text=short(text)))
    if bad:
        keep = np.ones(batch.num_rows, np.bool_)
        keep[list(bad)] = False
        batch = batch.filter(pa.array(keep))
    columns = [cast(decoded(batch[name]), types.field(name).type) for name in batch.schema.names]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _text(value: pa.Array) -> str:
    try:
        return str(value[0].as_py())
    except (OverflowError, ValueError):  # no moment of Python's
        return str(value.cast(pa.string())[0])


def _bad_row(source: Input, rejects: Rejects) -> UsageError:
    first = rejects.first[0]
    more = f", and {amount(rejects.count - 1, 'more such row')}" if rejects.count > 1 else ""
    return UsageError(
        f"{source.location}:{first.line}: {first.reason}{more}",
        hint="Mend them, or leave them out: --rejects FILE lists them. "
        "--type COLUMN=TYPE says what a column is.",
    )


def _too_many(source: Input, settings: ImportConfig, rejects: Rejects, rows: int) -> UsageError:
    first = rejects.first[0]
    return UsageError(
        f"{rejects.count:,} of {rows:,} rows of {source.location} cannot be read, more than the "
        f"share of {settings.rejected_share:g} that may be left out; the first, on line "
        f"{first.line}: {first.reason}",
        hint="Mend the file, or allow more: rejected_share in the settings.",
    )
