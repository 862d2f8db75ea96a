"""Processes that a step starts: known by their parents and by a mark, and ended with the step."""

import ctypes
import mmap
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

MARK = "RAYPIPE_ATTEMPT"
"""Variable that names the attempt which a process belongs to: `RUN:STEP`."""
PATIENCE = 0.5
"""Seconds that processes which a step left behind have to end by themselves."""
STUBBORN = 5.0
"""Seconds that killed processes are waited for."""
SET_SUBREAPER, GET_SUBREAPER = 36, 37
"""Numbers of prctl(2)."""


def start_time(pid: int) -> int | None:
    """Return when a process started, in the system's ticks: with its number, it is known by that.

    None if there is none, or it has ended and was not waited for.
    """
    stat = _stat(pid)
    return None if stat is None or stat[0] in {"Z", "X"} else int(stat[19])


@contextmanager
def leaving_none(mark: str) -> Iterator[None]:
    """End what the body starts and leaves behind, however it tried to get away.

    Orphans become children of this process meanwhile, so that a daemon is found as well. Should
    this process be killed, others find what it leaves by the mark.
    """
    before = children()
    adopted = adopt_orphans()
    try:
        with _marked(mark):
            yield
    finally:
        end(lambda: started_since(before))
        adopt_orphans(adopted)


def started_since(before: Mapping[int, int]) -> dict[int, int]:
    """Return the processes below this one, but for those before and what is below them.

    By number and start. Those that have ended are waited for. Python's own helpers, which end with
    this process, are none of a step's.
    """
    if not _haschildren():  # the usual case, for the price of one call
        return {}
    kept = {*before.items(), *_helpers().items()}
    below = _tree()
    found: dict[int, int] = {}
    above = [os.getpid()]
    while above:
        for pid, started in below.get(above.pop(), ()):
            if (pid, started) not in kept and not _reaped(pid):
                found[pid] = started
                above.append(pid)
    return found


def end(
    find: Callable[[], Iterable[int]], patience: float = PATIENCE, *, most: float = STUBBORN
) -> int:
    """End what `find` finds, until it finds nothing: asked to at first, then killed.

    After `most` seconds more it is given up: something starts others all the time, or is in the
    kernel's hands, such as on a network disk that is away.
    """
    asked: set[int] = set()
    deadline = time.monotonic() + patience
    while pids := set(find()):
        late = time.monotonic() >= deadline
        for pid in pids if late else pids - asked:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
        asked |= pids
        if time.monotonic() > deadline + most:
            break
        time.sleep(0.01)
    return len(asked)


def exit_with_all(mark: str, code: int) -> NoReturn:
    """End this process, and then what carries a mark: a step may start others to the last."""
    parent = os.getpid()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are threads: the child needs none of them
        child = os.fork()
    if child:
        os._exit(code)
    with suppress(OSError):
        os.setsid()
    while os.getppid() == parent:
        time.sleep(0.005)
    end(lambda: marked(mark), patience=0)
    os._exit(0)


def marked(mark: str) -> list[int]:
    """Return the other processes whose mark begins so: started with it, or forked from one."""
    others = (entry for entry in Path("/proc").iterdir() if entry.name != str(os.getpid()))
    return [int(one.name) for one in others if one.name.isdigit() and _carries(one, mark)]


def _carries(process: Path, mark: str) -> bool:
    try:
        if f"{MARK}={mark}".encode() in (process / "environ").read_bytes():
            return start_time(int(process.name)) is not None
        return f"{MARK}={mark}".encode() in (process / "maps").read_bytes()
    except OSError:  # another user's, or it has ended
        return False


@contextmanager
def _marked(mark: str) -> Iterator[None]:
    """Mark what is started in the body: by its environment, and if it is forked, by its memory."""
    before = os.environ.get(MARK)
    descriptor = os.memfd_create(f"{MARK}={mark}"[:200])
    os.ftruncate(descriptor, mmap.PAGESIZE)
    page = mmap.mmap(descriptor, mmap.PAGESIZE)
    os.close(descriptor)
    os.environ[MARK] = mark
    try:
        yield
    finally:
        page.close()
        if before is None:
            os.environ.pop(MARK, None)
        else:
            os.environ[MARK] = before


def children() -> dict[int, int]:
    """Return the children that this process has."""
    return dict(_tree().get(os.getpid(), ())) if _haschildren() else {}


def _haschildren() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _tree() -> dict[int, list[tuple[int, int]]]:
    """Return each process's children, by number and start."""
    tree: dict[int, list[tuple[int, int]]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - half the time of a Path's
        if name.isdigit() and (stat := _stat(int(name))) is not None:
            tree.setdefault(int(stat[1]), []).append((int(name), int(stat[19])))
    return tree


def _stat(pid: int) -> list[str] | None:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def _reaped(pid: int) -> bool:
    """Wait for a child if it has ended."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:  # a grandchild
        stat = _stat(pid)
        return stat is None or stat[0] in {"Z", "X"}


def _helpers() -> dict[int, int]:
    """Return the processes that multiprocessing and the like keep for this one."""
    found = {}
    for name, module in list(sys.modules.items()):
        if name.endswith((".resource_tracker", ".forkserver")):
            for kept in ("_resource_tracker", "_forkserver"):
                helper = getattr(module, kept, None)
                pid = getattr(helper, "_pid", None) or getattr(helper, "_forkserver_pid", None)
                if isinstance(pid, int) and (started := start_time(pid)) is not None:
                    found[pid] = started
    return found


def adopt_orphans(wanted: bool = True) -> bool:
    """Become the parent of orphans below this process, or no longer; return what it was."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is None:
        return False
    was = ctypes.c_int()
    prctl(GET_SUBREAPER, ctypes.byref(was), 0, 0, 0)
    prctl(SET_SUBREAPER, int(wanted), 0, 0, 0)
    return bool(was.value)
