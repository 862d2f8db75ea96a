"""Which runs are under way: each holds a lock, which the system takes from a process that ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from raypipe.app.assemble import Workshop
from raypipe.app.outcome import error_json
from raypipe.engine.records import RunRecord, RunStatus
from raypipe.errors import Interrupted
from raypipe.runtime.processes import end, marked
from raypipe.store.artifacts import user_of
from raypipe.store.claims import FileClaims
from raypipe.store.uses import Uses


@contextmanager
def under_way(workshop: Workshop, run: str) -> Iterator[None]:
    """Hold the lock of a run in the body, and let it note what it needs."""
    own = FileClaims(workshop.paths.claims).claim(_key(run))
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
    """Say whether a process works on a run; on another machine, it is taken for alive."""
    if run.actor.host != workshop.actor.host:
        return True
    return FileClaims(workshop.paths.claims).is_held(_key(run.id))


def end_lost_runs(workshop: Workshop) -> None:
    """Record as failed what says that it is running, and whose process is gone.

    What its steps started on this machine, and nobody ended, ends.
    """
    for run in workshop.ledger.running():
        if not is_alive(workshop, run):
            workshop.ledger.end_lost(run.id, error_json(_lost()))
            if run.actor.host == workshop.actor.host:
                end(lambda run=run: marked(f"{run.id}:"))  # type: ignore[misc]


def as_it_is(workshop: Workshop, run: RunRecord) -> RunRecord:
    """Return a run as it is: a lost one failed, whether or not that has been recorded yet."""
    if run.status != RunStatus.RUNNING or is_alive(workshop, run):
        return run
    return replace(run, status=RunStatus.FAILED, error=error_json(_lost()))


def _lost() -> Interrupted:
    return Interrupted(
        "its process ended before the run did", hint="run again: what was recorded is kept"
    )


def _key(run: str) -> str:
    return f"run-{run}"
