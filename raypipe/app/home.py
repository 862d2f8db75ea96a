"""Where a home is: given, in the environment, above the working folder, or in the project."""

import os
from contextlib import suppress
from pathlib import Path

from raypipe.app.job import in_job
from raypipe.errors import StoreError, UsageError
from raypipe.store.identity import identify
from raypipe.store.paths import HomePaths

NAME = ".raypipe"


def find_home(given: Path | None, root: Path) -> Path:
    """Return the home's folder; it may not exist yet.

    In this order: `given`, RAYPIPE_HOME, the nearest `.raypipe/` at or above the working folder,
    the project root's. Inside a Ray job the working folder is Ray's and goes with the job, so there
    it must be given.
    """
    if given is not None:
        return given.absolute()
    if named := os.environ.get("RAYPIPE_HOME"):
        return Path(named).absolute()
    if in_job():
        raise UsageError(
            "inside a Ray job the home must be given",
            hint="pass --home or set RAYPIPE_HOME to a folder that outlives the job",
        )
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / NAME).is_dir():
            return folder / NAME
    return root / NAME


def check_home(home: Path) -> None:
    """Raise StoreError if a home cannot be made here, or not written to; nothing is made.

    A folder in which somebody keeps other things cannot become one: it would get files among them.
    """
    there = next(folder for folder in (home, *home.parents) if folder.exists())
    if not there.is_dir():
        raise StoreError(
            f"the home {str(home)!r} cannot be made: {str(there)!r} is a file",
            hint="choose another with --home or RAYPIPE_HOME",
        )
    _require_writable(there, home)
    if there == home and home.name != NAME:
        _require_own(home)


def make_home(home: Path) -> None:
    """Make the home's folder, readable by its owner alone; StoreError if that cannot be.

    It gets its identity before all else, by which another process that makes it too knows it.
    """
    check_home(home)
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"the home {str(home)!r} cannot be made: {error.strerror}",
            hint="choose another with --home or RAYPIPE_HOME",
        ) from error
    identify(HomePaths(home))


def is_home(home: Path) -> bool:
    """Say whether a folder is a home: one that is being made is none yet."""
    return any(file.exists() for file in _first(home))


def _first(home: Path) -> tuple[Path, ...]:
    """Return files of which a home has one at least from the start."""
    paths = HomePaths(home)
    return (paths.ledger, paths.bound_ledger, paths.bound_artifacts, paths.identity)


def _require_writable(folder: Path, home: Path) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StoreError(
            f"the home {str(home)!r} cannot be written to",
            hint="choose another with --home or RAYPIPE_HOME, or mend its permissions",
        )


def _require_own(home: Path) -> None:
    with suppress(OSError):
        there = {entry.name for entry in home.iterdir() if not entry.name.startswith(".")}
        others = sorted(there - {"lost+found"})
        if others and there.isdisjoint(file.name for file in _first(home)):
            raise StoreError(
                f"{str(home)!r} is no home, and is not empty: {others[0]!r} is in it",
                hint=f"give a folder that is raypipe's alone: --home {str(home / NAME)!r}",
            )
