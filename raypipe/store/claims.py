"""Claims on keys: while one process makes a result, others wait for it, but not for ever.

A claim is a folder named by its key with an entry in it, named by who holds it and by nothing that
there was before. So each act on it is one that the system carries out whole, and that means one
claim: moving the folder into place fails while there is an entry, and removing an entry cannot hit
another's. Of several that take over from a holder who is gone, one gets the claim; a holder who
wakes up late lets go of what is his and no more. No act needs a lock, so that folders which several
machines share will do.
"""

import errno
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Literal

from raypipe.engine.ports import Claim, Claims
from raypipe.fault_points import fault_point
from raypipe.store.faults import disk_faults
from raypipe.store.owners import LAPSE, Beat, Watch, beat_of

SHARED = "shared"
_OWNERS = ".owners"
_ASIDE = ".aside"
_TAKEN = {errno.ENOTEMPTY, errno.EEXIST}
_serial = count()


@dataclass(frozen=True)
class FileClaim:
    """A claim that is held; it lapses when its process is gone, or does not move for long."""

    entry: Path
    beat: Beat

    def release(self) -> None:
        """Let others have the key; where another took it over, that claim stays."""
        with suppress(OSError):  # a full or lost disk: it lapses with this process
            self.entry.unlink(missing_ok=True)
            fault_point("claim.emptied")
            self.entry.parent.rmdir()
        self.beat.let_go()


class FileClaims:
    """Claims in a folder, for the processes of one machine or of several that share it.

    They only save work: a result that two processes make is recorded once all the same. `lapse` is
    for how many seconds a holder may not move; the looks of one object at a holder count together.
    """

    def __init__(
        self, folder: Path, lapse: float = LAPSE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder = folder
        self._aside = folder / _ASIDE
        self._lapse = lapse
        self._watch = Watch(folder / _OWNERS, lapse, clock)

    def claim(self, key: str, *, firm: bool = False) -> Claim | None:
        """Return a claim on a key; None while another process, or this one, holds it.

        A holder who has not moved for long loses it, but for a `firm` one: that is the holder's for
        as long as his process is there.
        """
        place = self._folder / key
        with disk_faults(f"{str(place)!r} cannot be claimed"):
            if not self._is_free(place, firm=firm):
                return None
            with self._holding() as (beat, name):
                if self._put(name, place, firm=firm):
                    return FileClaim(place / name, beat)
                beat.let_go()
        return None

    def share(self, key: str) -> Claim:
        """Return a claim that others may hold too, once nobody has it for himself."""
        place = self._folder / key
        told = disk_faults(f"{str(place)!r} cannot be claimed")
        with told, self._holding() as (beat, name):
            entry = place / f"{name}.{SHARED}"
            while not self._join(entry):
                time.sleep(random.uniform(0.01, 0.05))
            return FileClaim(entry, beat)

    def is_held(self, key: str) -> bool:
        """Say whether a process holds a claim, moving or not; nothing is made."""
        return self.standing(key) != "free"

    def standing(self, key: str) -> Literal["free", "held", "still", "lapsed"]:
        """Say how a claim stands; nothing is made.

        `still`: at a glance its holder seems not to move. `lapsed`: this object has seen for long
        that he does not.
        """
        names = [entry.partition(".")[0] for entry in _entries(self._folder / key)]
        found = {name: self._watch.standing(name) for name in names}
        there = [name for name, standing in found.items() if standing != "gone"]
        if not there:
            return "free"
        if all(found[name] == "lapsed" for name in there):
            return "lapsed"
        return "still" if all(map(self._watch.seems_still, there)) else "held"

    def sweep(self) -> None:
        """Remove what processes left behind that are gone."""
        with suppress(OSError):
            if self._watch.sweep():
                for place in _places(self._folder):
                    if self._is_free(place, firm=True):
                        with suppress(OSError):  # another put an entry there
                            place.rmdir()
                for aside in _places(self._aside):
                    if self._watch.standing(aside.name.partition(".")[0]) == "gone":
                        _remove(aside)

    @contextmanager
    def _holding(self) -> Iterator[tuple[Beat, str]]:
        """Have a beat in the body, which stays if all goes well, and a name that is new."""
        beat = beat_of(self._folder / _OWNERS, self._lapse)
        name = beat.hold()
        try:
            yield beat, f"{name}.{next(_serial)}"
        except BaseException:
            beat.let_go()
            raise

    def _is_free(self, place: Path, *, firm: bool) -> bool:
        """Say whether nobody holds a claim, once what lapsed is removed."""
        for entry in _entries(place):
            standing = self._watch.standing(entry.partition(".")[0])
            if standing == "there" or (standing == "lapsed" and firm):
                return False
            (place / entry).unlink(missing_ok=True)
        return True

    def _put(self, name: str, place: Path, *, firm: bool) -> bool:
        """Move a folder with an entry of this name into place, unless another is there."""
        aside = self._aside / name
        aside.mkdir(parents=True)
        (aside / name).touch(mode=0o600)
        fault_point("claim.aside")
        try:
            while True:
                try:
                    aside.rename(place)
                    return True
                except NotADirectoryError:
                    _remove_lock(place)
                except OSError as error:
                    if error.errno not in _TAKEN:
                        raise
                    if not self._is_free(place, firm=firm):
                        return False
        finally:
            _remove(aside)

    def _join(self, entry: Path) -> bool:
        """Put an entry beside those of others; take it back where one has the claim for himself."""
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            with suppress(FileExistsError):
                entry.parent.mkdir()
            entry.touch(mode=0o600)
        except NotADirectoryError:
            _remove_lock(entry.parent)
            return False
        except FileNotFoundError:  # another let go between the two
            return False
        for other in _entries(entry.parent):
            owner = other.partition(".")[0]
            if not other.endswith(SHARED) and self._watch.standing(owner) != "gone":
                entry.unlink(missing_ok=True)
                return False
        return True


def _entries(place: Path) -> list[str]:
    try:
        return os.listdir(place)  # noqa: PTH208
    except (FileNotFoundError, NotADirectoryError):
        return []


def _places(folder: Path) -> list[Path]:
    return [folder / name for name in _entries(folder) if not name.startswith(".")]


def _remove_lock(place: Path) -> None:
    """Remove a file that an earlier raypipe locked, unless a claim took its place meanwhile."""
    with suppress(FileNotFoundError, IsADirectoryError, PermissionError):
        place.unlink()


def _remove(aside: Path) -> None:
    with suppress(OSError):
        (aside / aside.name).unlink(missing_ok=True)
        aside.rmdir()


def _fits(claims: FileClaims) -> Claims:
    return claims
