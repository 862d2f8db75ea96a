"""A sample of rows that stays the same however they are cut into shards: the smallest hashes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from raypipe.store.locations import open_location
from raypipe.values.hashing import row_hash
from raypipe.values.split import SplitRule, split_of

HASH = "__raypipe_hash__"
"""Column of a sample that no dataset has: what its rows are chosen by."""
SALT = "deepchecks"
"""So that what is drawn does not follow from what decides the splits."""

ROWS = 1 << 17
"""Rows that are in memory at a time."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Rows of the train and the validation split; those of the analysis split are never read."""

    train: pa.Table
    validation: pa.Table


def sample_file(location: str, rule: SplitRule | None, key: Sequence[str], rows: int) -> Sample:
    """Draw from the rows of a Parquet file; without a rule all of them count as train rows."""
    with open_location(location) as source:
        file = pq.ParquetFile(source)
        drawn = _sample(file.schema_arrow.empty_table(), rule, key, rows)
        for batch in file.iter_batches(ROWS, use_threads=False):
            new = _sample(pa.Table.from_batches([batch]), rule, key, rows)
            drawn = merge_samples([drawn, new], rows)
    return drawn


def merge_samples(samples: Sequence[Sample], rows: int) -> Sample:
    """Return the sample of what several are drawn from.

    ArrowInvalid where columns of one name have types that do not go together.
    """
    return Sample(
        train=_smallest(_joined([one.train for one in samples]), rows),
        validation=_smallest(_joined([one.validation for one in samples]), rows),
    )


def _sample(table: pa.Table, rule: SplitRule | None, key: Sequence[str], rows: int) -> Sample:
    named = key if key and set(key) <= set(table.column_names) else table.column_names
    hashes = row_hash(table, named, SALT)
    hashed = table.append_column(HASH, pa.array(hashes))
    split = split_of(table, rule) if rule is not None else np.zeros(table.num_rows, dtype=np.int8)
    train, validation = (hashed.filter(pa.array(split == number)) for number in (0, 1))
    return Sample(train=_smallest(train, rows), validation=_smallest(validation, rows))


def _joined(tables: Sequence[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables, promote_options="permissive")


def _smallest(table: pa.Table, rows: int) -> pa.Table:
    """Return the rows with the smallest hashes, in their order; equal hashes are equal rows."""
    hashes: Any = table[HASH].to_numpy()
    chosen = np.argsort(hashes, kind="stable")[:rows]
    return table.take(pa.array(chosen)).combine_chunks()
