"""Which rows: versioned data in, shards and their profiles out."""

from raypipe.stages.data.merging import merge_profiles, merged_profiles
from raypipe.stages.data.resolve import dataset_at, dataset_of
from raypipe.stages.data.stage import convert_input, profile_rows, profile_shard

__all__ = [
    "convert_input",
    "dataset_at",
    "dataset_of",
    "merge_profiles",
    "merged_profiles",
    "profile_rows",
    "profile_shard",
]
