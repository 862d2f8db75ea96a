"""Plan a target, run it, and say why a step would run."""

import os
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from raypipe.app.alive import end_lost_runs, under_way
from raypipe.app.assemble import Workshop, driver_runtime, make_runtime, open_workshop
from raypipe.app.home import find_home
from raypipe.app.job import as_submitted, job_address, job_folder
from raypipe.app.outcome import Outcome, error_json
from raypipe.app.request import RunRequest
from raypipe.app.targets import Target, import_pipeline, parse_target, read_parameters
from raypipe.engine.drive import Drive, Driven, Listener
from raypipe.engine.graph import Graph
from raypipe.engine.plan import Choices, Planner
from raypipe.engine.records import Json, RunRecord, RunStatus, StepState
from raypipe.engine.step import module_of
from raypipe.errors import Interrupted, NotFound, RaypipeError, UsageError
from raypipe.fault_points import fault_point

if TYPE_CHECKING:
    from raypipe.runtime.on_ray import RayOptions

AfterRun = Callable[[Driven, Planner], Json]


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A graph, with the world that it is planned and run in."""

    graph: Graph
    workshop: Workshop
    lookups: Callable[[Callable[[], Planner]], Mapping[str, Any]] = lambda planner: {}
    """Facts of the ledger; given a way to the planner, for facts about the run itself."""
    parameters: Json = None
    settings: Json = None
    commits: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    command: str = ""
    """What a person types to run it again."""
    imported: tuple[str, ...] = ()
    """Modules that were imported to make the graph."""
    runtime: Literal["inline", "ray"] = "inline"
    address: str | None = None
    shared: bool = False
    cpus: int | None = None
    after: AfterRun | None = None
    """What is done with the outputs of a run that came to rest.

    A schema written, a version entered. Returns whether that version is served, None without one.
    """


def prepare(request: RunRequest, *, write: bool) -> Prepared:
    """Read the target and build its graph; nothing is run."""
    target = _target_of(request)
    home = find_home(request.home, target.root)
    if target.is_script:
        prepared = _prepare_script(request, target, home, write)
    else:
        from raypipe.app.cycle_setup import prepare_cycle

        prepared = prepare_cycle(request, target, home, write)
    named = replace(target, path=as_submitted(target.path))
    return replace(prepared, target=str(named), command=_command(request, target))


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


def _prepare_script(request: RunRequest, target: Target, home: Path, write: bool) -> Prepared:
    made = import_pipeline(target)
    parameters = read_parameters(made, request.sets)
    graph = made.build(parameters)
    workshop = open_workshop(target.root, home, write=write, by=request.by)
    return Prepared(
        graph=graph,
        workshop=workshop,
        parameters={name: repr(value) for name, value in parameters.items()},
        target=str(target),
        imported=(module_of(made.function),),
        runtime=request.runtime or ("ray" if request.address else "inline"),
        address=request.address,
        shared=request.shared,
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
    planner = _planner(prepared, request)
    planned = planner.plan()
    prepared.workshop.sources.save()
    return Outcome(
        pipeline=prepared.graph.pipeline,
        steps=tuple(item.state for item in planned),
        reviews=tuple(p.review for p in planned if p.action == "wait" and p.review is not None),
    )


def run(request: RunRequest, listen: Listener = lambda event: None) -> Outcome:
    """Run a target: what is kept is reused, the rest is executed and kept."""
    return run_prepared(prepare(request, write=True), request, listen)


def run_prepared(
    prepared: Prepared, request: RunRequest, listen: Listener = lambda event: None
) -> Outcome:
    """Run a graph, keep what became of it in the ledger, and return it."""
    record = _record(prepared)
    with under_way(prepared.workshop, record.id):
        return _run(prepared, record, request, listen)


def _run(prepared: Prepared, record: RunRecord, request: RunRequest, listen: Listener) -> Outcome:
    workshop = prepared.workshop
    planner = _planner(prepared, request)
    end_lost_runs(workshop)
    workshop.ledger.start_run(record)
    fault_point("run.entered")
    runtime = make_runtime(prepared.runtime, lambda: _ray_options(prepared))
    driver = driver_runtime()
    drive = Drive(
        run=record.id,
        planner=planner,
        ports=planner.ports,
        runtime=runtime,
        driver=driver,
        where=prepared.runtime,
        listen=listen,
    )
    try:
        driven = drive.go()
        fault_point("run.resting")
        serving = None if prepared.after is None else prepared.after(driven, planner)
    except KeyboardInterrupt:
        error = Interrupted("interrupted", hint="run again: what was recorded is kept")
        return _cancelled(prepared, record.id, planner, error)
    except RaypipeError as error:
        _stop(workshop, record.id, planner, RunStatus.FAILED, error)
        raise
    except BaseException:
        _stop(workshop, record.id, planner, RunStatus.FAILED, None)
        raise
    finally:
        runtime.close()
    return replace(_end(prepared, record.id, driven, planner), serving=serving)


def _planner(prepared: Prepared, request: RunRequest) -> Planner:
    force = frozenset(request.force)
    known = {name for node in prepared.graph.nodes.values() for name in (node.name, node.group)}
    if unknown := sorted(force - known):
        raise _no_step(unknown[0], prepared.graph)
    made: list[Planner] = []
    lookups = prepared.lookups(lambda: made[0])
    made.append(
        Planner(
            graph=prepared.graph,
            ports=prepared.workshop.ports(lookups, prepared.imported),
            choices=Choices(force=force),
        )
    )
    made[0].check_code()
    return made[0]


def _no_step(name: str, graph: Graph) -> NotFound:
    from difflib import get_close_matches

    close = get_close_matches(name, graph.nodes, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(list(graph.nodes)[:12])}"
    return NotFound(f"pipeline {graph.pipeline!r} has no step {name!r}", hint=hint)


def _record(prepared: Prepared) -> RunRecord:
    now = time.time()
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
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
    )


def _ray_options(prepared: Prepared) -> "RayOptions":
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
    )
    if options.address is None:
        return options
    if copy := job_folder(workshop.root):
        return replace(options, root=workshop.root.relative_to(copy))
    return replace(options, root=Path(), snapshot=_snapshot(workshop))


def _snapshot(workshop: Workshop) -> Callable[[], Path]:
    """Return what makes the copy of the code that workers of a cluster are given."""

    def make() -> Path:
        from raypipe.store.snapshot import snapshot_project

        return workshop.artifacts.path(snapshot_project(workshop.root, workshop.artifacts))

    return make


def _stop(
    workshop: Workshop, run: str, planner: Planner, status: RunStatus, error: RaypipeError | None
) -> None:
    workshop.ledger.save_steps(run, _states(planner))
    workshop.ledger.end_run(run, status, None if error is None else error_json(error))


def _cancelled(prepared: Prepared, run: str, planner: Planner, error: Interrupted) -> Outcome:
    _stop(prepared.workshop, run, planner, RunStatus.CANCELLED, error)
    return Outcome(
        run=run,
        pipeline=prepared.graph.pipeline,
        status=RunStatus.CANCELLED,
        steps=_states(planner),
        error=error,
    )


def _states(planner: Planner) -> tuple[StepState, ...]:
    """Return what became of the steps that were decided; lookups are no steps."""
    decided = planner.planned.values()
    return tuple(item.state for item in decided if item.node.kind != "lookup")


def _end(prepared: Prepared, run: str, driven: Driven, planner: Planner) -> Outcome:
    steps = tuple(item.state for item in driven.planned)
    error = _as_raypipe_error(driven.error)
    workshop = prepared.workshop
    workshop.sources.save()
    workshop.ledger.save_steps(run, steps)
    fault_point("steps.saved")
    workshop.ledger.end_run(run, driven.status, error and error_json(error, driven.failed))
    fault_point("run.ended")
    outputs, values = _outputs(prepared, planner) if driven.status == "succeeded" else ({}, {})
    return Outcome(
        run=run,
        pipeline=prepared.graph.pipeline,
        status=driven.status,
        steps=steps,
        outputs=outputs,
        values=values,
        reviews=driven.reviews,
        error=error,
        failed=driven.failed,
    )


def _as_raypipe_error(error: Exception | None) -> RaypipeError | None:
    if error is None or isinstance(error, RaypipeError):
        return error
    return RaypipeError(f"{type(error).__name__}: {error}")


def _outputs(prepared: Prepared, planner: Planner) -> tuple[dict[str, Json], dict[str, Any]]:
    workshop = prepared.workshop
    shown: dict[str, Json] = {}
    values: dict[str, Any] = {}
    for name, ref in prepared.graph.outputs.items():
        digest, manifest = planner.output(ref)
        values[name] = value = workshop.codec.decode(manifest, workshop.artifacts)
        shown[name] = value if _is_json(value) else _where(value, digest, workshop)
    return shown, values


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


@dataclass(frozen=True, kw_only=True)
class Why:
    """Why a step would run, and the lines of code that differ."""

    state: StepState
    lines: tuple[str, ...] = ()
    """A unified diff of the sources that differ, symbol by symbol."""
    widened: tuple[str, ...] = ()
    """What could not be told from the code, so that more of it counts."""

    def to_json(self) -> Json:
        """The step's state, the lines, and what was widened."""
        return {
            "event": "why",
            **self.state.to_json(),
            "lines": list(self.lines),
            "widened": list(self.widened),
        }


