"""From files to a branch: each input becomes a shard, audited there before it is published."""

import hashlib
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from raypipe.engine.records import Actor
from raypipe.errors import NotFound, UsageError, ValidationStopped
from raypipe.fault_points import fault_point
from raypipe.store.locations import open_location
from raypipe.store.versions import StoredObject, VersionStore, did_you_mean
from raypipe.values.hashing import canonical_text
from raypipe.values.uri import DatasetUri

_KINDS = (".parquet", ".csv")
_ROWS_A_GROUP = 131_072


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


@dataclass(frozen=True, kw_only=True)
class _Prepared:
    """A shard that is not in the store yet."""

    path: str
    file: Path
    rows: int
    source: str
    schema: pa.Schema


def check_files(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Return the Parquet and CSV files that paths name, each whole at a glance.

    Nothing is written, so this can be asked before a repository is made.
    """
    files = tuple(file for path in paths for file in _files_of(path))
    stems = Counter(file.stem for file in files)
    for stem, times in stems.items():
        if times > 1:
            raise UsageError(
                f"{times} files are named {stem}, and would become one shard",
                hint="Rename them, or import them under paths of their own.",
            )
    for file in files:
        _check_file(file)
    return files


def import_files(
    paths: Sequence[Path],
    uri: DatasetUri,
    versions: VersionStore,
    actor: Actor,
    *,
    partition: str | None = None,
    meta: Mapping[str, str] | None = None,
    now: datetime | None = None,
    begin: Callable[[str], None] = lambda branch: None,
) -> ImportedShards:
    """Write files as shards onto a fresh branch of the reference's branch.

    One shard an input file, or one for each value of the column `partition` in it; a file of the
    same name as one before replaces its shard. `meta` is said of the commit; `begin` is told the
    name of the branch before that is made.
    """
    files = check_files(paths)
    head = _head(uri, versions)
    before = _schema_at(uri, head, versions)
    with tempfile.TemporaryDirectory(prefix="raypipe-import-") as folder:
        shards = [
            shard
            for file in files
            for shard in _prepare(file, Path(folder), uri.prefix, partition, before)
        ]
        _require_agreement(shards)
        branch = _fresh_name(shards, now or datetime.now(UTC))
        begin(branch)
        commit = _write(branch, shards, uri, head, versions, actor, meta or {})
    return ImportedShards(
        branch=uri.ref if commit == head else branch,
        commit=commit,
        rows=sum(shard.rows for shard in shards),
        shards=tuple(shard.path for shard in shards),
        unchanged=commit == head,
        differences=_differences(before, shards[0].schema) if before else (),
    )


def publish(
    imported: ImportedShards,
    uri: DatasetUri,
    versions: VersionStore,
    actor: Actor,
    *,
    accepted: bool = False,
) -> str:
    """Merge an audited branch into the reference's and forget it; return the new head.

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
    message = f"Import {len(imported.shards)} shards, {imported.rows} rows"
    commit = versions.merge(imported.branch, uri.ref, actor, message)
    fault_point("import.merged")
    versions.delete_branch(imported.branch)
    return commit


def _files_of(path: Path) -> list[Path]:
    if path.is_dir():
        if files := sorted(f for f in path.iterdir() if f.suffix in _KINDS and f.is_file()):
            return files
        raise UsageError(f"Folder {path} holds no Parquet or CSV file", hint="Name the files.")
    if path.is_file():
        return [path]
    siblings = (
        [f.name for f in path.parent.iterdir() if f.name[0] != "."] if path.parent.is_dir() else []
    )
    raise NotFound(
        f"There is no file {path}" + did_you_mean(path.name, siblings),
        hint="Give Parquet files, or folders of them.",
    )


def _check_file(file: Path) -> None:
    if file.suffix not in _KINDS:
        raise UsageError(
            f"{file} is neither Parquet nor CSV by its name",
            hint="Name it .parquet or .csv, or convert it.",
        )
    if file.stat().st_size == 0:
        raise UsageError(f"{file} is empty: it has no bytes", hint="Write the file again.")
    if file.suffix == ".parquet":
        with _faults(file):
            pq.read_metadata(file)


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
    with open_location(versions.location(stored)) as file:
        return pq.read_schema(file).remove_metadata()


def _prepare(
    file: Path, folder: Path, prefix: str, partition: str | None, before: pa.Schema | None
) -> Iterator[_Prepared]:
    table = _in_order(_read(file, before), before)
    for name, rows in _parts(table, file, partition):
        aside = folder / name
        pq.write_table(rows, aside, compression="zstd", row_group_size=_ROWS_A_GROUP)
        yield _Prepared(
            path=prefix + name,
            file=aside,
            rows=rows.num_rows,
            source=file.name,
            schema=rows.schema,
        )


def _read(file: Path, before: pa.Schema | None) -> pa.Table:
    with _faults(file):
        if file.suffix == ".csv":
            types = {f.name: f.type for f in before} if before else None
            options = pyarrow.csv.ConvertOptions(column_types=types, strings_can_be_null=True)
            table = pyarrow.csv.read_csv(file, convert_options=options)
        else:
            with pq.ParquetFile(file) as opened:
                table = opened.read()
    if not table.num_rows:
        raise UsageError(f"{file} has no rows", hint="Leave it out, or write it again.")
    if twice := [name for name, times in Counter(table.column_names).items() if times > 1]:
        raise UsageError(f"{file} has {twice[0]!r} for the name of several columns")
    return table


def _in_order(table: pa.Table, before: pa.Schema | None) -> pa.Table:
    """Put columns in the order that is there already; dictionaries as plain values, no metadata."""
    known = [name for name in before.names if name in table.column_names] if before else []
    names = known + [name for name in table.column_names if name not in known]
    columns = {name: table[name] for name in names}
    for name, column in columns.items():
        if pa.types.is_dictionary(column.type):
            columns[name] = pc.cast(column, column.type.value_type)
    return pa.table(columns)


def _parts(table: pa.Table, file: Path, partition: str | None) -> Iterator[tuple[str, pa.Table]]:
    stem = _slug(file.stem)
    if partition is None:
        yield f"part-{stem}.parquet", table
        return
    if partition not in table.column_names:
        raise UsageError(
            f"{file} has no column {partition!r} to divide it by"
            + did_you_mean(partition, table.column_names)
        )
    texts = pa.array([text or "null" for text in canonical_text(table[partition])])
    for value in sorted(texts.unique().to_pylist()):
        yield f"part-{stem}-{_slug(value)}.parquet", table.filter(pc.equal(texts, value))


def _slug(text: str) -> str:
    """Return text that a path can hold, the same for no two texts."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", text)
    return plain if plain == text else f"{plain}-{_digest([text])[:6]}"


def _require_agreement(shards: Sequence[_Prepared]) -> None:
    first = shards[0]
    for shard in shards[1:]:
        if differences := _differences(first.schema, shard.schema):
            raise UsageError(
                f"{shard.source} does not have the columns of {first.source}: "
                + "; ".join(differences),
                hint="Give all files the same columns, or import them under paths of their own.",
            )


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


def _write(
    branch: str,
    shards: Sequence[_Prepared],
    uri: DatasetUri,
    head: str,
    versions: VersionStore,
    actor: Actor,
    meta: Mapping[str, str],
) -> str:
    """Commit shards onto a fresh branch, which goes again where nothing differs."""
    versions.create_branch(branch, head)
    fault_point("import.branched")
    try:
        for shard in shards:
            versions.put(branch, shard.path, shard.file)
            fault_point("import.staged")
        rows = sum(shard.rows for shard in shards)
        said = f"Import {', '.join(dict.fromkeys(s.source for s in shards))} into {uri}"
        commit = versions.commit(branch, said, actor, {"raypipe.rows": str(rows), **meta})
    except BaseException:
        versions.delete_branch(branch)
        raise
    if commit != head:
        fault_point("import.committed")
    else:
        versions.delete_branch(branch)
    return commit


def _fresh_name(shards: Sequence[_Prepared], now: datetime) -> str:
    """Name a branch by the time and by what goes onto it."""
    said = [now.isoformat(), *(f"{shard.path} {_content_digest(shard.file)}" for shard in shards)]
    return f"import-{now:%Y%m%d-%H%M%S}-{_digest(said)[:6]}"


def _content_digest(file: Path) -> str:
    with file.open("rb") as reader:
        return hashlib.file_digest(reader, "blake2b").hexdigest()


def _digest(texts: Sequence[str]) -> str:
    return hashlib.blake2b("\n".join(texts).encode()).hexdigest()


@contextmanager
def _faults(file: Path) -> Iterator[None]:
    """Turn what Arrow says of a file that it cannot read into a sentence that names the file."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        said = str(error).split("\n", 1)[0].rstrip(".")
        raise UsageError(
            f"{file} cannot be read: {said}",
            hint="It may be truncated or damaged; write it again, or leave it out.",
        ) from error
