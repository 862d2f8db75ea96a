"""What an import hands from finding files to converting them to publishing shards."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from raypipe.values.kinds import aside

if TYPE_CHECKING:
    import pyarrow as pa

Kind = Literal["csv", "jsonl", "parquet", "arrow", "images"]
"""How rows are written."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """A file of rows, or some images of a folder, as it was when the import began."""

    name: str
    """What its shards are named by."""

    kind: Kind

    content: str
    """Digest of the bytes; of paths, sizes and times where the bytes lie in another store."""

    size: int
    """Bytes."""

    location: str = field(metadata=aside())
    """Path or URI of the file, or of the folder of images."""

    images: tuple[str, ...] = ()
    """Paths of the images, below the folder."""


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """A row that was left out."""

    line: int
    """Of the file, counted from 1; the row's number where the file has no lines."""

    reason: str

    text: str
    """The row as it is written, shortened."""


@dataclass(frozen=True, kw_only=True)
class ShardFile:
    """A shard that is not in the store yet."""

    name: str
    """Path below the dataset's."""

    file: Path

    rows: int


@dataclass(frozen=True, kw_only=True)
class Converted:
    """What became of an input."""

    shards: tuple[ShardFile, ...]

    schema: "pa.Table"
    """No rows; its columns are those of each shard."""

    inferred: tuple[str, ...]
    """Columns whose types were inferred of text, which can be read as another type too."""

    empty: tuple[str, ...]
    """Columns without a value, whose types another input may tell."""

    rows: int

    rejected: int
    """Rows that were left out."""

    examples: tuple[Rejected, ...] = ()
    """The first of these."""

    rejects: Path | None = None
    """All of these, as JSON lines with `line`, `reason` and `text`; None where there are none."""
