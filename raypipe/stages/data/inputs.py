"""From paths and URIs to the inputs of an import: files of rows, or images by the hundred."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq

from raypipe.config.importing import ImportConfig
from raypipe.errors import NotFound, UsageError
from raypipe.stages.data.reading import faults, open_at
from raypipe.store.versions import did_you_mean
from raypipe.values.imported import Input, Kind

KINDS: dict[str, Kind] = {
    ".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl",
    ".parquet": "parquet", ".pq": "parquet",
    ".arrow": "arrow", ".feather": "arrow", ".ipc": "arrow",
}  # fmt: skip
"""What a file's name ends with, to how its rows are written."""
PACKED = (".gz", ".bz2", ".zst", ".lz4")
"""What a compressed file of text ends with."""
IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp")
_MIB = 2**20


def find_inputs(
    paths: Sequence[str | Path], settings: ImportConfig, *, read: bool = True
) -> tuple[Input, ...]:
    """Return what paths, folders and URIs name, each whole at a glance; nothing is written.

    Without `read` the bytes are not looked at, and the inputs' contents are not known.
    """
    found = [one for path in paths for one in _inputs_at(str(path), settings, read=read)]
    for name, times in Counter(one.name for one in found).items():
        if times > 1:
            raise UsageError(
                f"{times} files are named {name}, and would become one shard",
                hint="Rename them, or import them under paths of their own.",
            )
    return tuple(found)


def kind_of(name: str) -> Kind | None:
    """Return how the rows of a file are written, by its name."""
    path = PurePosixPath(name)
    if path.suffix.lower() in PACKED:
        kind = KINDS.get(PurePosixPath(path.stem).suffix.lower())
        return kind if kind in ("csv", "jsonl") else None
    return KINDS.get(path.suffix.lower())


def _inputs_at(text: str, settings: ImportConfig, *, read: bool) -> Iterator[Input]:
    system, path = open_at(text)
    with faults(text):
        info = system.get_file_info(path)
    if info.type == pa.fs.FileType.File:
        yield _file(text, system, info, read=read)
    elif info.type == pa.fs.FileType.Directory:
        yield from _folder(text, system, path, settings, read=read)
    else:
        raise _missing(text)


def _folder(
    text: str, system: Any, path: str, settings: ImportConfig, *, read: bool
) -> Iterator[Input]:
    files = [
        info
        for info in _below(system, path, text)
        if info.is_file and kind_of(info.path) and not info.base_name.startswith(".")
    ]
    if files and settings.labels is None:
        for info in files:
            yield _file(f"{text.rstrip('/')}/{info.base_name}", system, info, read=read)
        return
    images = list(_images_below(system, path, text))
    if not images:
        raise UsageError(
            f"Folder {text} holds no Parquet, CSV, JSON lines or Arrow file, and no image",
            hint="Name the files.",
        )
    yield from _groups(text, system, path, images, settings, read=read)


def _below(system: Any, path: str, text: str, *, recursive: bool = False) -> list[Any]:
    with faults(text):
        below = system.get_file_info(pa.fs.FileSelector(path, recursive=recursive))
    try:
        return sorted(below, key=lambda info: str(info.path))
    except UnicodeDecodeError as error:
        raise UsageError(
            f"Folder {text} has a file whose name is not written as utf-8: {error.object!r}",
            hint="Rename it.",
        ) from error


def _images_below(system: Any, path: str, text: str) -> Iterator[Any]:
    for info in _below(system, path, text, recursive=True):
        if info.is_file and info.path.lower().endswith(IMAGES):
            yield info


def _groups(
    text: str, system: Any, path: str, images: list[Any], settings: ImportConfig, *, read: bool
) -> Iterator[Input]:
    """Yield images in groups of even size, one for each shard."""
    total = sum(info.size for info in images)
    count = max(1, -(-total // (settings.shard_mb * _MIB)))
    labels = "" if settings.labels is None else _content(*_told(settings.labels), read=True)
    groups: list[list[Any]] = [[] for _ in range(count)]
    so_far = 0
    for info in images:
        groups[min(count - 1, so_far * count // max(total, 1))].append(info)
        so_far += info.size
    groups = [group for group in groups if group]
    name = PurePosixPath(path.rstrip("/")).name
    for number, group in enumerate(groups, 1):
        marks = [f"{info.path[len(path) :]} {_content(system, info, read=read)}" for info in group]
        yield Input(
            name=name if len(groups) == 1 else numbered(name, number, len(groups)),
            kind="images",
            content=_digest("\n".join([labels, *marks])),
            size=sum(info.size for info in group),
            location=_whole(text),
            images=tuple(info.path[len(path) :].lstrip("/") for info in group),
        )


def numbered(name: str, number: int, count: int) -> str:
    """Return the name of one of several shards; no other file's shard can have it."""
    return f"{name}~{number:0{len(str(count))}d}-of-{count}"


def _file(text: str, system: Any, info: Any, *, read: bool) -> Input:
    kind = kind_of(info.base_name)
    if kind is None:
        raise UsageError(
            f"{text} is neither Parquet nor CSV, JSON lines or Arrow by its name",
            hint="Name it .parquet, .csv, .jsonl or .arrow, or convert it.",
        )
    if info.size == 0:
        raise UsageError(f"{text} is empty: it has no bytes", hint="Write the file again.")
    if kind == "parquet":
        with faults(text):
            pq.read_metadata(info.path, filesystem=system)
    return Input(
        name=_stem(info.base_name),
        kind=kind,
        content=_content(system, info, read=read),
        size=info.size,
        location=_whole(text),
    )


def _stem(name: str) -> str:
    path = PurePosixPath(name)
    return PurePosixPath(path.stem).stem if path.suffix.lower() in PACKED else path.stem


def _whole(text: str) -> str:
    return text if "://" in text else str(Path(text).absolute())


def _told(text: str) -> tuple[Any, Any]:
    system, path = open_at(text)
    info = system.get_file_info(path)
    if not info.is_file:
        raise _missing(text)
    return system, info


def _content(system: Any, info: Any, *, read: bool) -> str:
    """Return what tells a file's content: its bytes, or where it lies elsewhere, its time."""
    if not read:
        return ""
    if not isinstance(system, pa.fs.LocalFileSystem):
        return _digest(f"{info.path} {info.size} {info.mtime_ns}")
    with faults(info.path), Path(info.path).open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=32)).hexdigest()


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=32).hexdigest()


def _missing(text: str) -> NotFound:
    siblings = []
    if "://" not in text and (above := Path(text).parent).is_dir():
        siblings = [file.name for file in above.iterdir() if file.name[0] != "."]
    return NotFound(
        f"There is no file {text}" + did_you_mean(PurePosixPath(text).name, siblings),
        hint="Give files of rows, folders of them, or a folder of images.",
    )
