"""Which rows: a dataset as its shards, at a commit."""

from dataclasses import dataclass, field
from pathlib import Path

from raypipe.values.kinds import aside


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One Parquet file of a dataset, known by its content."""

    path: str
    """Path inside the repository."""

    object_id: str
    """`blake2b:…` of the file's bytes, or `etag:…` where the store knows no better."""

    size: int
    """Bytes."""

    location: str = field(metadata=aside())
    """Where the bytes can be read.

    A path or URI that `store.locations` opens, in any process.
    """


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """The shards of a dataset at one commit; in keys it counts as its list of (path, object id)."""

    shards: tuple[Shard, ...]
    """In the order of their paths."""

    uri: str = field(metadata=aside())
    """The reference as it was asked for."""

    commit: str = field(metadata=aside())
    """The commit that the reference named when the plan was made."""


@dataclass(frozen=True, kw_only=True)
class TensorFile:
    """The rows of one split of one shard as tensors, in a Parquet file.

    A tensor of shape [rows] is a plain column; one of shape [rows, width] is a FixedSizeList
    column.
    """

    file: Path
    """The Parquet file."""

    rows: int
    """Rows in it; may be 0."""


@dataclass(frozen=True, kw_only=True)
class TransformedShard:
    """What training and tuning read of one shard; the analysis split is never among it."""

    train: TensorFile
    validation: TensorFile


@dataclass(frozen=True, kw_only=True)
class ShardChanges:
    """How the shards of one dataset differ from those of another, by path and content."""

    of: int
    """Shards that there are now."""
    new: tuple[Shard, ...] = ()
    changed: tuple[tuple[Shard, Shard], ...] = ()
    """As it was and as it is."""
    gone: tuple[Shard, ...] = ()


def shard_changes(before: Dataset, now: Dataset) -> ShardChanges:
    """Return which shards are new, changed and gone."""
    old = {shard.path: shard for shard in before.shards}
    new = {shard.path: shard for shard in now.shards}
    both = ((old[path], shard) for path, shard in new.items() if path in old)
    return ShardChanges(
        of=len(new),
        new=tuple(shard for path, shard in new.items() if path not in old),
        changed=tuple(pair for pair in both if pair[0].object_id != pair[1].object_id),
        gone=tuple(shard for path, shard in old.items() if path not in new),
    )
