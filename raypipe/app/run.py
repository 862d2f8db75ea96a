"""Plan a target, and run it."""

import os
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from raypipe.app import notices, outbox
from raypipe.app.alive import end_lost_runs, under_way
from raypipe.app.assemble import Workshop, driver_runtime, make_runtime, open_workshop
from raypipe.app.cancel import interrupted, let_go, stopped_in, why_cancelled
from raypipe.app.code import UsedCode
from raypipe.app.home import find_home
from raypipe.app.job import as_submitted, job_address, job_folder
from raypipe.app.journal import Journal, journal_file
from raypipe.app.outcome import Outcome, error_json
from raypipe.app.request import RunRequest
from raypipe.app.targets import Target, import_pipeline, parse_target, read_parameters
from raypipe.engine.drive import Drive, Driven, Listener
from raypipe.engine.estimate import LAST, Estimate, estimate
from raypipe.engine.events import CodeDiffers, Event, StepStarted, StepWaits, Warned
from raypipe.engine.graph import Graph
from raypipe.engine.plan import Choices, Planned, Planner
from raypipe.engine.ports import AuditMode
from raypipe.engine.records import Json, Result, RunRecord, RunStatus, StepState
from raypipe.engine.step import module_of
from raypipe.errors import NotFound, RaypipeError, UsageError
from raypipe.fault_points import fault_point
from raypipe.runtime.stop import stopping

if TYPE_CHECKING:
    from raypipe.app.resume import Resumed
    from raypipe.config.store import StoreConfig
    from raypipe.runtime.on_ray import RayOptions

LONG = 200
"""Letters of a parameter that are kept for people."""
AfterRun = Callable[[Driven, Planner], Json]


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
    after: AfterRun | None = None
    """What is done with the outputs of a run that came to rest.

    A schema written, a version entered. Returns whether that version is served, None without one.
    """


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
        runs = workshop.ledger.list_runs(limit=1)
    if not runs or not (runs[0].parameters or {}).get("target"):
        raise UsageError(
            "there is no target and no earlier run to take it from",
            hint="name a settings file or a script: raypipe run configs/flights.yaml",
        )
    return parse_target(runs[0].parameters["target"])


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


def run(request: RunRequest, listen: Listener = lambda event: None) -> Outcome:
    """Run a target: what is kept is reused, the rest is executed and kept."""
    return run_prepared(prepare(request, write=True), request, listen)


def run_prepared(
    prepared: Prepared, request: RunRequest, listen: Listener = lambda event: None
) -> Outcome:
    """Run a graph, keep what became of it in the ledger, and return it."""
    record = _record(prepared)
    workshop = prepared.workshop
    journal = Journal(journal_file(workshop.paths, record.id), listen)
    with under_way(workshop, record.id), closing(journal):
        try:
            outcome = _run(prepared, record, request, journal)
        except RaypipeError:
            outbox.deliver_due(workshop)
            raise
        if outcome.status == RunStatus.CANCELLED:
            return outcome
        left = outbox.deliver_due(workshop)
    return replace(outcome, outbox=outbox.told(left))


def _run(prepared: Prepared, record: RunRecord, request: RunRequest, listen: Listener) -> Outcome:
    workshop = prepared.workshop
    planner = planner_for(prepared, request)
    end_lost_runs(workshop)
    if prepared.resumed is not None and prepared.resumed.differs:
        listen(_what_differs(prepared, prepared.resumed, request))
    workshop.ledger.start_run(record)
    fault_point("run.entered")
    used = UsedCode(workshop, record.id, pinned=record.code)
    given = _Given(prepared, planner)
    options = lambda: _ray_options(prepared, used, record.id, listen)  # noqa: E731
    runtime = make_runtime(prepared.runtime, options)
    with stopping(record.id, *stopped_in(workshop, record.id)) as stop:
        drive = Drive(
            run=record.id,
            planner=planner,
            ports=planner.ports,
            runtime=runtime,
            driver=driver_runtime(),
            where=prepared.runtime,
            listen=_keeping(used, listen),
            stopped=lambda: bool(stop.why),
            audit=prepared.audit,
            read_outputs=given.read,
        )
        try:
            driven = drive.go()
            fault_point("run.resting")
            serving = None if prepared.after is None else prepared.after(driven, planner)
        except KeyboardInterrupt:
            return _cancelled(prepared, record, planner, stop.why or "interrupted")
        except RaypipeError as error:
            _stop(workshop, record, planner, RunStatus.FAILED, error)
            raise
        except BaseException:
            _stop(workshop, record, planner, RunStatus.FAILED, None)
            raise
        finally:
            let_go(workshop, record.id)
            runtime.close()
        outcome = replace(_end(prepared, record, driven, planner), serving=serving)
    if outcome.status != RunStatus.SUCCEEDED:
        return outcome
    return replace(outcome, outputs=given.shown, values=given.values)


def _what_differs(prepared: Prepared, resumed: "Resumed", request: RunRequest) -> CodeDiffers:
    from raypipe.app.resume import what_differs

    planned: tuple[Planned, ...] = ()
    known: dict[str, str | None] = {}
    if resumed.uses == "now":
        ledger = prepared.workshop.ledger
        planned = planner_for(prepared, request).plan()
        known |= {row.step: row.key for row in ledger.executions(resumed.run.id)}
        known |= {state.name: state.key for state in ledger.run_steps(resumed.run.id)}
    return what_differs(resumed, prepared.graph, planned, known)


def _keeping(used: UsedCode, listen: Listener) -> Listener:
    """Return a listener that keeps the project's code before the first step is executed.

    A project with too much in it is run all the same, where no worker has to be given its code.
    """
    tried = False

    def keep(event: Event) -> None:
        nonlocal tried
        if isinstance(event, StepStarted) and not tried:
            tried = True
            try:
                used.keep()
            except UsageError as error:
                listen(Warned(step="", text=f"the code of this run is not kept: {error}"))
        listen(event)

    return keep


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


