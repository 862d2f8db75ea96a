"""From files to a branch: each input becomes shards, audited there before they are published."""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Protocol

import pyarrow as pa
import pyarrow.fs

from raypipe.config.importing import ImportConfig
from raypipe.engine.records import Actor
from raypipe.errors import NotFound, UsageError, ValidationStopped
from raypipe.fault_points import fault_point
from raypipe.stages.data.converting import convert
from raypipe.stages.data.inputs import find_inputs
from raypipe.stages.data.shard_files import as_path
from raypipe.stages.data.types import plain, widest
from raypipe.store.locations import footer_of
from raypipe.store.temporary import temporary_folder
from raypipe.store.versions import StoredObject, VersionStore, did_you_mean
from raypipe.values.imported import Converted, Input, Rejected, ShardFile
from raypipe.values.uri import DatasetUri
from raypipe.values.words import amount

_SHARD = re.compile(r"(?:[^/]+=[^/]+/)?part-([A-Za-z0-9._-]+)(?:~\d+-of-\d+)?\.parquet")
"""The path of a shard below its dataset's, with the name of the file that it was made of."""
_NAMES = 8


class Converting(Protocol):
    """Converts inputs, here or elsewhere; what is `agreed` are all columns, in their order."""

    def __call__(
        self,
        inputs: Sequence[Input],
        settings: ImportConfig,
        known: pa.Schema,
        folder: Path,
        *,
        agreed: bool,
    ) -> list[Converted]: ...


@dataclass(frozen=True, kw_only=True)
class RejectedRow:
    """A row that was left out."""

    file: str
    row: Rejected


@dataclass(frozen=True, kw_only=True)
class ImportedShards:
    """What an import wrote, and where."""

    branch: str
    """The fresh branch; the target itself if nothing differs from it."""
    commit: str
    rows: int
    """Rows in the imported files."""
    shards: tuple[str, ...]
    """Paths of the imported files' shards."""
    unchanged: bool = False
    """Whether the target held all of it already, so that there is no new commit."""
    differences: tuple[str, ...] = ()
    """How the columns differ from those of the target's shards, in words."""
    rejected: int = 0
    """Rows that could not be read and were left out."""
    examples: tuple[RejectedRow, ...] = ()
    """The first of these."""
    lists: tuple[tuple[str, Path], ...] = ()
    """Input, and the list of what was left out of it."""


def convert_here(
    inputs: Sequence[Input],
    settings: ImportConfig,
    known: pa.Schema,
    folder: Path,
    *,
    agreed: bool,
) -> list[Converted]:
    """Convert inputs in this process, one after the other."""
    stage = "agreed" if agreed else "first"
    return [
        convert(one, settings, known, folder / stage / str(number), agreed=agreed)
        for number, one in enumerate(inputs)
    ]


def import_files(
    paths: Sequence[str | Path],
    uri: DatasetUri,
    versions: VersionStore,
    actor: Actor,
    *,
    settings: ImportConfig | None = None,
    meta: Mapping[str, str] | None = None,
    beside: Mapping[str, Path] | None = None,
    now: datetime | None = None,
    begin: Callable[[str], None] = lambda branch: None,
    convert_all: Converting = convert_here,
) -> ImportedShards:
    """Write files as shards onto a fresh branch of the reference's branch.

    A file of the same name as one before replaces its shards. `meta` is said of the commit, as it
    is once inputs are converted;
    `beside` are files that go with it under paths of the repository; `begin` is told the name of
    the branch before that is made.
    """
    settings = settings or ImportConfig()
    inputs = find_inputs(paths, settings)
    head = _head(uri, versions)
    before = _schema_at(uri, head, versions)
    with temporary_folder("raypipe-import-") as folder:
        converted = _converted(inputs, settings, before, folder, convert_all)
        shards = [shard for one in converted for shard in one.shards]
        branch = _fresh_name(shards, now or datetime.now(UTC))
        begin(branch)
        commit = _write(
            branch,
            inputs,
            shards,
            uri,
            head,
            versions,
            actor,
            {} if meta is None else meta,
            beside or {},
        )
    named = list(zip(inputs, converted, strict=True))
    return ImportedShards(
        branch=uri.ref if commit == head else branch,
        commit=commit,
        rows=sum(shard.rows for shard in shards),
        shards=tuple(uri.prefix + shard.name for shard in shards),
        unchanged=commit == head,
        differences=_differences(before, converted[0].schema.schema) if before else (),
        rejected=sum(one.rejected for one in converted),
        examples=tuple(
            RejectedRow(file=of.location, row=row) for of, one in named for row in one.examples
        ),
        lists=tuple((of.location, one.rejects) for of, one in named if one.rejects is not None),
    )


