"""Rows as they are, of files that say their types."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from raypipe.stages.data.reading import faults, open_at
from raypipe.stages.data.rows import BATCH, Lines
from raypipe.values.imported import Input


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
