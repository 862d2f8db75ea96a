"""One read of a shard, some rows at a time, gives the profiles of its three splits."""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from raypipe.errors import StoreError
from raypipe.store.locations import open_location
from raypipe.values.keys import KeyProfile
from raypipe.values.measure import Parts
from raypipe.values.pairs import Pair
from raypipe.values.profile import SplitProfiles, key_hashes, measured, profile_measured
from raypipe.values.split import SPLITS, SplitRule, split_of

ROWS = 1 << 17
"""Rows that are asked of Parquet at a time."""

_BYTES = 1 << 28
"""Bytes of a row group up to which its rows are read at once."""

_AT_ONCE = 8
"""Profiles of batches that are kept until they are merged."""

_A_CODE = 2.5
"""Bytes a value below which texts are but the numbers of their places in a dictionary."""


def read_table(location: str) -> pa.Table:
    """Read a Parquet file from where a shard lies."""
    with open_location(location) as file:
        return pq.read_table(file)


def profile_file(
    location: str, rule: SplitRule, key: Sequence[str], pairs: Sequence[Pair] = ()
) -> SplitProfiles:
    """Profile the rows of a Parquet file, split by split, with few profiles in memory at a time."""
    parts: list[SplitProfiles] = []
    for table in read_tables(location):
        parts.append(profile_splits(table, rule, key, pairs))
        if len(parts) == _AT_ONCE:
            parts = [SplitProfiles.merge_all(parts)]
    return SplitProfiles.merge_all(parts) if len(parts) > 1 else parts[0]


def read_tables(location: str) -> Iterator[pa.Table]:
    """Read a Parquet file, ROWS rows at a time; one table without rows, if it has none.

    StoreError names the file and the row group that is damaged.
    """
    group = None
    try:
        with open_location(location) as source:
            footer = pq.read_metadata(source)
            file = pq.ParquetFile(source, metadata=footer, read_dictionary=_repeating(footer))
            empty = True
            for group in range(file.num_row_groups):
                for table in _tables_of(file, group):
                    empty = False
                    yield table
            if empty:
                yield file.schema_arrow.empty_table()
    except (pa.ArrowException, OSError) as error:
        where = "its footer" if group is None else f"row group {group}"
        raise StoreError(
            f"{location} cannot be read: {where} is damaged or is not there ({error})",
            hint="import the file again, or read it at an earlier commit",
        ) from error


def _tables_of(file: pq.ParquetFile, group: int) -> Iterator[pa.Table]:
    """Read a row group at once where it is small, which takes less time than batch by batch."""
    about = file.metadata.row_group(group)
    if about.num_rows <= ROWS and about.total_byte_size <= _BYTES:
        yield file.read_row_group(group, use_threads=False)
        return
    for batch in file.iter_batches(ROWS, row_groups=[group], use_threads=False):
        yield pa.Table.from_batches([batch])


def _repeating(footer: pq.FileMetaData) -> list[str]:
    """Name the columns of text that take so little room that their values must repeat.

    These are read as dictionaries: Parquet has counted them already.
    """
    groups = [footer.row_group(n) for n in range(footer.num_row_groups)]
    found = []
    for place in range(footer.num_columns):
        chunks = [group.column(place) for group in groups]
        room = sum(chunk.total_uncompressed_size for chunk in chunks)
        rows = sum(chunk.num_values for chunk in chunks)
        text = footer.schema.column(place).physical_type == "BYTE_ARRAY"
        if text and rows and room < _A_CODE * rows and "." not in chunks[0].path_in_schema:
            found.append(chunks[0].path_in_schema)
    return found


def profile_splits(
    table: pa.Table, rule: SplitRule, key: Sequence[str], pairs: Sequence[Pair] = ()
) -> SplitProfiles:
    """Profile the rows of each split; a key with a missing column is validation's to report."""
    columns = measured(table)
    splits = split_of(table, rule, {name: column.hashes for name, column in columns.items()})
    known = key if set(key) <= set(columns) else ()
    parts = profile_measured(columns, Parts.of(splits, len(SPLITS)), pairs)
    keys = KeyProfile.of(tuple(known), key_hashes(columns, known)) if known else None
    return SplitProfiles(train=parts[0], validation=parts[1], analysis=parts[2], keys=keys)