def publish(
    imported: ImportedShards,
    uri: DatasetUri,
    versions: VersionStore,
    actor: Actor,
    *,
    accepted: bool = False,
    merge: Callable[[str], str] | None = None,
) -> str:
    """Merge an audited branch into the reference's and forget it; return the new head.

    `merge` does it where the branch is protected; it is given what the commit is to say.

    ValidationStopped where columns differ from those that are there, unless they were `accepted`:
    by validation against a schema, which has a say of its own on new and missing columns.
    """
    if imported.unchanged:
        return imported.commit
    if imported.differences and not accepted:
        raise ValidationStopped(
            f"{imported.branch} does not have the columns of {uri}: "
            + "; ".join(imported.differences),
            hint="Mend the files and import them again, or hold them to a schema with --config; "
            f"the branch {imported.branch} stays.",
        )
    message = f"Import {amount(len(imported.shards), 'shard')}, {amount(imported.rows, 'row')}"
    if merge is None:
        commit = versions.merge(imported.branch, uri.ref, actor, message)
    else:
        commit = merge(message)
    fault_point("import.merged")
    versions.delete_branch(imported.branch)
    return commit


def _head(uri: DatasetUri, versions: VersionStore) -> str:
    branches = versions.branches()
    if uri.ref in branches:
        return branches[uri.ref]
    if uri.ref in versions.tags():
        raise UsageError(
            f"{uri.ref!r} is a tag, which never moves", hint="Import into a branch, such as main."
        )
    raise NotFound(
        f"Repository {uri.repo} has no branch {uri.ref!r}" + did_you_mean(uri.ref, branches),
        hint="Make it first: raypipe data branch, or import into main.",
    )


def _schema_at(uri: DatasetUri, commit: str, versions: VersionStore) -> pa.Schema | None:
    files = [f for f in versions.list(commit, uri.prefix) if f.path.endswith(".parquet")]
    return _schema_of(files[-1], versions) if files else None


def _schema_of(stored: StoredObject, versions: VersionStore) -> pa.Schema:
    footer = footer_of(versions.location(stored))
    return footer.schema.to_arrow_schema().remove_metadata()


# --- the columns that all inputs have -------------------------------------------------------------


def _converted(
    inputs: Sequence[Input],
    settings: ImportConfig,
    before: pa.Schema | None,
    folder: Path,
    convert_all: Converting,
) -> list[Converted]:
    """Convert inputs; those whose text other inputs read as another type are converted again."""
    known = before if before is not None else pa.schema([])
    converted = convert_all(inputs, settings, known, folder, agreed=False)
    agreed = _agreed(inputs, converted, before)
    again = [n for n, one in enumerate(converted) if one.schema.schema != agreed]
    if again:
        anew = convert_all([inputs[n] for n in again], settings, agreed, folder, agreed=True)
        for n, one in zip(again, anew, strict=True):
            converted[n] = one
    return converted


def _agreed(
    inputs: Sequence[Input], converted: Sequence[Converted], before: pa.Schema | None
) -> pa.Schema:
    """Return the columns of all inputs; UsageError names how one differs from the first."""
    there = {} if before is None else {f.name: f.type for f in before}
    named = dict.fromkeys(name for one in converted for name in one.schema.column_names)
    kinds = {
        name: there.get(name) or _said(converted, name)
        for name in [*there, *named]
        if name in named
    }
    for number, (source, one) in enumerate(zip(inputs, converted, strict=True)):
        wrong = [f"column {n!r} is missing" for n in named if _lacks(one, n, source)]
        for name in set(one.schema.column_names) - set(one.empty):
            so_far = [c for c in converted[:number] if _has_values(c, name)]
            own = one.schema.schema.field(name).type
            wider = widest(kinds[name], own) if so_far else own
            if wider is None and all(name in c.inferred for c in (*so_far, one)):
                wider = pa.string()
            if wider is None:
                wrong.append(f"column {name!r} is {own}, not {kinds[name]}")
            else:
                kinds[name] = plain(wider)
        if wrong:
            raise UsageError(
                f"{source.location} does not have the columns of the other files: "
                + "; ".join(wrong),
                hint="Give all files the same columns, or import them under paths of their own.",
            )
    return pa.schema(list(kinds.items()))


