"""Imports under way: each notes its branch, so that the branch of one that was killed goes.

A branch is claimed, then noted, then made; at the end the note goes before the claim. So a note
whose branch nobody claims is of an import that was killed. One that was rejected has no note any
more, and its branch stays with its report.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from raypipe.app.assemble import Workshop
from raypipe.engine.ports import Claim
from raypipe.errors import Interrupted, NotFound, RaypipeError, UsageError
from raypipe.fault_points import fault_point
from raypipe.store.faults import disk_faults
from raypipe.store.versions import VersionStore
from raypipe.values.uri import DatasetUri, parse_uri


@dataclass(frozen=True, kw_only=True)
class Left:
    """What an import that was killed left behind."""

    branch: str
    uri: DatasetUri | None
    """Into what; None: it was killed as it wrote that down, and so before it made a branch."""
    note: Path


@contextmanager
def under_way(workshop: Workshop, uri: DatasetUri) -> Iterator[Callable[[str], None]]:
    """Give what is told the name of an import's branch before that is made.

    The branch of an import that ends in the body is its own affair, but for an interrupted one.
    """
    claims: list[tuple[Claim | None, Path]] = []

    def begin(branch: str) -> None:
        note = workshop.paths.imports / branch
        claims.append((workshop.claims.claim(branch), note))
        with disk_faults(f"{str(note)!r} cannot be written"):
            note.parent.mkdir(exist_ok=True)
            note.write_text(str(uri))
        fault_point("import.noted")

    ended = False
    try:
        yield begin
        ended = True
    except RaypipeError as error:
        ended = not isinstance(error, Interrupted)
        raise
    finally:
        for claim, note in claims:
            if ended:
                note.unlink(missing_ok=True)
            if claim is not None:
                claim.release()


def left_behind(workshop: Workshop) -> list[Left]:
    """Return what imports left that were killed or interrupted; nothing is made."""
    folder = workshop.paths.imports
    notes = sorted(folder.iterdir()) if folder.is_dir() else []
    return [left for note in notes if (left := _left(workshop, note)) is not None]


def _left(workshop: Workshop, note: Path) -> Left | None:
    if workshop.claims.is_held(note.name):
        return None
    try:
        text = note.read_text()  # read after the claim: an import that just ended has none
    except FileNotFoundError:
        return None
    uri = None
    with suppress(UsageError):  # it was not written out
        uri = parse_uri(text)
    return Left(branch=note.name, uri=uri, note=note)


def remove(workshop: Workshop, left: Left, versions: VersionStore | None = None) -> None:
    """Remove what an import left behind; it may be gone already."""
    with suppress(NotFound):
        if left.uri is not None:
            (versions or workshop.versions(left.uri)).delete_branch(left.branch)
    left.note.unlink(missing_ok=True)


def remove_left(workshop: Workshop, uri: DatasetUri, versions: VersionStore) -> None:
    """Remove what imports into the same repository left behind."""
    for left in left_behind(workshop):
        if left.uri is None or left.uri.repository_name == uri.repository_name:
            remove(workshop, left, versions)
