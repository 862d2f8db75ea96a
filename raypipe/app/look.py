"""A home opened by commands that have no target: reviews, models, runs, data."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from raypipe.app.assemble import Workshop, open_workshop
from raypipe.app.home import find_home
from raypipe.errors import NotFound
from raypipe.store.projects import project_root

if TYPE_CHECKING:
    from raypipe.config.store import StoreConfig


def look(home: Path | None) -> Workshop:
    """Open a home to read; nothing is made.

    A home that is not there yet is an empty one, and one that was named and is not there NotFound.
    """
    return workshop_of(home, write=False)


def workshop_of(
    home: Path | None,
    *,
    write: bool = True,
    by: str | None = None,
    near: Path | None = None,
    store: "StoreConfig | None" = None,
) -> Workshop:
    """Open a home from the working folder, or from the project of the file `near`.

    `store` is what the settings in that file say of the home, and of lakeFS.
    """
    root = project_root(near or Path.cwd() / "here")
    found = find_home(home, root)
    named = home is not None or "RAYPIPE_HOME" in os.environ
    if named and not write and not found.is_dir():
        raise NotFound(
            f"there is no home {str(found)!r}",
            hint="look for a slip in --home or RAYPIPE_HOME; `raypipe run` makes a new one",
        )
    return open_workshop(root, found, write=write, by=by, store=store)
