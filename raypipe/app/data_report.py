"""The data report as a person asks for it: of any commit, against any other."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from raypipe.app.assemble import Workshop
from raypipe.app.checking import checking_for
from raypipe.app.cycle_setup import last_accepted
from raypipe.app.prepare import Prepared
from raypipe.app.request import RunRequest
from raypipe.app.run import run_prepared
from raypipe.app.schema_file import known_schema, schema_path
from raypipe.app.validating import connect_validation
from raypipe.app.with_settings import settings_in, workshop_with
from raypipe.config.cycle import CycleConfig
from raypipe.engine.drive import Listener
from raypipe.engine.graph import build
from raypipe.engine.records import Json
from raypipe.errors import UsageError
from raypipe.stages.data import dataset_at, merged_profiles, profile_rows, profile_shard
from raypipe.stages.validation import report_look, report_rows
from raypipe.store.faults import disk_faults
from raypipe.values.dataset import Dataset, Shard
from raypipe.values.schema import Schema
from raypipe.values.uri import DatasetUri, parse_uri


def report(
    dataset: str,
    *,
    config: Path | None = None,
    against: str | None = None,
    out: Path | None = None,
    home: Path | None = None,
    by: str | None = None,
    listen: Listener = lambda event: None,
) -> Json:
    """Write the data report of a dataset, and return where it lies; nothing is let in or stopped.

    `against` is a ref or a reference; without it, rows are held against those that the pipeline of
    `config` accepted last. Without `config` nothing is known of label and splits.
    """
    uri = parse_uri(dataset)
    cycle = settings_in(config)
    workshop = workshop_with(config, cycle, home, by=by)
    versions = workshop.versions(uri)
    now = dataset_at(dataset, versions)
    before = None
    if against is not None:
        before = dataset_at(str(_other(uri, against)), versions)
    elif cycle is not None and (accepted := last_accepted(workshop, cycle.name, now)) is not None:
        before = accepted
    if cycle is not None and config is not None:
        file = schema_path(cycle, config.absolute(), workshop)
        schema = known_schema(workshop, cycle, file, uri, write=False)
        return _with_settings(workshop, cycle, now, before, schema, out, listen)
    return _without_settings(workshop, uri, now, before, out, listen)


def _other(uri: DatasetUri, against: str) -> DatasetUri:
    other = parse_uri(against) if "://" in against else replace(uri, ref=against)
    if other.repository != uri.repository:
        raise UsageError(
            f"{against} is of another repository than {uri}",
            hint="Compare two refs of one: their files are told apart by content.",
        )
    return other


def _with_settings(
    workshop: Workshop,
    config: CycleConfig,
    now: Dataset,
    before: Dataset | None,
    schema: Schema | None,
    out: Path | None,
    listen: Listener,
) -> Json:
    graph = build(
        lambda: validated_and_reported(config, now, before, schema), f"{config.name}.report", {}
    )
    values = _run(workshop, graph, now, listen)
    found = values["validation"]
    return {
        "report": _kept_at(values["report"], out),
        "verdict": found.verdict,
        "anomalies": [f"{one.severity}: {one.message}" for one in found.anomalies],
    }


def validated_and_reported(
    config: CycleConfig, now: Dataset, before: Dataset | None, schema: Schema | None
) -> dict[str, Any]:
    """Connect validation and report of a dataset, held against another."""
    data = config.data
    known = {
        shard.object_id: profile_shard(shard, data.split, data.key, data.pairs)
        for shard in (*now.shards, *(before.shards if before is not None else ()))
    }
    profiles = [known[shard.object_id] for shard in now.shards]
    baseline = None
    if before is not None:
        baseline = merged_profiles([known[shard.object_id] for shard in before.shards])
    seen = connect_validation(
        config,
        now,
        profiles,
        schema,
        new=_new(now, before),
        baseline=baseline,
        inferred_from=baseline,
        checking=checking_for(config.validation.deepchecks),
    )
    return {"validation": seen.validation, "report": seen.page}


def _without_settings(
    workshop: Workshop,
    uri: DatasetUri,
    now: Dataset,
    before: Dataset | None,
    out: Path | None,
    listen: Listener,
) -> Json:
    graph = build(lambda: {"report": reported(uri, now, before)}, f"{uri.repo}.report", {})
    return {"report": _kept_at(_run(workshop, graph, now, listen)["report"], out)}


def reported(uri: DatasetUri, now: Dataset, before: Dataset | None) -> Any:
    """Connect the report of a dataset of which no settings say what its columns mean."""
    earlier = before.shards if before is not None else ()
    known = {shard.object_id: profile_rows(shard, ()) for shard in (*now.shards, *earlier)}
    new = _new(now, before)
    return report_rows(
        uri.repo,
        now,
        [known[shard.object_id] for shard in now.shards],
        [known[shard.object_id] for shard in new],
        None if before is None else [known[shard.object_id] for shard in earlier],
        new,
        report_look(),
    )


def _new(now: Dataset, before: Dataset | None) -> tuple[Shard, ...]:
    """Return the shards that were not there before; none where there is no before."""
    if before is None:
        return ()
    known = {shard.object_id for shard in before.shards}
    return tuple(shard for shard in now.shards if shard.object_id not in known)


def _run(workshop: Workshop, graph: Any, now: Dataset, listen: Listener) -> Json:
    prepared = Prepared(
        graph=graph,
        workshop=workshop,
        commits={now.uri: now.commit},
        target=now.uri,
        of_project=False,
    )
    outcome = run_prepared(prepared, RunRequest(), listen)
    if outcome.error is not None:
        raise outcome.error
    return outcome.values


def _kept_at(page: Path, out: Path | None) -> str:
    """Return where a page lies: where it is kept, or where a person wants a copy."""
    if out is None:
        return str(page)
    with disk_faults(f"{str(out)!r} cannot be written"):
        shutil.copyfile(page, out)
    return str(out)
