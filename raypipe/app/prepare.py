"""A target made ready: its graph in its home, what decides its steps, and its plan."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from raypipe.app import notices
from raypipe.app.assemble import Workshop, open_workshop
from raypipe.app.home import find_home
from raypipe.app.job import as_submitted
from raypipe.app.outcome import Outcome
from raypipe.app.request import RunRequest
from raypipe.app.targets import Target, import_pipeline, parse_target, read_parameters
from raypipe.engine.estimate import LAST, Estimate, estimate
from raypipe.engine.graph import Graph
from raypipe.engine.plan import Choices, Planned, Planner
from raypipe.engine.ports import AuditMode
from raypipe.engine.records import Json, Result, RunRecord
from raypipe.engine.step import module_of
from raypipe.errors import NotFound, UsageError

if TYPE_CHECKING:
    from raypipe.app.resume import Resumed
    from raypipe.config.store import StoreConfig
    from raypipe.engine.drive import Driven

LONG = 200
"""Letters of a parameter that are kept for people."""
RECENT = 100
"""Runs among which the last one is looked for that was of a target, and not an import."""
AfterRun = Callable[["Driven", Planner], Json]


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A graph, with the world that it is planned and run in."""

    graph: Graph
    workshop: Workshop
    lookups: Callable[[Callable[[], Planner]], Mapping[str, Any]] = lambda planner: {}
    """Facts of the ledger; given a way to the planner, for facts about the run itself."""
    compare: Callable[[Any, Result], str | None] = lambda value, before: None
    """Says how a value differs from what an earlier result was given."""
    parameters: Json = None
    settings: Json = None
    commits: Mapping[str, str] = field(default_factory=dict)
    given: Json = None
    """The pipeline's parameters, as a run that goes on from this one reads them back."""
    target: str = ""
    place: str = ""
    """The target's file, relative to the project's root."""
    resumed: "Resumed | None" = None
    """The run that this one goes on from."""
    command: str = ""
    """What a person types to run it again."""
    imported: tuple[str, ...] = ()
    """Modules that were imported to make the graph."""
    runtime: Literal["inline", "ray"] = "inline"
    address: str | None = None
    shared: bool = False
    audit: AuditMode = "warn"
    """What is done about what a step reads and does not declare."""
    cpus: int | None = None
    of_project: bool = True
    """Its steps are a project's, whose code is kept with the run and given to workers."""
    after: AfterRun | None = None
    """What is done with the outputs of a run that came to rest.

    A schema written, a version entered. Returns whether that version is served, None without one.
    """
    pages: tuple[str, ...] = ()
    """Steps that write a page for people, which is shown whatever becomes of the run."""
    warn: Callable[[Planner], tuple[str, ...]] = lambda planner: ()
    """What a person should know of what the run came to, and that stops nothing."""


def prepare(request: RunRequest, *, write: bool) -> Prepared:
    """Read the target and build its graph; nothing is run."""
    resumed = None
    if request.resume is not None:
        from raypipe.app.resume import find_resumed

        resumed = find_resumed(request)
        request = _as_then(request, resumed.run)
    target = _target_of(request) if resumed is None else resumed.target
    home = find_home(request.home, target.root) if resumed is None else resumed.home
    if target.is_script:
        prepared = _prepare_script(request, target, home, write, resumed)
    else:
        from raypipe.app.cycle_setup import prepare_cycle

        prepared = prepare_cycle(request, target, home, write, resumed)
    if request.strict:
        prepared = replace(prepared, audit="strict")
    prepared = replace(prepared, resumed=resumed, place=str(target.path.relative_to(target.root)))
    if resumed is not None:
        was = resumed.run.parameters["target"]
        return replace(prepared, target=was, command=resumed.command)
    named = replace(target, path=as_submitted(target.path))
    return replace(prepared, target=str(named), command=_command(request, target))


def _as_then(request: RunRequest, run: RunRecord) -> RunRequest:
    """Return a request with what it does not say taken from the run that it goes on from."""
    where = run.where or {}
    runtime = request.runtime or (None if request.address else where.get("runtime"))
    address = request.address or (None if request.runtime == "inline" else where.get("address"))
    return replace(
        request,
        runtime=runtime,
        address=address,
        shared=request.shared or bool(where.get("shared")),
    )


def _command(request: RunRequest, target: Target) -> str:
    if request.command is not None:
        return request.command
    name = f":{target.name}" if target.name else ""
    sets = [word for one in request.sets for word in ("--set", one)]
    home = [] if request.home is None else ["--home", shown(request.home)]
    return shlex.join(["raypipe", "run", shown(target.path) + name, *sets, *home])


def shown(file: Path) -> str:
    """Return a path as a person in the working folder would type it."""
    here = Path.cwd()
    return str(file.relative_to(here) if file.is_relative_to(here) else file)


