"""Rows of CSV with care: each by itself, so that a bad one is known by its line."""

import codecs
import csv
import io
from collections.abc import Iterator
from itertools import islice

import pyarrow as pa

from raypipe.config.importing import ImportConfig
from raypipe.errors import UsageError
from raypipe.stages.data.reading import faults, open_bytes
from raypipe.stages.data.rows import BATCH, Lines, Reject, delimiter_of, short, twice
from raypipe.stages.data.types import NULLS
from raypipe.values.imported import Input, Rejected


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
