"""The columns of a shard that are needed, some rows at a time."""

from collections.abc import Collection, Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from raypipe.errors import StoreError
from raypipe.store.locations import open_location
from raypipe.values.dataset import Shard

ROWS = 65_536
"""Most rows that are read at a time."""
_BYTES = 64 << 20
"""About how many bytes are read at a time: of images, few rows."""


def read_shard(
    shard: Shard, needed: Collection[str], rows: int | None = None
) -> Iterator[pa.Table]:
    """Yield the rows of a shard, with those of the needed columns that it has."""
    try:
        with open_location(shard.location) as source, pq.ParquetFile(source) as file:
            columns = [name for name in file.schema_arrow.names if name in needed]
            size = rows or min(ROWS, _rows_of(file.metadata))
            for batch in file.iter_batches(batch_size=size, columns=columns):
                yield pa.Table.from_batches([batch])
    except (pa.ArrowException, OSError) as error:
        raise StoreError(
            f"The shard {shard.path} cannot be read: {str(error).splitlines()[0]}",
            hint="Run `raypipe doctor --verify`; import the file again if it is damaged.",
        ) from error


def _rows_of(metadata: pq.FileMetaData) -> int:
    """Return how many rows are about as many bytes as are read at a time."""
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    size: int = sum(group.total_byte_size for group in groups)
    rows: int = metadata.num_rows
    return max(64, _BYTES * rows // max(1, size))
