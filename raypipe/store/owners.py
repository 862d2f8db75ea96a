"""Who holds claims: each such process has a file that tells of it, and in it a beat that moves."""

import atexit
import json
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Literal

LAPSE = 30.0
"""Seconds without a beat after which a process that holds claims is taken for stopped."""
BEATS = 6
"""Beats in that time."""
FORGOTTEN = 86_400.0
"""Seconds after which a process of another machine that says nothing has left its file behind."""
_DIGITS = 20
"""Of the beat, so that it is written over in place: a full disk does not keep a process from it."""

Standing = Literal["gone", "there", "lapsed"]


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process of this machine, as the system tells of it."""

    started: int
    """When, in the system's ticks: with its number, it is known by that."""
    stopped: bool
    """By SIGSTOP or a debugger."""
    ticks: int
    """Of CPU that it took."""


def process_of(pid: int) -> Process | None:
    """Return what the system tells of a process; None if it has ended, waited for or not."""
    try:
        after_name = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
    except (OSError, UnicodeDecodeError):
        return None
    if after_name[0] in {"Z", "X"}:
        return None
    return Process(
        started=int(after_name[19]),
        stopped=after_name[0] in {"T", "t"},
        ticks=int(after_name[11]) + int(after_name[12]),
    )


@cache
def machine() -> str:
    """Return where a process is known by its number: in a namespace of a machine that is up."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    try:
        return f"{boot.read_text().strip()} {os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115
    except OSError:  # a system without /proc: beats alone tell
        return f"{socket.gethostname()} {os.urandom(8).hex()}"


@dataclass(frozen=True, kw_only=True)
class Owner:
    """A process that holds claims, as it tells of itself."""

    host: str
    machine: str
    pid: int
    started: int
    lapse: float
    """Seconds without a beat after which it says itself that others may go on without it."""
    beat: int = 0

    @classmethod
    def read(cls, file: Path) -> "Owner | None":
        """Return what a process tells; None if it let its last claim go, or lost what it told."""
        try:
            beat, _, about = file.read_text().partition("\n")
            return cls(**json.loads(about), beat=int(beat))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    @property
    def is_near(self) -> bool:
        """Whether the system here knows the process by its number."""
        return self.machine == machine()

    @property
    def process(self) -> Process | None:
        """What the system tells of it; None if it has ended."""
        found = process_of(self.pid)
        return found if found is not None and found.started == self.started else None


# --- telling of this process --------------------------------------------------------------------


class Beat:
    """The file that this process tells of itself in, and the thread that moves its beat.

    It is there while anything is held. A process that is stopped does not beat.
    """

    def __init__(self, folder: Path, lapse: float) -> None:
        self._folder = folder
        self._lapse = lapse
        self._lock = Lock()
        self._held = 0
        self._file = folder / "none"
        self._over = Event()
        self._beat = 0

    def hold(self) -> str:
        """Count one thing more that is held; return the name that this process is known by."""
        with self._lock:
            if not self._held:
                self._begin()
            self._held += 1
            return self._file.name

    def let_go(self) -> None:
        """Count one thing less; with the last the file goes, and the beat."""
        with self._lock:
            self._held -= 1
            if not self._held:
                self._end()

    def close(self) -> None:
        """Let everything go: this process ends."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        self._over.set()
        with suppress(OSError):
            self._file.unlink(missing_ok=True)

    def _begin(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._file = self._folder / os.urandom(8).hex()
        self._over = Event()
        self._write()
        Thread(target=self._go_on, args=(self._over,), name="raypipe-beat", daemon=True).start()

    def _write(self) -> None:
        known = process_of(os.getpid())
        about = Owner(
            host=socket.gethostname(),
            machine=machine(),
            pid=os.getpid(),
            started=known.started if known else 0,
            lapse=self._lapse,
        )
        told = {name: value for name, value in asdict(about).items() if name != "beat"}
        aside = self._file.with_suffix(".new")
        aside.write_text(f"{self._beat:0{_DIGITS}d}\n{json.dumps(told)}")
        aside.replace(self._file)

    def _go_on(self, over: Event) -> None:
        while not over.wait(self._lapse / BEATS):
            with self._lock:
                if over.is_set():
                    return
                self._beat += 1
                with suppress(OSError):  # a beat that is missed is made up for by the next
                    self._move()

    def _move(self) -> None:
        try:
            descriptor = os.open(self._file, os.O_WRONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # somebody cleared it away
            self._write()
            return
        try:
            os.pwrite(descriptor, f"{self._beat:0{_DIGITS}d}".encode(), 0)
        finally:
            os.close(descriptor)


_beats: dict[tuple[Path, float], Beat] = {}


def beat_of(folder: Path, lapse: float) -> Beat:
    """Return the one beat of this process in a folder; a process that was forked has its own."""
    return _beats.setdefault((folder, lapse), Beat(folder, lapse))


def _end_all() -> None:
    for beat in list(_beats.values()):
        beat.close()


atexit.register(_end_all)
os.register_at_fork(after_in_child=_beats.clear)


# --- looking at others --------------------------------------------------------------------------


@dataclass
class _Seen:
    pulse: tuple[int, int]
    at: float
    still: float = 0.0
    """Seconds for which it did not move, as far as it was looked at."""


class Watch:
    """What this process has seen of the others' beats, by a clock of its own that never jumps."""

    def __init__(
        self, folder: Path, lapse: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder = folder
        self._lapse = lapse
        self._clock = clock
        self._seen: dict[str, _Seen] = {}

    def standing(self, name: str) -> Standing:
        """Say whether a process is gone, is there, or has not moved for so long that it lapsed.

        Of a process of this machine, CPU that it took counts as a beat: its thread that beats may
        be kept from it. Between two looks only so much time counts as one beat may take, since
        this process may have been stopped itself, and the other with it.
        """
        owner = Owner.read(self._folder / name)
        return "gone" if owner is None else self.judge(name, owner)

    def judge(self, name: str, owner: Owner) -> Standing:
        """Say the same of what a process has told by now."""
        process = owner.process if owner.is_near else None
        if owner.is_near and process is None:
            return "gone"
        pulse = (owner.beat, process.ticks if process else 0)
        return "lapsed" if self._still(name, pulse, owner.lapse) else "there"

    def _still(self, name: str, pulse: tuple[int, int], lapse: float) -> bool:
        now, lapse = self._clock(), max(lapse, self._lapse)
        seen = self._seen.setdefault(name, _Seen(pulse=pulse, at=now))
        if seen.pulse != pulse:
            seen.pulse, seen.still = pulse, 0.0
        else:
            seen.still += min(now - seen.at, lapse / BEATS)
        seen.at = now
        return seen.still >= lapse

    def seems_still(self, name: str) -> bool:
        """Say at a glance whether a process seems not to move: for people, who see a `?`."""
        file = self._folder / name
        owner = Owner.read(file)
        if owner is None:
            return False
        if owner.is_near and (process := owner.process):
            return process.stopped
        with suppress(OSError):
            return time.time() - file.stat().st_mtime > max(owner.lapse, self._lapse)
        return False

    def sweep(self) -> bool:
        """Remove what processes that are gone left behind; say whether there was anything."""
        gone = [name for name in self._names() if self._is_over(name)]
        for name in gone:
            (self._folder / name).unlink(missing_ok=True)
            self._seen.pop(name, None)
        return bool(gone)

    def _names(self) -> list[str]:
        try:
            return os.listdir(self._folder)  # noqa: PTH208
        except FileNotFoundError:
            return []

    def _is_over(self, name: str) -> bool:
        file = self._folder / name
        with suppress(OSError):
            aged = time.time() - file.stat().st_mtime > FORGOTTEN
            if name.endswith(".new"):
                return aged
            owner = Owner.read(file)
            return owner is not None and (owner.process is None if owner.is_near else aged)
        return False
