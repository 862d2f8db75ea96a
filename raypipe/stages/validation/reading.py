"""What is read of shards: all rows once to be traced, and the few that are shown as examples."""

from collections.abc import Callable, Sequence

import pyarrow.parquet as pq

from raypipe.config.data import DataConfig
from raypipe.config.validation import DuplicatesConfig
from raypipe.store.locations import open_location
from raypipe.values.dataset import Shard
from raypipe.values.traces import Traces, trace_table


def traced(shard: Shard, data: DataConfig, settings: DuplicatesConfig | None) -> Traces:
    """Trace the rows of a shard."""
    with open_location(shard.location) as file:
        table = pq.read_table(file)
    given = settings or DuplicatesConfig(texts=False)
    return trace_table(table, data, texts=given.texts, rows=given.whole_rows)


def text_of(shards: Sequence[Shard]) -> Callable[[int, str, int], str]:
    """Return what reads one value of a shard."""

    def read(shard: int, column: str, row: int) -> str:
        with open_location(shards[shard].location) as file:
            values = pq.read_table(file, columns=[column])
        return str(values[column][row].as_py())

    return read
