"""One read of a shard gives the profiles of its three splits."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from raypipe.store.locations import open_location
from raypipe.values.profile import Profile, SplitProfiles, profile_table
from raypipe.values.split import SplitRule, split_of


def read_table(location: str) -> pa.Table:
    """Read a Parquet file from where a shard lies."""
    with open_location(location) as file:
        return pq.read_table(file)


def profile_splits(table: pa.Table, rule: SplitRule, key: Sequence[str]) -> SplitProfiles:
    """Profile the rows of each split; a key with a missing column is validation's to report."""
    splits = split_of(table, rule)
    known = key if set(key) <= set(table.column_names) else ()

    def profile(number: int) -> Profile:
        return profile_table(table.take(np.flatnonzero(splits == number)), known)

    return SplitProfiles(train=profile(0), validation=profile(1), analysis=profile(2))
