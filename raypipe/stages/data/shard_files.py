"""Rows into Parquet files: of even size, or one for each value of a column."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from raypipe.errors import UsageError
from raypipe.stages.data.inputs import numbered
from raypipe.values.hashing import canonical_text
from raypipe.values.imported import ShardFile

ROWS_A_GROUP = 131_072
BYTES_A_GROUP = 64 * 2**20
"""About as many bytes as a group of large values has."""
MOST_VALUES = 1_000
"""Values that a column may have by which rows are divided."""


class ShardFiles:
    """Writes rows as they come.

    What is written depends on the rows alone, not on their batches, but for where groups of large
    values end.
    """

    def __init__(
        self, folder: Path, name: str, each: int | None = None, partition: str | None = None
    ) -> None:
        """`each` is the number of rows after which another shard begins; None: there is one."""
        self._folder = folder
        self._name = name
        self._each = each
        self._partition = partition
        self._writing: dict[str, _Series] = {}

    def add(self, batch: pa.RecordBatch) -> None:
        """Take further rows."""
        if self._partition is None:
            self._series("").add(pa.table(batch))
            return
        texts = pa.array([text or "null" for text in canonical_text(batch[self._partition])])
        for value in sorted(texts.unique().to_pylist()):
            self._series(value).add(pa.table(batch).filter(pc.equal(texts, value)))

    def close(self) -> tuple[ShardFile, ...]:
        """Return what was written; another shard's name is never among these names."""
        return tuple(
            shard for value in sorted(self._writing) for shard in self._writing[value].close()
        )

    def _series(self, value: str) -> "_Series":
        if value not in self._writing:
            if len(self._writing) == MOST_VALUES:
                raise UsageError(
                    f"column {self._partition!r} has more than {MOST_VALUES:,} values to divide by",
                    hint="Divide by a column with fewer, such as a month.",
                )
            aside = self._folder / f"{len(self._writing)}"
            below = f"{self._partition}={as_path(value)}/" if self._partition else ""
            self._writing[value] = _Series(aside, below, self._name, self._each)
        return self._writing[value]


class _Series:
    """The shards of one value, one after the other."""

    def __init__(self, aside: Path, below: str, name: str, each: int | None) -> None:
        self._aside, self._below, self._name, self._each = aside, below, name, each
        self._writer: pq.ParquetWriter | None = None
        self._waiting: pa.Table | None = None
        self._done: list[ShardFile] = []
        self._rows = 0

    def add(self, rows: pa.Table) -> None:
        waiting = rows if self._waiting is None else pa.concat_tables([self._waiting, rows])
        while waiting.num_rows >= (size := self._next_group(waiting)):
            self._write(waiting.slice(0, size))
            waiting = waiting.slice(size)
        self._waiting = waiting

    def close(self) -> Iterator[ShardFile]:
        if self._waiting is not None and (self._waiting.num_rows or not self._done):
            self._write(self._waiting)
        self._end_shard()
        count = len(self._done)
        for number, shard in enumerate(self._done, 1):
            name = self._name if count == 1 else numbered(self._name, number, count)
            yield replace(shard, name=f"{self._below}part-{name}.parquet")

    def _next_group(self, waiting: pa.Table) -> int:
        rows = ROWS_A_GROUP
        if waiting.nbytes > BYTES_A_GROUP:  # images, long texts
            rows = min(rows, max(1, waiting.num_rows * BYTES_A_GROUP // waiting.nbytes))
        return rows if self._each is None else min(rows, self._each - self._rows)

    def _write(self, rows: pa.Table) -> None:
        if self._writer is None:
            self._aside.mkdir(parents=True, exist_ok=True)
            file = self._aside / f"{len(self._done)}.parquet"
            self._writer = pq.ParquetWriter(file, rows.schema, compression="zstd")
        self._writer.write_table(rows.combine_chunks(), row_group_size=ROWS_A_GROUP)
        self._rows += rows.num_rows
        if self._rows == self._each:
            self._end_shard()

    def _end_shard(self) -> None:
        if self._writer is None:
            return
        self._writer.close()
        file = self._aside / f"{len(self._done)}.parquet"
        self._done.append(ShardFile(name="", file=file, rows=self._rows))
        self._writer, self._rows = None, 0


def as_path(text: str) -> str:
    """Return text that a path can hold, the same for no two texts."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", text)
    if plain == text and text.strip("."):
        return plain
    return f"{plain}-{hashlib.blake2b(text.encode()).hexdigest()[:6]}"
