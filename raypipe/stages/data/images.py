"""Images as rows: the bytes as they are, the path, and the label by folder or by a table."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa

from raypipe.config.importing import ImportConfig
from raypipe.errors import UsageError
from raypipe.stages.data.inputs import kind_of
from raypipe.stages.data.quick import quick_csv
from raypipe.stages.data.reading import faults, open_at
from raypipe.stages.data.rows import Lines, Reject, short
from raypipe.stages.data.typed import arrow_rows, parquet_rows
from raypipe.values.imported import Input, Rejected

_BATCH = 64
_STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM")


def image_rows(source: Input, settings: ImportConfig, reject: Reject) -> Iterator[Lines]:
    """Read images; those that are none, or have no label in the table, are rejected."""
    system, folder = open_at(source.location)
    labels = None if settings.labels is None else _labels(settings.labels)
    told_of = pa.schema([("label", pa.string())]) if labels is None else labels.schema
    schema = pa.schema([("path", pa.string()), ("image", pa.binary()), *told_of])
    for start in range(0, len(source.images), _BATCH):
        rows, lines = [], []
        for number, path in enumerate(source.images[start : start + _BATCH], start + 1):
            with faults(path), system.open_input_stream(f"{folder.rstrip('/')}/{path}") as file:
                content = file.read()
            if wrong := _wrong(content, path, labels):
                reject(Rejected(line=number, reason=wrong, text=path))
                continue
            told = {"label": _folder_of(path)} if labels is None else labels.rows[path]
            rows.append({"path": path, "image": content, **told})
            lines.append(number)
        if rows:
            yield Lines(batch=pa.RecordBatch.from_pylist(rows, schema=schema), lines=lines)


@dataclass(frozen=True, kw_only=True)
class _Labels:
    """The table of labels, its rows by the paths of their images."""

    schema: pa.Schema
    """What it has beside the paths, of the types that all its rows have."""
    rows: dict[str, dict[str, Any]]


def _wrong(content: bytes, path: str, labels: _Labels | None) -> str | None:
    if not _is_image(content):
        return f"{short(path)} is no image, though it is named as one"
    if labels is not None and path not in labels.rows:
        return f"the table of labels has no row for {short(path)}"
    return None


def _is_image(content: bytes) -> bool:
    return content.startswith(_STARTS) or (content[:4] == b"RIFF" and content[8:12] == b"WEBP")


def _folder_of(path: str) -> str | None:
    return PurePosixPath(path).parent.name or None


def _labels(location: str) -> _Labels:
    schema, found = pa.schema([]), {}
    for batch in _table(location):
        names = batch.schema.names
        if "path" not in names:
            raise UsageError(
                f"{location} has no column 'path'",
                hint="Name the column of the images' paths, below their folder, `path`.",
            )
        if "image" in names:
            raise UsageError(
                f"{location} has a column 'image', which is what the images are kept as",
                hint="Give it another name.",
            )
        schema = batch.schema.remove(names.index("path"))
        for row in batch.to_pylist():
            found[str(row.pop("path"))] = row
    return _Labels(schema=schema.remove_metadata(), rows=found)


def _table(location: str) -> Iterator[pa.RecordBatch]:
    kind = kind_of(PurePosixPath(location).name)
    source = Input(name="labels", kind=kind or "csv", content="", size=0, location=location)
    match kind:
        case "csv":
            with faults(location):
                yield from quick_csv(source, ImportConfig(), pa.schema([]))
        case "parquet":
            yield from (lines.batch for lines in parquet_rows(source))
        case "arrow":
            yield from (lines.batch for lines in arrow_rows(source))
        case _:
            raise UsageError(f"{location} is no table of labels", hint="Give CSV or Parquet.")
