"""Versioned data as a person asks for it: import, log, diff, show, profile, branch, tag."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from raypipe.app.accepting import accepting, as_recorded
from raypipe.app.assemble import Workshop
from raypipe.app.audit import merging, validate_branch
from raypipe.app.imports import remove_left, under_way
from raypipe.app.look import look
from raypipe.app.prepare import Prepared
from raypipe.app.protect import standing
from raypipe.app.publishing import RUN, is_protected
from raypipe.app.request import RunRequest
from raypipe.app.run import run_prepared
from raypipe.app.schema_file import schema_beside
from raypipe.app.schema_object import changed_schemas, schema_texts
from raypipe.app.with_settings import open_data, settings_in, workshop_with
from raypipe.config.cycle import CycleConfig
from raypipe.config.faults import find_faults
from raypipe.config.importing import ImportConfig
from raypipe.engine.drive import Listener
from raypipe.engine.graph import build
from raypipe.engine.records import Json
from raypipe.errors import NotFound, UsageError
from raypipe.stages.data import convert_input, dataset_at
from raypipe.store.faults import disk_faults
from raypipe.store.locations import footer_of
from raypipe.store.versions import MAIN, VersionStore
from raypipe.values.dataset import Dataset
from raypipe.values.imported import Converted, Input
from raypipe.values.uri import DatasetUri, parse_uri

if TYPE_CHECKING:
    import pyarrow as pa

    from raypipe.stages.data.importing import Converting, ImportedShards

_NAMED_TYPE = re.compile(r"(.+)=([^=\[\]]+(?:\[[^\[\]]*\])?)")
"""A column and its type, which may have a zone: timestamp[us, tz=UTC]."""


def import_files(
    files: Sequence[str | Path],
    to: str,
    *,
    config: Path | None = None,
    given: Mapping[str, Any] | None = None,
    run: RunRequest | None = None,
    create: bool = False,
    home: Path | None = None,
    by: str | None = None,
    accept: Sequence[str] = (),
    why: str | None = None,
    listen: Listener = lambda event: None,
) -> Json:
    """Write files to a branch, profile and validate them there, and merge it when they pass.

    ValidationStopped leaves the branch, and the target never saw it. Without `config` there is no
    schema to hold them to: only their columns are compared with those that are there. What is
    `given` (fields of ImportConfig) comes before the settings of `config`; `run` says where files
    are converted. What was converted is kept, so that an import that was killed goes on. A
    repository on a server, which others see too, is made only with `create`.
    """
    from raypipe.stages.data import importing, inputs

    uri = parse_uri(to)
    cycle = settings_in(config)
    if cycle is not None:
        cycle = accepting(cycle, accept, by=by, why=why)
    how = _how(cycle, given or {})
    inputs.find_inputs(files, how, read=False)
    workshop = workshop_with(config, cycle, home, by=by)
    if cycle is None and is_protected(workshop, uri):
        raise UsageError(
            f"{uri} is protected: only validated data comes to it",
            hint="say with --config what it is held to",
        )
    versions = workshop.versions(uri, create=create or uri.scheme == "local")
    remove_left(workshop, uri, versions)
    told = {} if cycle is None else as_recorded(cycle, accept)
    with under_way(workshop, uri) as begin:
        imported = importing.import_files(
            files,
            uri,
            versions,
            workshop.actor,
            settings=how,
            meta=told,
            beside=schema_beside(workshop, cycle, config, uri),
            begin=begin,
            convert_all=_converting(workshop, uri, run or RunRequest(), listen, told),
        )
        said = _said(imported, how)
        if imported.unchanged:
            return {**said, "note": f"{to} holds all of this already; there is no new commit"}
        if cycle is not None and config is not None:
            said["validation"] = validate_branch(
                workshop, cycle, config, uri, imported.branch, versions, listen, accept
            )
        else:
            said["validation"] = "no schema to hold the rows to: give --config"
        head = importing.publish(
            imported,
            uri,
            versions,
            workshop.actor,
            accepted=cycle is not None,
            merge=merging(workshop, cycle, config, uri, imported.branch, versions, listen),
        )
    return {**said, "commit": head, "merged": str(uri)}


def _how(cycle: CycleConfig | None, given: Mapping[str, Any]) -> ImportConfig:
    """Return how files are read: as is given, then as settings say; UsageError names a slip."""
    written = {} if cycle is None else cycle.imports.model_dump()
    try:
        return ImportConfig(**{**written, **given})
    except ValidationError as error:
        (fault, *_) = find_faults(ImportConfig, error.errors())
        raise UsageError(fault.sentence, hint="raypipe data import --help") from error


def named_types(texts: Sequence[str]) -> dict[str, str]:
    """Return the types that `COLUMN=TYPE` say; UsageError names one that does not."""
    found = {text: _NAMED_TYPE.fullmatch(text) for text in texts}
    if wrong := [text for text, parts in found.items() if parts is None]:
        raise UsageError(
            f"--type {wrong[0]!r} names no column and type", hint="Write it so: --type zip=string"
        )
    return {parts[1]: parts[2] for parts in found.values() if parts is not None}


def _said(imported: "ImportedShards", settings: ImportConfig) -> dict[str, Any]:
    said: dict[str, Any] = {
        "branch": imported.branch,
        "commit": imported.commit,
        "rows": imported.rows,
        "shards": list(imported.shards),
    }
    if imported.rejected:
        said["rejected"] = imported.rejected
        said["rejects"] = settings.rejects
        said["examples"] = [
            f"{one.file}:{one.row.line}: {one.row.reason}" for one in imported.examples
        ]
        _list_rejects(imported, Path(settings.rejects or ""))
    return said


def _list_rejects(imported: "ImportedShards", out: Path) -> None:
    """Write the rows that were left out of all inputs to one file of JSON lines."""
    with disk_faults(f"{str(out)!r} cannot be written"), out.open("w", encoding="utf-8") as file:
        for location, listed in imported.lists:
            with listed.open(encoding="utf-8") as rows:
                for line in rows:
                    file.write(json.dumps({"file": location, **json.loads(line)}) + "\n")


def _converting(
    workshop: Workshop, uri: DatasetUri, run: RunRequest, listen: Listener, told: dict[str, str]
) -> "Converting":
    """Return what converts inputs as a run of its own, so that each is kept once it is done.

    Which run it was is added to what is `told` of the commit.
    """

    def convert_all(
        inputs: Sequence[Input],
        settings: ImportConfig,
        known: "pa.Schema",
        folder: Path,
        *,
        agreed: bool,
    ) -> list[Converted]:
        apart = settings.model_copy(update={"rejects": settings.rejects and "listed"})
        table = known.empty_table()
        graph = build(
            lambda: {one.name: convert_input(one, apart, table, agreed) for one in inputs},
            f"{uri.repo}.import",
            {},
        )
        prepared = Prepared(
            graph=graph,
            workshop=workshop,
            target=str(uri),
            runtime=run.runtime or ("ray" if run.address else "inline"),
            address=run.address,
            shared=run.shared,
            of_project=False,
        )
        outcome = run_prepared(prepared, RunRequest(), listen)
        if outcome.error is not None:
            raise outcome.error
        told[RUN] = outcome.run or ""
        return [outcome.values[one.name] for one in inputs]

    return convert_all


def log(dataset: str, *, home: Path | None = None) -> Json:
    """Return the commits of a ref, newest first."""
    uri, versions = open_data(dataset, home)
    return [asdict(commit) for commit in versions.log(uri.ref)]


def diff(dataset: str, other: str, *, config: Path | None = None, home: Path | None = None) -> Json:
    """Say how `other`, a ref or a reference, differs: in files, schema, rows and columns."""
    from raypipe.app.profiles import compared

    cycle = settings_in(config)
    uri, versions = open_data(dataset, home, config, cycle)
    at = parse_uri(other) if "://" in other else replace(uri, ref=other)
    if at.repository != uri.repository:
        raise UsageError(
            f"{other} is of another repository than {dataset}",
            hint="Compare two refs of one: their files are told apart by path.",
        )
    files = versions.diff(uri.ref, at.ref)
    workshop = workshop_with(config, cycle, home)
    key = cycle.data.key if cycle else ()
    before, after = (_dataset_or_none(one, versions) for one in (uri, at))
    schemas = changed_schemas(versions, uri.ref, at.ref)
    return {**asdict(files), "schemas": schemas, **compared(workshop, before, after, key)}


def _dataset_or_none(uri: DatasetUri, versions: VersionStore) -> Dataset | None:
    try:
        return dataset_at(str(uri), versions)
    except NotFound:
        versions.resolve(uri.ref)  # an unknown ref is a slip; one without data is empty
        return None


def show(dataset: str, *, home: Path | None = None) -> Json:
    """Return commit, shards, rows and columns of a dataset."""
    uri, workshop = parse_uri(dataset), look(home)
    versions = workshop.versions(uri)
    found = dataset_at(dataset, versions)
    columns = footer_of(found.shards[0].location).schema.to_arrow_schema()
    rows = [footer_of(shard.location).num_rows for shard in found.shards]
    return {
        "commit": found.commit,
        "rows": sum(rows),
        "shards": [
            {"path": shard.path, "rows": count, "bytes": shard.size}
            for shard, count in zip(found.shards, rows, strict=True)
        ],
        "columns": {field.name: str(field.type) for field in columns},
        "schemas": list(schema_texts(versions, found.commit)),
        **standing(workshop, uri, found),
    }


def profile(dataset: str, *, config: Path | None = None, home: Path | None = None) -> Json:
    """Return statistics of each column of a dataset; each shard is read once, whoever asks."""
    from raypipe.app.profiles import facts_of, profile_of

    cycle = settings_in(config)
    _, versions = open_data(dataset, home, config, cycle)
    workshop = workshop_with(config, cycle, home)
    key = cycle.data.key if cycle else ()
    found = profile_of(workshop, dataset_at(dataset, versions), key)
    return {name: facts_of(column) for name, column in found.columns.items()}


def init(dataset: str, *, config: Path | None = None, home: Path | None = None) -> Json:
    """Make the repository of a dataset, with an empty branch `main`; one that is there stays."""
    uri = parse_uri(dataset)
    if uri.ref != MAIN:
        raise UsageError(
            f"a new repository has the branch {MAIN!r}, not {uri.ref!r}",
            hint=f"raypipe data init {uri.scheme}://{uri.repo}/{MAIN}; then `raypipe data branch`",
        )
    workshop = workshop_with(config, settings_in(config), home)
    made = False
    try:
        versions = workshop.versions(uri)
    except NotFound:
        versions = workshop.versions(uri, create=True)
        made = True
    said = {} if made else {"note": f"{uri.scheme}://{uri.repo} was there already"}
    return {"dataset": str(uri), "commit": versions.resolve(MAIN), **said}


def branch(dataset: str, name: str, *, home: Path | None = None) -> Json:
    """Make a branch at a reference's commit; nothing is copied."""
    uri, versions = open_data(dataset, home)
    return {"branch": name, "commit": versions.create_branch(name, uri.ref)}


def tag(dataset: str, name: str, *, home: Path | None = None) -> Json:
    """Name a reference's commit for ever."""
    uri, versions = open_data(dataset, home)
    return {"tag": name, "commit": versions.tag(name, uri.ref)}
