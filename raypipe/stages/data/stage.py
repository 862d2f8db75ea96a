"""The data stage, as a run calls it: each shard is read once, to be profiled split by split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raypipe.config.data import SplitRule
from raypipe.config.importing import ImportConfig
from raypipe.engine.context import current
from raypipe.engine.step import step
from raypipe.values.dataset import Shard
from raypipe.values.imported import Converted, Input

if TYPE_CHECKING:  # a plan imports this module, and must not wait for Arrow
    import pyarrow as pa

    from raypipe.values.profile import Profile, SplitProfiles


@step(num_cpus=1)
def convert_input(
    source: Input, settings: ImportConfig, known: pa.Table, agreed: bool = False
) -> Converted:
    """Write an input's rows as shards of even size; `known` has the columns that are there."""
    from raypipe.stages.data.converting import convert

    here = current()
    return convert(source, settings, known.schema, here.scratch / "shards", agreed=agreed)


@step(num_cpus=1)
def profile_shard(
    shard: Shard, rule: SplitRule, key: tuple[str, ...], pairs: tuple[tuple[str, str], ...] = ()
) -> SplitProfiles:
    """Profile the three splits of a shard; `pairs` are columns that are counted together."""
    from raypipe.stages.data.profiling import profile_file

    return profile_file(shard.location, rule, key, pairs)


@step(num_cpus=1)
def profile_rows(shard: Shard, key: tuple[str, ...]) -> Profile:
    """Profile all rows of a shard, whatever their splits."""
    from raypipe.stages.data.profiling import read_tables
    from raypipe.values.profile import Profile, profile_table

    def known(columns: list[str]) -> tuple[str, ...]:
        return key if set(key) <= set(columns) else ()

    tables = read_tables(shard.location)
    return Profile.merge_all(profile_table(table, known(table.column_names)) for table in tables)