def _said(converted: Sequence[Converted], name: str) -> pa.DataType:
    """Return the type that the first file which says types has for a column; text if none does."""
    kinds = (
        one.schema.schema.field(name).type
        for one in converted
        if name in one.schema.column_names and name not in one.inferred
    )
    return next(kinds, pa.string())


def _lacks(one: Converted, name: str, source: Input) -> bool:
    """Say whether an input should have a column and does not; JSON leaves out what has no value."""
    return name not in one.schema.column_names and source.kind != "jsonl"


def _has_values(one: Converted, name: str) -> bool:
    return name in one.schema.column_names and name not in one.empty


def _differences(before: pa.Schema, after: pa.Schema) -> tuple[str, ...]:
    had = {field.name: field.type for field in before}
    has = {field.name: field.type for field in after}
    return (
        *(f"column {name!r} is missing" for name in had if name not in has),
        *(f"column {name!r} is new" for name in has if name not in had),
        *(
            f"column {name!r} is {has[name]}, not {had[name]}"
            for name in had
            if name in has and had[name] != has[name]
        ),
    )


# --- onto a branch --------------------------------------------------------------------------------


def _write(
    branch: str,
    inputs: Sequence[Input],
    shards: Sequence[ShardFile],
    uri: DatasetUri,
    head: str,
    versions: VersionStore,
    actor: Actor,
    meta: Mapping[str, str],
    beside: Mapping[str, Path],
) -> str:
    """Commit shards onto a fresh branch, which goes again where nothing differs."""
    versions.create_branch(branch, head)
    fault_point("import.branched")
    try:
        for shard in shards:
            versions.put(branch, uri.prefix + shard.name, shard.file)
            fault_point("import.staged")
        for path in _replaced(inputs, shards, uri, head, versions):
            versions.remove(branch, path)
        for path, file in beside.items():
            versions.put(branch, path, file)
        rows = sum(shard.rows for shard in shards)
        said = f"Import {_few([PurePosixPath(one.location).name for one in inputs])} into {uri}"
        commit = versions.commit(branch, said, actor, {"raypipe.rows": str(rows), **meta})
    except BaseException:
        versions.delete_branch(branch)
        raise
    if commit != head:
        fault_point("import.committed")
    else:
        versions.delete_branch(branch)
    return commit


def _replaced(
    inputs: Sequence[Input],
    shards: Sequence[ShardFile],
    uri: DatasetUri,
    head: str,
    versions: VersionStore,
) -> Iterator[str]:
    """Yield the shards of earlier files of the same names that these do not write again."""
    names = {as_path(one.name.partition("~")[0]) for one in inputs}
    written = {uri.prefix + shard.name for shard in shards}
    for stored in versions.list(head, uri.prefix):
        found = _SHARD.fullmatch(stored.path.removeprefix(uri.prefix))
        if found and found[1] in names and stored.path not in written:
            yield stored.path


def _few(names: Sequence[str]) -> str:
    """Return some names of many."""
    names = list(dict.fromkeys(names))
    return ", ".join(names[:_NAMES]) + (
        f" and {len(names) - _NAMES} more" if names[_NAMES:] else ""
    )


def _fresh_name(shards: Sequence[ShardFile], now: datetime) -> str:
    """Name a branch by the time and by what goes onto it."""
    said = [now.isoformat(), *(f"{shard.name} {_content_digest(shard.file)}" for shard in shards)]
    return f"import-{now:%Y%m%d-%H%M%S}-{_digest(said)[:6]}"


def _content_digest(file: Path) -> str:
    with file.open("rb") as reader:
        return hashlib.file_digest(reader, "blake2b").hexdigest()


def _digest(texts: Sequence[str]) -> str:
    return hashlib.blake2b("\n".join(texts).encode()).hexdigest()
