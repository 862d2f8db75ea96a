"""A settings file made ready to run.

The dataset resolved, the schema file read, the ledger's facts at hand.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from raypipe.app.accepting import accepting, as_recorded, not_found
from raypipe.app.assemble import Workshop, lakefs_named
from raypipe.app.checking import checking_for, not_checked
from raypipe.app.cycle import cycle
from raypipe.app.edge_cases import kept_edge_cases
from raypipe.app.home import check_home
from raypipe.app.inspect import kept
from raypipe.app.models import CHAMPION
from raypipe.app.prepare import Prepared, workshop_for
from raypipe.app.request import RunRequest
from raypipe.app.resume import Resumed
from raypipe.app.routes import gateway_told, serving_now
from raypipe.app.schema_file import known_schema, schema_path, write_schema
from raypipe.app.shards import comparing
from raypipe.app.targets import Target
from raypipe.app.verdicts import record
from raypipe.config.cycle import CycleConfig
from raypipe.config.load import from_json, load, to_json
from raypipe.engine.drive import Driven
from raypipe.engine.graph import build
from raypipe.engine.plan import Planner
from raypipe.engine.records import Json
from raypipe.errors import UsageError
from raypipe.fault_points import fault_point
from raypipe.stages.data import dataset_at
from raypipe.store.rows import ModelVersionRow
from raypipe.store.versions import open_store
from raypipe.values.dataset import Dataset
from raypipe.values.tuning import Trial
from raypipe.values.uri import parse_uri


def prepare_cycle(
    request: RunRequest, target: Target, home: Path, write: bool, resumed: Resumed | None = None
) -> Prepared:
    """Build a cycle's graph from its settings, its dataset and what the ledger knows.

    Of a run that is gone on from, settings and commit are as they were.
    """
    config = load(target.path, request.sets) if resumed is None else from_json(resumed.run.settings)
    config = accepting(config, request.accept, by=request.by, why=request.why)
    runtime = request.runtime or ("ray" if request.address else config.runtime.kind)
    if write:
        require_ray(config, runtime)
        check_home(home)
    dataset = _dataset(config, home, resumed)
    workshop = workshop_for(target, home, write, request, resumed, config.store)
    schema_file = schema_path(config, target.path, workshop)
    if resumed is not None and resumed.beside is not None and not schema_file.exists():
        own = resumed.beside / target.path.relative_to(target.root)
        schema_file = schema_path(config, own, workshop)
    at = replace(parse_uri(config.data.dataset), ref=dataset.commit)
    schema = known_schema(workshop, config, schema_file, at, write=write)
    accepted = last_accepted(workshop, config.name, dataset)
    before = accepted.shards if accepted else ()
    model = config.registry.model or config.name
    taken = tuple(sorted(row.version for row in workshop.ledger.versions(model)))
    settings = to_json(config)
    recipe = _recipe(settings)
    checking = checking_for(config.validation.deepchecks)
    edge_cases = kept_edge_cases(workshop, config)
    graph = build(
        lambda: cycle(config, dataset, before, schema, recipe, taken, checking, edge_cases),
        config.name,
        {},
    )
    return Prepared(
        graph=graph,
        workshop=workshop,
        lookups=lambda planner: {
            **_lookups(workshop, model, planner, write=write),
            "last_sweep": lambda _: last_sweep(workshop, config.name),
            "earlier_trials": lambda _: earlier_trials(workshop, config.name) if write else None,
        },
        compare=comparing(workshop, dataset),
        parameters=as_recorded(config, request.accept) or None,
        settings=settings,
        commits={config.data.dataset: dataset.commit},
        target=str(target),
        runtime=runtime,
        address=request.address or config.runtime.address,
        shared=request.shared or config.runtime.shared,
        audit=config.runtime.audit,
        cpus=config.runtime.cpus,
        warn=lambda planner: (
            *not_checked(workshop, planner),
            *not_found(workshop, planner, request.accept),
        ),
        after=_after(workshop, config, dataset, schema_file),
        pages=("report_data",),
    )


def require_ray(config: CycleConfig, runtime: str) -> None:
    """UsageError where a loop of one's own would find no Ray: before the rows are looked at."""
    if config.training.loop is not None and runtime != "ray":
        raise UsageError(
            f"training.loop is {str(config.training.loop)!r}, which Ray Train runs, but this run "
            "goes without Ray",
            hint="run with --runtime ray, or leave training.loop away",
        )


def _dataset(config: CycleConfig, home: Path, resumed: Resumed | None) -> Dataset:
    """Return the dataset at the commit that its reference names, or named then."""
    uri = config.data.dataset
    named = parse_uri(uri)
    store = open_store(named, home, lakefs=lakefs_named(config.store))
    if resumed is None or uri not in resumed.run.commits:
        return dataset_at(uri, store)
    at = replace(named, ref=resumed.run.commits[uri])
    return replace(dataset_at(str(at), store), uri=uri)


NOT_RECIPE = ("trials", "concurrent", "when")
"""Settings of a sweep that say how much is searched, and not what."""


def _recipe(settings: Json) -> dict[str, Json]:
    """Return the settings that make a model, as written."""
    recipe = {part: settings[part] for part in ("data", "preprocessing", "training")}
    if settings["tuning"]["space"]:
        searched = settings["tuning"].items()
        recipe["tuning"] = {name: value for name, value in searched if name not in NOT_RECIPE}
    return recipe


# --- what was accepted before -------------------------------------------------------------------


