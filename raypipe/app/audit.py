"""What is on a branch is validated there, and brought to another when it passes."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from raypipe.app.accepting import as_recorded, not_found
from raypipe.app.assemble import Workshop
from raypipe.app.checking import NO_CHECKS, Checking, checking_for
from raypipe.app.prepare import Prepared
from raypipe.app.publishing import is_protected, publish
from raypipe.app.request import RunRequest
from raypipe.app.run import run_prepared
from raypipe.app.schema_file import known_schema, schema_path
from raypipe.app.schema_object import keep_inferred, keep_text
from raypipe.app.validating import connect_validation
from raypipe.app.verdicts import record_run
from raypipe.config.cycle import CycleConfig
from raypipe.engine.drive import Listener
from raypipe.engine.graph import build
from raypipe.engine.records import Json
from raypipe.errors import Interrupted, StoreError
from raypipe.stages.data import dataset_at, merged_profiles, profile_shard
from raypipe.store.versions import VersionStore
from raypipe.values.dataset import Dataset
from raypipe.values.schema import Schema
from raypipe.values.uri import DatasetUri


def validate_branch(
    workshop: Workshop,
    config: CycleConfig,
    file: Path,
    uri: DatasetUri,
    branch: str,
    versions: VersionStore,
    listen: Listener,
    accept: Sequence[str] = (),
) -> Json:
    """Run validation on a branch; its results are those that the cycle finds again.

    `accept` are the changes that the settings expect because a person named them now.
    """
    schema_file = schema_path(config, file.absolute(), workshop)
    schema = known_schema(workshop, config, schema_file, uri, write=True)
    if schema is not None:
        keep_text(versions, branch, config.name, schema_file.read_text(), workshop.actor)
    dataset = dataset_at(str(replace(uri, ref=branch)), versions)
    before = _shards_at(uri, versions)
    checking = checking_for(config.validation.deepchecks)
    graph = build(
        lambda: audit(config, dataset, before, schema, checking), f"{config.name}.import", {}
    )
    outcome = run_prepared(
        Prepared(
            graph=graph,
            workshop=workshop,
            parameters=as_recorded(config, accept) or None,
            commits={str(uri): dataset.commit},
            target=str(file.absolute()),
            warn=lambda planner: not_found(workshop, planner, accept),
        ),
        RunRequest(),
        listen,
    )
    record_run(workshop, dataset, outcome)
    if outcome.error is not None:
        stays = f" The branch {branch} stays;" if not isinstance(outcome.error, Interrupted) else ""
        outcome.error.hint = f"{outcome.error.hint or ''}{stays} {uri} never saw it."
        raise outcome.error
    if schema is None:
        used = outcome.values["admitted"]
        keep_inferred(versions, branch, config.name, used, workshop.actor)
    found = outcome.values["validation"]
    said = {
        "verdict": found.verdict,
        "anomalies": [f"{one.severity}: {one.message}" for one in found.anomalies],
        "report": str(outcome.values["report"]),
        **({"unchecked": list(found.unchecked)} if found.unchecked else {}),
    }
    expected = [f"{one.anomaly.message} ({one.by}: {one.why})" for one in found.accepted]
    return {**said, "accepted": expected} if expected else said


def merging(
    workshop: Workshop,
    config: CycleConfig | None,
    file: Path | None,
    uri: DatasetUri,
    branch: str,
    versions: VersionStore,
    listen: Listener,
) -> Callable[[str], str] | None:
    """Return what brings a branch to another; None where nothing holds it to anything.

    Others may come in meanwhile, and what passes by itself may not pass beside them.
    """
    validate = validating(workshop, config, file, uri, versions, listen)
    if validate is None and not is_protected(workshop, uri):
        return None

    def bring(message: str) -> str:
        try:
            return publish(workshop, uri, branch, versions, message, validate)
        except StoreError as error:
            later = f"The branch {branch} stays: `raypipe data merge {uri} {branch}` brings it in."
            error.hint = f"{error.hint or ''} {later}".strip()
            raise

    return bring


def validating(
    workshop: Workshop,
    config: CycleConfig | None,
    file: Path | None,
    uri: DatasetUri,
    versions: VersionStore,
    listen: Listener,
) -> Callable[[str], object] | None:
    """Return what looks at a branch by settings; None where there are none."""
    if config is None or file is None:
        return None
    return lambda name: validate_branch(workshop, config, file, uri, name, versions, listen)


def audit(
    config: CycleConfig,
    dataset: Dataset,
    before: frozenset[str],
    schema: Schema | None,
    checking: Checking = NO_CHECKS,
) -> dict[str, Any]:
    """Profile and validate a dataset.

    The shards that are not in `before` are held against the others.
    """
    data = config.data
    profiles = [profile_shard(shard, data.split, data.key, data.pairs) for shard in dataset.shards]
    both = list(zip(profiles, dataset.shards, strict=True))
    old = [p for p, shard in both if shard.object_id in before]
    new = tuple(shard for shard in dataset.shards if shard.object_id not in before)
    accepted = merged_profiles(old) if old else None
    seen = connect_validation(
        config,
        dataset,
        profiles,
        schema,
        new=new if old else (),
        baseline=accepted if new else None,
        inferred_from=accepted,
        checking=checking,
    )
    return {"validation": seen.validation, "admitted": seen.admitted(), "report": seen.page}


def _shards_at(uri: DatasetUri, versions: VersionStore) -> frozenset[str]:
    return frozenset(f.object_id for f in versions.list(uri.ref, uri.prefix))