def why(request: RunRequest, step: str) -> Why:
    """Say why a step is what it is in the plan, with the source lines that differ."""
    prepared = prepare(request, write=False)
    planner = _planner(prepared, request)
    planned = {item.node.name: item for item in planner.plan()}
    if step not in planned:
        raise _no_step(step, prepared.graph)
    item = planned[step]
    lines: tuple[str, ...] = ()
    if item.reason.kind == "code" and item.fingerprint is not None:
        lines = _code_lines(prepared, item.node.name, item.fingerprint)
    widened = () if item.fingerprint is None else item.fingerprint.widened
    return Why(state=item.state, lines=lines, widened=widened)


def _code_lines(prepared: Prepared, step: str, now: Any) -> tuple[str, ...]:
    from difflib import unified_diff

    ledger = prepared.workshop.ledger
    before = ledger.latest_result(prepared.workshop.project, prepared.graph.pipeline, step)
    known = before and ledger.fingerprint(before.explanation.fingerprint)
    if not known:
        return ()
    lines: list[str] = []
    for name in sorted({*known.symbols, *now.symbols}):
        old, new = known.symbols.get(name), now.symbols.get(name)
        if old == new:
            continue
        old_text = (ledger.symbol_source(old) or "") if old else ""
        new_text = now.sources.get(new, "") if new else ""
        lines += unified_diff(
            old_text.splitlines(),
            new_text.splitlines(),
            f"{name} (kept)",
            f"{name} (now)",
            "",
            "",
            2,
            "",
        )
    return tuple(lines)
