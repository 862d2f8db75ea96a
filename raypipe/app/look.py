"""A home opened by commands that have no target: reviews, models, runs, data."""

from pathlib import Path

from raypipe.app.assemble import Workshop, open_workshop
from raypipe.app.home import find_home
from raypipe.store.sources import project_root


def look(home: Path | None) -> Workshop:
    """Open a home to read; nothing is made, a home that is not there yet is an empty one."""
    return workshop_of(home, write=False)


def workshop_of(
    home: Path | None, *, write: bool = True, by: str | None = None, near: Path | None = None
) -> Workshop:
    """Open a home from the working folder, or from the project of the file `near`."""
    root = project_root(near or Path.cwd() / "here")
    return open_workshop(root, find_home(home, root), write=write, by=by)
