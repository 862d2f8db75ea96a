"""Rows of a file, batch by batch, each with the line that it is written on."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import pyarrow as pa

from raypipe.config.importing import ImportConfig
from raypipe.errors import UsageError
from raypipe.values.imported import Input, Rejected

BATCH = 65_536
"""Rows of a batch."""
_LONG = 200
Reject = Callable[[Rejected], None]


@dataclass(frozen=True, kw_only=True)
class Lines:
    """A batch of rows, and where each is written."""

    batch: pa.RecordBatch
    lines: Sequence[int]
    """Of the file, counted from 1; the row's number where the file has no lines."""


def delimiter_of(source: Input, settings: ImportConfig) -> str:
    """Return what stands between the values of a line of CSV."""
    tabs = ".tsv" in PurePosixPath(source.location).suffixes
    return settings.delimiter or ("\t" if tabs else ",")


def twice(names: Sequence[str], source: Input) -> None:
    """Raise UsageError where several columns have one name."""
    if found := [name for name, times in Counter(names).items() if times > 1]:
        raise UsageError(
            f"{source.location} has {found[0]!r} for the name of several columns",
            hint="Name each column otherwise, or write the file without the others.",
        )


def short(text: str) -> str:
    """Return the beginning of a row as it is written."""
    text = text.rstrip("\r\n")
    return text if len(text) <= _LONG else text[:_LONG] + "…"
