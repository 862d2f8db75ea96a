"""Cancelling a run: final at once, whoever asks and wherever its driver is."""

import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from raypipe.app.alive import is_alive
from raypipe.app.assemble import Workshop
from raypipe.app.look import look, workshop_of
from raypipe.app.outcome import error_json
from raypipe.engine.records import Actor, Json, RunRecord, RunStatus
from raypipe.errors import Interrupted, RaypipeError, UsageError
from raypipe.runtime.processes import end, marked, start_time
from raypipe.store.faults import disk_faults

PATIENCE, CLOSING = 1.8, 15.0
"""Seconds that a driver on this machine has to heed it (it looks every 0.3 s), and then to close
what it has open, such as a Ray of its own.
"""


def cancel(name: str, home: Path | None, *, by: str | None = None, note: str = "") -> Json:
    """Cancel a run that is under way or waits; what it has recorded is kept.

    A driver on this machine that does not heed it is ended, with all that it started. Cancelling
    twice changes nothing; UsageError if the run had come to rest before.
    """
    look(home).ledger.get_run(name)
    workshop = workshop_of(home, by=by)
    run = workshop.ledger.get_run(name)
    said = f"cancelled by {_named(workshop.actor)}" + (f": {note}" if note else "")
    if not workshop.ledger.cancel_run(run.id, error_json(interrupted(said))):
        status, _ = workshop.ledger.standing(run.id)
        raise UsageError(f"run {run.id} has come to rest: {status}", hint="there is nothing to do")
    ended = _see_it_end(workshop, run)
    _, error = workshop.ledger.standing(run.id)
    already = run.status == RunStatus.CANCELLED
    return {"run": run.id, "why": error["message"], "already": already, "ended": ended}


def interrupted(why: str) -> Interrupted:
    """Return what a run ends with that was stopped."""
    return Interrupted(why or "interrupted", hint="run again: what was recorded is kept")


def why_cancelled(workshop: Workshop, run: str) -> str | None:
    """Say why a run is cancelled; None if it is not, or the ledger cannot be asked now."""
    with suppress(RaypipeError):
        status, error = workshop.ledger.standing(run)
        if status == RunStatus.CANCELLED:
            return str((error or {}).get("message") or "cancelled")
    return None


def stopped_in(
    workshop: Workshop, run: str
) -> tuple[Callable[[str], None], Callable[[], str | None]]:
    """Return what enters that this process stopped a run, and what tells that another one did.

    Beside the run lies which process works on it, for who cancels it.
    """
    file = _driver_file(workshop, run)
    mine = {"host": workshop.actor.host, "pid": os.getpid(), "started": start_time(os.getpid())}
    with disk_faults(f"{str(file)!r} cannot be written"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(mine))
    return (
        lambda why: _record(workshop, run, why),
        lambda: why_cancelled(workshop, run),
    )


def let_go(workshop: Workshop, run: str) -> None:
    """Tell who cancels a run that its driver has come to its end, and only closes."""
    _driver_file(workshop, run).unlink(missing_ok=True)


def _record(workshop: Workshop, run: str, why: str) -> None:
    workshop.ledger.cancel_run(run, error_json(interrupted(why)))


def _driver_file(workshop: Workshop, run: str) -> Path:
    return workshop.paths.runs / run / "driver.json"


def _see_it_end(workshop: Workshop, run: RunRecord) -> bool:
    """Wait for the driver of a run; on this machine one that does not listen is killed."""
    if run.actor.host != workshop.actor.host:
        return False
    begun = time.monotonic()
    while is_alive(workshop, run) and time.monotonic() - begun < CLOSING:
        if time.monotonic() - begun > PATIENCE and _kill_driver(workshop, run.id):
            break
        time.sleep(0.05)
    end(lambda: marked(f"{run.id}:"), patience=0)
    return True


def _kill_driver(workshop: Workshop, run: str) -> bool:
    """Kill a driver that has not come to its end; say whether there was one."""
    try:
        told = json.loads(_driver_file(workshop, run).read_text())
    except (OSError, ValueError):
        return False
    if start_time(told["pid"]) != told["started"] or told["host"] != workshop.actor.host:
        return False
    with suppress(ProcessLookupError):
        os.kill(told["pid"], signal.SIGKILL)
    return True


def _named(actor: Actor) -> str:
    return f"{actor.name or actor.user} on {actor.host}"