def _record(prepared: Prepared) -> RunRecord:
    now = time.time()
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
    resumed = prepared.resumed
    return RunRecord(
        id=f"{stamp}-{os.urandom(3).hex()}",
        project=prepared.workshop.project,
        pipeline=prepared.graph.pipeline,
        status=RunStatus.RUNNING,
        created=now,
        actor=prepared.workshop.actor,
        parameters={
            "target": prepared.target,
            "parameters": prepared.parameters,
            "command": prepared.command,
        },
        settings=prepared.settings,
        commits=prepared.commits,
        given=prepared.given,
        code=resumed.run.code if resumed is not None and resumed.uses == "kept" else "",
        where={
            "runtime": prepared.runtime,
            "address": prepared.address,
            "shared": prepared.shared,
        },
        place=prepared.place,
        resumes="" if resumed is None else resumed.run.id,
    )


def _ray_options(prepared: Prepared, used: UsedCode, run: str, listen: Listener) -> "RayOptions":
    """Say which Ray it is, and how the project's code comes to its workers.

    A Ray of our own finds it here. Those of a job have the job's working directory. Others are
    given a snapshot.
    """
    from raypipe.runtime.on_ray import RayOptions

    workshop = prepared.workshop
    options = RayOptions(
        home=workshop.paths.home,
        address=prepared.address or job_address(),
        cpus=prepared.cpus,
        shared=prepared.shared,
        log=workshop.paths.runs / run / "ray.log",
        waits=lambda step, what: listen(StepWaits(step=step, what=what)),
    )
    if options.address is None:
        return options
    if copy := job_folder(workshop.root):
        return replace(options, root=workshop.root.relative_to(copy))
    return replace(options, root=Path(), snapshot=used.folder)


def _stop(
    workshop: Workshop,
    run: RunRecord,
    planner: Planner,
    status: RunStatus,
    error: RaypipeError | None,
) -> None:
    workshop.ledger.save_steps(run.id, _states(planner))
    _come_to_rest(workshop, run, status, None if error is None else error_json(error))


def _come_to_rest(workshop: Workshop, run: RunRecord, status: RunStatus, error: Json) -> RunStatus:
    """Record the end of a run, and in the same act whom that is to be told."""

    def enter() -> RunStatus:
        rested = workshop.ledger.end_run(run.id, status, error)
        if rested == status:
            workshop.ledger.ask_for(notices.of_run(run, status, error))
        return rested

    return workshop.ledger.together(enter)


def _cancelled(prepared: Prepared, run: RunRecord, planner: Planner, why: str) -> Outcome:
    error = interrupted(why)
    ledger = prepared.workshop.ledger

    def enter() -> None:
        ledger.cancel_run(run.id, error_json(error))
        ledger.ask_for(notices.of_run(run, RunStatus.CANCELLED, error_json(error)))

    ledger.together(enter)
    ledger.save_steps(run.id, _states(planner))
    return Outcome(
        run=run.id,
        pipeline=prepared.graph.pipeline,
        status=RunStatus.CANCELLED,
        steps=_states(planner),
        error=error,
    )


def _states(planner: Planner) -> tuple[StepState, ...]:
    """Return what became of the steps that were decided; lookups are no steps."""
    decided = planner.planned.values()
    return tuple(item.state for item in decided if item.node.kind != "lookup")


def _end(prepared: Prepared, run: RunRecord, driven: Driven, planner: Planner) -> Outcome:
    steps = tuple(item.state for item in driven.planned)
    error = _as_raypipe_error(driven.error)
    workshop = prepared.workshop
    workshop.save_code()
    workshop.ledger.save_steps(run.id, steps)
    fault_point("steps.saved")
    told = error and error_json(error, driven.failed)
    if _come_to_rest(workshop, run, driven.status, told) == RunStatus.CANCELLED:
        return _cancelled(prepared, run, planner, why_cancelled(workshop, run.id) or "")
    fault_point("run.ended")
    end_lost_runs(workshop)
    return Outcome(
        run=run.id,
        pipeline=prepared.graph.pipeline,
        status=driven.status,
        steps=steps,
        reviews=driven.reviews,
        error=error,
        failed=driven.failed,
    )


def _as_raypipe_error(error: Exception | None) -> RaypipeError | None:
    if error is None or isinstance(error, RaypipeError):
        return error
    return RaypipeError(f"{type(error).__name__}: {error}")


class _Given:
    """What a run gives, as values and as people are shown them, once it was read."""

    def __init__(self, prepared: Prepared, planner: Planner) -> None:
        self._prepared = prepared
        self._planner = planner
        self.values: dict[str, Any] = {}
        self.shown: dict[str, Json] = {}

    def read(self) -> None:
        """Read all that the run gives; StoreError if something of it is gone or torn."""
        workshop = self._prepared.workshop
        for name, ref in self._prepared.graph.outputs.items():
            digest, manifest = self._planner.known.output(ref)
            value = workshop.codec.decode(manifest, workshop.artifacts)
            self.values[name] = value
            self.shown[name] = value if _is_json(value) else _where(value, digest, workshop)


def _is_json(value: Any) -> bool:
    match value:
        case None | bool() | int() | str():
            return True
        case float():
            return value == value and abs(value) != float("inf")
        case list():
            return all(map(_is_json, value))
        case dict():
            return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
        case _:
            return False


def _where(value: Any, digest: str, workshop: Workshop) -> Json:
    path = value if isinstance(value, Path) else workshop.artifacts.where(digest)
    return {"type": type(value).__name__, "digest": digest, "path": str(path)}
