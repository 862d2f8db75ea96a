"""What a person keeps from being removed: a run, an artifact or a model version."""

from pathlib import Path

from raypipe.app.assemble import Workshop
from raypipe.app.look import look, workshop_of
from raypipe.engine.records import Json
from raypipe.errors import NotFound, UsageError
from raypipe.store.rows import HoldRow
from raypipe.store.uses import Uses

SHORTEST = 6
"""Letters of a digest that may stand for it."""


def add_hold(what: str, *, note: str = "", by: str | None = None, home: Path | None = None) -> Json:
    """Keep a run with all that it made, an artifact with its parts, or a version; once."""
    look(home)  # a home that is not there is not made
    workshop = workshop_of(home, by=by)
    with Uses(workshop.paths.uses).cleaning():  # what is being removed cannot be kept any more
        kind, name = _named(workshop, what)
        return _told(workshop.ledger.add_hold(kind, name, note, workshop.actor))


def list_holds(home: Path | None = None) -> list[Json]:
    """Return what is kept, newest first."""
    return [_told(row) for row in look(home).ledger.holds()]


def remove_hold(what: str, *, home: Path | None = None) -> Json:
    """Let go of what was kept; NotFound if nothing of that name is."""
    look(home)
    ledger = workshop_of(home).ledger
    found = [row for row in ledger.holds() if row.name.startswith(what)] if what else []
    exact = [row for row in found if row.name == what] or found
    if not exact:
        raise NotFound(f"nothing is held as {what!r}", hint="`raypipe hold list` shows what is")
    if len(exact) > 1:
        raise UsageError(f"several things are held as {what!r}…", hint="give more of the name")
    ledger.remove_hold(exact[0].kind, exact[0].name)
    return _told(exact[0])


def _named(workshop: Workshop, what: str) -> tuple[str, str]:
    """Return kind and whole name of what a person means."""
    model, at, version = what.partition("@")
    if at:
        return "version", f"{model}@{workshop.ledger.version(model, version).version}"
    try:
        return "run", workshop.ledger.get_run(what).id
    except NotFound:
        digests = _digests(workshop, what)
    if len(digests) > 1:
        raise UsageError(f"several artifacts begin with {what!r}", hint="give more of the digest")
    if not digests:
        raise NotFound(
            f"there is no run, artifact or version {what!r}",
            hint="name a run's id, a digest, or MODEL@VERSION",
        )
    return "artifact", digests[0]


def _digests(workshop: Workshop, start: str) -> list[str]:
    if len(start) < SHORTEST:
        return []
    return [digest for digest in workshop.artifacts.list() if digest.startswith(start)]


def _told(row: HoldRow) -> Json:
    by = row.actor.name or row.actor.user
    return {"kind": row.kind, "name": row.name, "note": row.note, "by": by, "time": row.time}
