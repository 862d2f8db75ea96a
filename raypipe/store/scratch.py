"""Scratch folders of steps, one a key: kept through crashes, dropped with the recorded result."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from raypipe.engine.digest import digest_bytes
from raypipe.engine.ports import Scratch
from raypipe.engine.records import Json
from raypipe.errors import StoreError
from raypipe.store.faults import disk_faults, hint_of

EVENTS = "events.jsonl"


class FolderScratch:
    """Scratch folders in one folder, named by keys."""

    def __init__(self, folder: Path, note: Callable[[str], None] = lambda name: None) -> None:
        """`note` is told of a folder before it is made, so that nobody removes it."""
        self._folder = folder
        self._note = note

    def make(self, keys: tuple[str, ...]) -> Path:
        """Make the folder of a key, or of those of a batch; what is in it already stays."""
        name = keys[0] if len(keys) == 1 else digest_bytes(" ".join(keys).encode())
        folder = self._folder / name[:32]
        self._note(noted(folder.name))
        with disk_faults(f"the scratch folder {str(folder)!r} cannot be made"):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def events(self, folder: Path, since: int) -> tuple[list[Json], int]:
        """Return the events appended after an offset; a torn last line is left for later.

        A line that stays torn, since its writer died, is passed over.
        """
        try:
            with (folder / EVENTS).open("rb") as file:
                file.seek(since)
                text = file.read()
        except FileNotFoundError:
            return [], since
        except OSError as error:
            raise StoreError(
                f"{str(folder / EVENTS)!r} cannot be read: {error.strerror}", hint=hint_of(error)
            ) from error
        whole = text.rfind(b"\n") + 1
        return list(_parse(text[:whole])), since + whole

    def drop(self, folder: Path) -> None:
        """Remove a folder and what is in it."""
        shutil.rmtree(folder, ignore_errors=True)


def noted(name: str) -> str:
    """Return what is noted of a folder that is in use."""
    return f"scratch {name}"


def _parse(text: bytes) -> Iterator[Json]:
    for line in text.splitlines():
        with suppress(ValueError):
            yield json.loads(line)


def _fits(scratch: FolderScratch) -> Scratch:
    return scratch
