"""Run a target."""

import os
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raypipe.app import mirror, notices, outbox
from raypipe.app.alive import end_lost_runs, under_way
from raypipe.app.assemble import Workshop
from raypipe.app.cancel import interrupted, let_go, stopped_in, why_cancelled
from raypipe.app.code import UsedCode
from raypipe.app.job import job_address, job_folder
from raypipe.app.journal import Journal, journal_file
from raypipe.app.outcome import Outcome, error_json
from raypipe.app.prepare import Prepared, planner_for, prepare
from raypipe.app.request import RunRequest
from raypipe.app.runtimes import driver_runtime, make_runtime
from raypipe.engine.drive import Drive, Driven, Listener
from raypipe.engine.events import CodeDiffers, Event, StepStarted, StepWaits, Warned
from raypipe.engine.plan import Planned, Planner
from raypipe.engine.records import Json, RunRecord, RunStatus, StepState
from raypipe.errors import RaypipeError, StoreError, UsageError
from raypipe.fault_points import fault_point
from raypipe.runtime.stop import stopping
from raypipe.values.version import ModelVersion

if TYPE_CHECKING:
    from raypipe.app.resume import Resumed
    from raypipe.runtime.on_ray import RayOptions


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


def kept(prepared: Prepared) -> dict[str, Any] | None:
    """Return what a graph gives where all of it is kept, without a run; None where it is not."""
    planner = planner_for(prepared, RunRequest())
    if any(item.action != "hit" for item in planner.plan()):
        return None
    given = _Given(prepared, planner)
    try:
        given.read()
    except StoreError:  # something of it is gone or torn: a run makes it anew
        return None
    return given.values


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
            listen=_keeping(used, listen) if prepared.of_project else listen,
            stopped=lambda: bool(stop.why),
            audit=prepared.audit,
            read_outputs=given.read,
        )
        try:
            driven = drive.go()
            fault_point("run.resting")
            for text in prepared.warn(planner):
                listen(Warned(step="", text=text))
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
    if options.address is None or not prepared.of_project:
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
            workshop.ledger.ask_for(
                (*notices.of_run(run, status, error), *mirror.of_run(run, status))
            )
        return rested

    return workshop.ledger.together(enter)


def _cancelled(prepared: Prepared, run: RunRecord, planner: Planner, why: str) -> Outcome:
    error = interrupted(why)
    ledger = prepared.workshop.ledger

    def enter() -> None:
        ledger.cancel_run(run.id, error_json(error))
        told = notices.of_run(run, RunStatus.CANCELLED, error_json(error))
        ledger.ask_for((*told, *mirror.of_run(run, RunStatus.CANCELLED)))

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
        pages=_pages(prepared, planner),
        reviews=driven.reviews,
        error=error,
        failed=driven.failed,
    )


def _pages(prepared: Prepared, planner: Planner) -> dict[str, str]:
    """Return where the pages lie that there are by now."""
    workshop = prepared.workshop
    manifests = {name: planner.known.manifests.get(name) for name in prepared.pages}
    return {
        name: str(workshop.codec.decode(manifest, workshop.artifacts))
        for name, manifest in manifests.items()
        if manifest is not None
    }


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
    named = {"model": value.model, "version": value.version} if type(value) is ModelVersion else {}
    return {"type": type(value).__name__, **named, "digest": digest, "path": str(path)}
