"""Which runs are under way: each holds a claim, which lapses when its process is gone or stands."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from raypipe.app import mirror, notices
from raypipe.app.assemble import Workshop
from raypipe.app.outcome import error_json
from raypipe.engine.records import RunRecord, RunStatus
from raypipe.errors import Interrupted
from raypipe.runtime.processes import end, marked
from raypipe.store.artifacts import user_of
from raypipe.store.uses import Uses


@contextmanager
def under_way(workshop: Workshop, run: str) -> Iterator[None]:
    """Hold the claim of a run in the body, and let it note what it needs."""
    own = workshop.claims.claim(_key(run))
    user = Uses(workshop.paths.uses).begin(user_of(run))
    user.note(f"run {run}")
    workshop.noting.user = user
    try:
        yield
    finally:
        workshop.noting.user = None
        user.end()
        if own is not None:
            own.release()


def is_alive(workshop: Workshop, run: RunRecord) -> bool:
    """Say whether there is a process that works on a run, moving or not."""
    return workshop.claims.is_held(_key(run.id))


def end_lost_runs(workshop: Workshop) -> None:
    """Record as failed what says that it is running, and whose process is gone or stands still.

    What the steps of one that is gone started on this machine, and nobody ended, ends. That one
    stands still is known to who waited for it. Should it go on after all, and come to its end, then
    that end is recorded.
    """
    for run in workshop.ledger.running():
        match workshop.claims.standing(_key(run.id)):
            case "free":
                _end(workshop, run, _lost())
                if run.actor.host == workshop.actor.host:
                    end(lambda run=run: marked(f"{run.id}:"))  # type: ignore[misc]
            case "lapsed":
                _end(workshop, run, _stopped())
    workshop.claims.sweep()


def _end(workshop: Workshop, run: RunRecord, why: Interrupted) -> None:
    error = error_json(why)

    def enter() -> None:
        if workshop.ledger.end_lost(run.id, error):
            told = notices.of_run(run, RunStatus.FAILED, error)
            workshop.ledger.ask_for((*told, *mirror.of_run(run, RunStatus.FAILED)))

    workshop.ledger.together(enter)


def as_it_is(workshop: Workshop, run: RunRecord) -> RunRecord:
    """Return a run as it is, whether or not that has been recorded yet.

    One whose process is gone has failed; one whose process stands still may be lost.
    """
    if run.status != RunStatus.RUNNING:
        return run
    standing = workshop.claims.standing(_key(run.id))
    if standing == "held":
        return run
    now = workshop.ledger.get_run(run.id)
    if now.status != RunStatus.RUNNING:  # it came to rest, and let its claim go, since it was read
        return now
    if standing == "free":
        return replace(run, status=RunStatus.FAILED, error=error_json(_lost()))
    return replace(run, status=RunStatus.LOST, error=error_json(_stopped()))


def _lost() -> Interrupted:
    return Interrupted(
        "its process ended before the run did", hint="run again: what was recorded is kept"
    )


def _stopped() -> Interrupted:
    return Interrupted(
        "its process does not move: it was stopped, or its machine cannot be seen",
        hint="let it go on, or run again: another run does not wait for it for long",
    )


def _key(run: str) -> str:
    return f"run-{run}"
