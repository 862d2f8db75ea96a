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

    A path or URI that pyarrow.fs.FileSystem.from_uri understands.
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
