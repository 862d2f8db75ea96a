"""What `raypipe init` looks at: rows as an import would read them, and their profile."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from raypipe.config.importing import ImportConfig
from raypipe.errors import UsageError
from raypipe.stages.data import importing, inputs
from raypipe.store.temporary import temporary_folder
from raypipe.values.profile import Profile, profile_table

LOOKED_AT = 500_000
"""Rows that are held and looked at; of more, these are spread evenly over the shards."""


@dataclass(frozen=True, kw_only=True)
class Looked:
    """Rows that were looked at."""

    rows: int
    """In the files."""
    table: pa.Table
    """Those that were looked at, in their order."""
    profile: Profile
    """Of these."""
    images: bool
    """Whether they are files of a folder, with their path and their bytes."""


def look_at(paths: Sequence[str], settings: ImportConfig) -> Looked:
    """Read files as an import would; UsageError or NotFound names one that cannot be."""
    found = inputs.find_inputs(paths, settings)
    with temporary_folder("raypipe-init-") as folder:
        known = pa.schema([])
        converted = importing.convert_here(found, settings, known, folder, agreed=False)
        files = [shard.file for one in converted for shard in one.shards]
        rows = sum(shard.rows for one in converted for shard in one.shards)
        if not rows:
            raise UsageError(
                f"{', '.join(paths)} has no rows",
                hint="Give a file of rows, each of which tells what is to be predicted.",
            )
        share = min(1.0, LOOKED_AT / rows)
        parts = [_some_of(file, share) for file in files]
    table = pa.concat_tables(parts, promote_options="permissive").combine_chunks()
    return Looked(
        rows=rows,
        table=table,
        profile=profile_table(table),
        images=any(one.kind == "images" for one in found),
    )


def _some_of(file: Path, share: float) -> pa.Table:
    """Return this share of a shard's rows, evenly spread."""
    table = pq.read_table(file)
    if share >= 1.0:
        return table
    kept = max(1, int(table.num_rows * share))
    return table.take(pa.array([n * table.num_rows // kept for n in range(kept)]))
