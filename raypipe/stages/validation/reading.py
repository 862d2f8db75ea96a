"""What is read of shards: all rows once to be traced, and the few that are shown as examples."""

from collections.abc import Callable, Sequence

import pyarrow.fs
import pyarrow.parquet as pq

from raypipe.config.data import DataConfig
from raypipe.config.validation import DuplicatesConfig
from raypipe.values.dataset import Shard
from raypipe.values.traces import Traces, trace_table


def traced(shard: Shard, data: DataConfig, settings: DuplicatesConfig | None) -> Traces:
    """Trace the rows of a shard."""
    filesystem, path = pyarrow.fs.FileSystem.from_uri(shard.location)
    table = pq.read_table(path, filesystem=filesystem, partitioning=None)
    given = settings or DuplicatesConfig(texts=False)
    return trace_table(table, data, texts=given.texts, rows=given.whole_rows)


def text_of(shards: Sequence[Shard]) -> Callable[[int, str, int], str]:
    """Return what reads one value of a shard."""

    def read(shard: int, column: str, row: int) -> str:
        filesystem, path = pyarrow.fs.FileSystem.from_uri(shards[shard].location)
        values = pq.read_table(path, filesystem=filesystem, columns=[column], partitioning=None)
        return str(values[column][row].as_py())

    return read