def last_accepted(workshop: Workshop, pipeline: str, now: Dataset) -> Dataset | None:
    """Return what validation let in last with other content than the dataset of now."""
    ledger = workshop.ledger
    digest = workshop.codec.encode(now).digest
    for result, run in ledger.used_results(workshop.project, pipeline, "admit"):
        commit = ledger.get_run(run).commits.get(now.uri)
        if result.explanation.parameters.get("dataset") != digest and commit is not None:
            uri = replace(parse_uri(now.uri), ref=commit)
            return dataset_at(str(uri), workshop.versions(uri))
    return None


# --- the ledger's facts -------------------------------------------------------------------------


def _lookups(
    workshop: Workshop,
    model: str,
    planner: Callable[[], Planner],
    *,
    write: bool,
) -> Mapping[str, Callable[[Mapping[str, str]], str | None]]:
    return {
        "champion": lambda given: champion_for(workshop, model, given["candidate"]),
        "code": lambda _: _code_of(workshop, planner()) if write else None,
    }


EARLIER = 20
"""Newest runs whose trials a sweep may learn from."""
MAKERS = ("fit", "transform_shards", "train")
"""Steps whose code makes a model what it is."""


def _code_of(workshop: Workshop, planner: Planner) -> str:
    """Keep what the makers of a model can reach: `symbols` and `packages`, by name."""
    symbols: dict[str, str] = {}
    packages: dict[str, str] = {}
    makers = {  # of several the last: a sweep of recipes ends with the one that it chose
        planned.node.step.name: planned.fingerprint
        for planned in planner.planned.values()
        if planned.node.step is not None and planned.node.step.name in MAKERS
    }
    for fingerprint in makers.values():
        assert fingerprint is not None
        symbols |= fingerprint.symbols
        packages |= fingerprint.packages
    encoded = workshop.codec.encode({"symbols": symbols, "packages": packages})
    workshop.artifacts.put_bytes(encoded.manifest, encoded.digest)
    return encoded.digest


def champion_for(workshop: Workshop, model: str, candidate: str) -> str | None:
    """Return the version that a candidate is compared with.

    The champion, or, where the candidate became the champion itself, what it was compared with
    then. So a finished cycle finds all of its results again.
    """
    ledger = workshop.ledger
    for row in ledger.versions(model):
        if row.candidate == candidate:
            return row.compared_with
    named = ledger.aliases(model).get(CHAMPION)
    return ledger.version(model, named).value if named else None


def last_sweep(workshop: Workshop, pipeline: str) -> str | None:
    """Return what the last sweep of a pipeline chose, if it is still there."""
    result = workshop.ledger.latest_result(workshop.project, pipeline, "choose")
    if result is None or not all(map(workshop.artifacts.intact, result.artifacts)):
        return None
    return result.root


def earlier_trials(workshop: Workshop, pipeline: str) -> str:
    """Keep the trials of a pipeline's newest runs, each once, oldest first."""
    found: dict[str, Trial] = {}
    for run in workshop.ledger.list_runs(workshop.project, limit=EARLIER, pipeline=pipeline):
        for state in workshop.ledger.run_steps(run.id):
            if state.name.startswith("trial[") and state.digest and state.digest not in found:
                value = kept(workshop, state)
                if isinstance(value, Trial):
                    found[state.digest] = value
    encoded = workshop.codec.encode(tuple(reversed(found.values())))
    workshop.artifacts.put_bytes(encoded.manifest, encoded.digest)
    return encoded.digest


# --- what follows a run -------------------------------------------------------------------------


def _after(
    workshop: Workshop, config: CycleConfig, dataset: Dataset, schema_file: Path
) -> Callable[[Driven, Planner], Json]:
    def after(driven: Driven, planner: Planner) -> Json:
        nodes = {item.node.name: item for item in driven.planned}
        if not schema_file.exists() and "infer" in planner.known.manifests:
            write_schema(
                workshop.codec.decode(planner.known.manifests["infer"], workshop.artifacts),
                schema_file,
            )
            fault_point("schema.written")
        if (let_in := nodes.get("admit")) and let_in.result:
            found = nodes["validate"].digest or ""
            record(workshop, dataset, "pass", run=let_in.result.run, evidence=found)
        if (look := nodes.get("evaluate")) and look.result:  # of a run that was killed, too
            digest = workshop.codec.encode(dataset).digest
            workshop.ledger.add_look(digest, look.result.run, "evaluate")
        if "register" not in planner.known.manifests:
            return None
        _enter_version(workshop, config, planner)
        return serving_now(workshop)

    return after


def _enter_version(workshop: Workshop, config: CycleConfig, planner: Planner) -> None:
    """Enter the registered version in the ledger, once; it may become the champion."""
    codec = workshop.codec
    manifest = planner.known.manifests["register"]
    version = codec.decode(manifest, workshop.artifacts)
    digest, _ = codec.field(manifest, ())
    trained = planner.known.manifests["train"]
    row = ModelVersionRow(
        model=version.model,
        version=version.version,
        bundle=_blob_of(version.bundle),
        candidate=codec.field(trained, ("candidate",))[0],
        evaluation=codec.field(planner.known.manifests["judge"], ())[0],
        run=planner.planned["register"].result.run,  # type: ignore[union-attr]
        created=planner.ports.now(),
        actor=workshop.actor,
        changelog=version.changelog,
        lineage=version.lineage,
        compared_with=planner.planned["champion"].digest,
        value=digest,
    )
    ledger, told = workshop.ledger, [gateway_told()]

    def enter() -> None:
        entered = ledger.add_version(row, alias=CHAMPION if config.registry.promote else None)
        if entered.created == row.created:  # else it was there, and the gateway knows
            ledger.ask_for(told)

    ledger.together(enter)
    fault_point("version.entered")


def _blob_of(bundle: Path) -> str:
    """Return the digest that a folder lies under in the artifacts."""
    return bundle.parent.name
