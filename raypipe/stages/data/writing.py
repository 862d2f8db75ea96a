"""Rows of an input into shards: columns in their order, shards of even size."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from raypipe.config.importing import ImportConfig
from raypipe.errors import UsageError
from raypipe.stages.data.reading import open_at, open_bytes
from raypipe.stages.data.rejects import Rejects
from raypipe.stages.data.rows import twice
from raypipe.stages.data.shard_files import ShardFiles, as_path
from raypipe.stages.data.typed import arrow_rows
from raypipe.stages.data.types import DEEPEST, cast, is_deep, plain
from raypipe.store.versions import did_you_mean
from raypipe.values.imported import Converted, Input


class Writing:
    """Puts columns in their order, and rows into shards."""

    def __init__(
        self, source: Input, settings: ImportConfig, known: pa.Schema, folder: Path, *, agreed: bool
    ) -> None:
        self._source, self._settings, self._agreed = source, settings, agreed
        self._known = known
        self._files: ShardFiles | None = None
        self._folder = folder
        self._schema = pa.schema([])
        self._valued: set[str] = set()
        """Columns that have a value."""
        self.rows = 0
        self.names: list[str] = []

    def add(self, batch: pa.RecordBatch) -> None:
        """Take further rows."""
        if self._files is None:
            self._begin(batch.schema)
        assert self._files is not None
        columns = [
            cast(batch[f.name], f.type)
            if f.name in batch.schema.names
            else pa.nulls(batch.num_rows, f.type)
            for f in self._schema
        ]
        self._files.add(pa.RecordBatch.from_arrays(columns, schema=self._schema))
        self.rows += batch.num_rows
        self._valued |= {
            f.name
            for f, column in zip(self._schema, columns, strict=True)
            if f.name not in self._valued and column.null_count < len(column)
        }

    def close(self, *, inferred: set[str], rejects: Rejects) -> Converted:
        """Return what was written; UsageError where there was no row."""
        if self._files is not None and not self.names:
            raise UsageError(
                f"{self._source.location} has no columns", hint="Leave it out, or write it again."
            )
        if self._files is None or not self.rows:
            raise UsageError(
                f"{self._source.location} has no rows", hint="Leave it out, or write it again."
            )
        return Converted(
            shards=self._files.close(),
            schema=self._schema.empty_table(),
            inferred=tuple(sorted(inferred)),
            empty=tuple(name for name in self.names if name not in self._valued),
            rows=self.rows,
            rejected=rejects.count,
            examples=tuple(rejects.first),
            rejects=rejects.file,
        )

    def _begin(self, schema: pa.Schema) -> None:
        twice(schema.names, self._source)
        types = {f.name: f.type for f in schema}
        for name in (*self._settings.key, self._settings.partition):
            if name is not None and name not in types:
                what = "to divide it by" if name == self._settings.partition else "to name rows by"
                raise UsageError(
                    f"{self._source.location} has no column {name!r} {what}"
                    + did_you_mean(name, types)
                )
        for name in self._settings.types if self._source.kind != "jsonl" else ():
            if name not in types:
                raise UsageError(
                    f"{self._source.location} has no column {name!r} to be of a type"
                    + did_you_mean(name, types)
                )
        before = [f.name for f in self._known if self._agreed or f.name in types]
        self.names = [*before, *(name for name in types if name not in before)]
        known = {f.name: f.type for f in self._known}
        self._schema = pa.schema([(n, _kept(types.get(n, known.get(n)))) for n in self.names])
        if deep := [field.name for field in self._schema if is_deep(field.type)]:
            raise UsageError(
                f"{self._source.location}: column {deep[0]!r} is nested more than {DEEPEST} levels "
                "deep",
                hint="Leave the column out, or write it as text.",
            )
        for field in self._schema:
            if not _can_be_kept(field):
                raise UsageError(
                    f"{self._source.location}: column {field.name!r} holds values that Parquet "
                    f"cannot keep: {field.type}",
                    hint="Leave the column out, or write it as another type.",
                )
        self._files = ShardFiles(
            self._folder, as_path(self._source.name), self._rows_each(), self._settings.partition
        )

    def _rows_each(self) -> int | None:
        """Return how many rows a shard has, so that all are of even size; None for one shard."""
        source, target = self._source, self._settings.shard_mb * 2**20
        if source.kind == "images":
            return None
        size, rows = _size_and_rows(source, target)
        count = -(-size // target)
        return None if count <= 1 else max(1, -(-rows // count))


def _kept(kind: pa.DataType | None) -> pa.DataType:
    """Return the type that a shard's column has; one without a value is of text."""
    return pa.string() if kind is None or pa.types.is_null(kind) else plain(kind)


def _can_be_kept(field: pa.Field) -> bool:
    try:
        pq.ParquetWriter(pa.BufferOutputStream(), pa.schema([field])).close()
    except pa.ArrowNotImplementedError:  # unions, objects without a field, …
        return False
    return True


def _size_and_rows(source: Input, target: int) -> tuple[int, int]:
    """Return the unpacked bytes of a file and about its rows: exactly where it has a footer."""
    system, path = open_at(source.location)
    match source.kind:
        case "parquet":
            footer = pq.read_metadata(path, filesystem=system)
            groups = (footer.row_group(n) for n in range(footer.num_row_groups))
            return sum(group.total_byte_size for group in groups), footer.num_rows
        case "arrow":
            if source.size <= target:
                return source.size, 0
            sizes = [(lines.batch.nbytes, lines.batch.num_rows) for lines in arrow_rows(source)]
            return sum(size for size, _ in sizes), sum(rows for _, rows in sizes)
        case _:
            packed = source.location.endswith((".gz", ".bz2", ".zst", ".lz4"))
            if source.size <= target and not packed:
                return source.size, 0
            return _size_and_lines(source.location)


def _size_and_lines(location: str) -> tuple[int, int]:
    size = lines = 0
    with open_bytes(location) as stream:
        while block := stream.read(2**24):
            size += len(block)
            lines += block.count(b"\n")
    return size, lines