def _prepare_script(
    request: RunRequest, target: Target, home: Path, write: bool, resumed: "Resumed | None"
) -> Prepared:
    from raypipe.app.resume import read_given, write_given

    made = import_pipeline(target)
    workshop = workshop_for(target, home, write, request, resumed)
    if resumed is None:
        parameters = read_parameters(made, request.sets)
    else:
        parameters = read_given(resumed.run, workshop)
    graph = made.build(parameters)
    return Prepared(
        graph=graph,
        workshop=workshop,
        parameters=in_words(made.bind(parameters)),
        given=write_given(made.bind(parameters), workshop) if write else None,
        target=str(target),
        imported=(module_of(made.function),),
        runtime=request.runtime or ("ray" if request.address else "inline"),
        address=request.address,
        shared=request.shared,
    )


def in_words(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return parameters as short texts for people."""
    texts = {name: repr(value) for name, value in parameters.items()}
    return {name: text if len(text) <= LONG else f"{text[:LONG]}…" for name, text in texts.items()}


def workshop_for(
    target: Target,
    home: Path,
    write: bool,
    request: RunRequest,
    resumed: "Resumed | None",
    store: "StoreConfig | None" = None,
) -> Workshop:
    """Open the home for a target; for one in a copy of the code, in the project's name."""
    if resumed is None:
        return open_workshop(target.root, home, write=write, by=request.by, store=store)
    return open_workshop(
        target.root,
        home,
        write=write,
        by=request.by,
        store=store,
        project=resumed.run.project,
        beside=resumed.beside,
    )


def _target_of(request: RunRequest) -> Target:
    if request.target is not None:
        return parse_target(request.target)
    home = find_home(request.home, Path.cwd())
    runs = []
    if home.is_dir():
        workshop = open_workshop(home.parent, home, write=False)
        runs = workshop.ledger.list_runs(limit=RECENT)
    targets = [str((run.parameters or {}).get("target") or "") for run in runs]
    target = next((text for text in targets if text and "://" not in text), None)
    if target is None:
        raise UsageError(
            "there is no target and no earlier run to take it from",
            hint="name a settings file or a script: raypipe run configs/flights.yaml",
        )
    return parse_target(target)


def plan(request: RunRequest) -> Outcome:
    """Say for each step whether it is kept, would run, waits, or is open; Ray is not imported."""
    prepared = prepare(request, write=False)
    planner = planner_for(prepared, request)
    planned = planner.plan()
    prepared.workshop.save_code()
    return Outcome(
        pipeline=prepared.graph.pipeline,
        steps=tuple(item.state for item in planned),
        reviews=tuple(p.review for p in planned if p.action == "wait" and p.review is not None),
        estimate=_estimate(prepared, planned).to_json(),
        stale=_stale(prepared, planned),
    )


def _estimate(prepared: Prepared, planned: Sequence[Planned]) -> Estimate:
    workshop, pipeline = prepared.workshop, prepared.graph.pipeline

    def took(step: str) -> tuple[float, ...]:
        return workshop.ledger.step_seconds(workshop.project, pipeline, step, LAST)

    return estimate(planned, took, parallel=prepared.runtime == "ray")


def _stale(prepared: Prepared, planned: Sequence[Planned]) -> tuple[Json, ...]:
    if prepared.settings is None:  # only a cycle makes models
        return ()
    from raypipe.app.deployed import left_behind

    return left_behind(prepared.workshop, prepared.graph, planned)


def planner_for(prepared: Prepared, request: RunRequest) -> Planner:
    """Return what decides the steps; NotFound for a step that is to be forced and is not there."""
    force = frozenset(request.force)
    known = {name for node in prepared.graph.nodes.values() for name in (node.name, node.group)}
    if unknown := sorted(one for one in force - known if not _is_item(one, prepared.graph)):
        raise no_step(unknown[0], prepared.graph)
    made: list[Planner] = []
    lookups = prepared.lookups(lambda: made[0])
    made.append(
        Planner(
            graph=prepared.graph,
            ports=replace(
                prepared.workshop.ports(lookups, prepared.imported, prepared.compare),
                effects_of=partial(notices.of_review, prepared.settings),
            ),
            choices=Choices(force=force),
        )
    )
    made[0].check_code()
    return made[0]


def _is_item(name: str, graph: Graph) -> bool:
    """Say whether a name can be that of an item of a map, whose list may not be known yet."""
    map_, _, place = name.removesuffix("]").rpartition("[")
    node = graph.nodes.get(map_)
    return (
        node is not None and node.kind == "map" and name == f"{map_}[{place}]" and place.isdigit()
    )


def no_step(name: str, graph: Graph) -> NotFound:
    """Return the error of a step that is not there, with those that are."""
    from difflib import get_close_matches

    close = get_close_matches(name, graph.nodes, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(list(graph.nodes)[:12])}"
    return NotFound(f"pipeline {graph.pipeline!r} has no step {name!r}", hint=hint)
