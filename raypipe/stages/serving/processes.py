"""Processes of this machine: alive or not, those that carry a mark, and ending them."""

import os
import signal
import socket
import time
from collections.abc import Iterable
from pathlib import Path

PATIENCE = 10.0
"""Seconds that processes have to end by themselves."""


def start_time(pid: int) -> int | None:
    """Return when a process started, in the system's ticks: with its number, it is known by that.

    None if there is none, or it has ended and was not waited for.
    """
    try:
        after_name = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
    except (OSError, UnicodeDecodeError):
        return None
    return None if after_name[0] in {"Z", "X"} else int(after_name[19])


def marked(mark: str) -> list[int]:
    """Return the processes of this user that were started with `NAME=VALUE` in their environment.

    This one is left out.
    """
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            carried = (entry / "environ").read_bytes().split(b"\0")
        except OSError:  # another user's, or it has ended
            continue
        if mark.encode() in carried and start_time(int(entry.name)) is not None:
            found.append(int(entry.name))
    return found


def end_marked(mark: str, *, patience: float = PATIENCE) -> int:
    """End all processes with a mark, those that they start meanwhile too; return how many."""
    ended: set[int] = set()
    deadline = time.monotonic() + patience
    while pids := marked(mark):
        late = time.monotonic() > deadline
        _signal(pids, signal.SIGKILL if late else signal.SIGTERM)
        ended |= set(pids)
        time.sleep(0.1)
    return len(ended)


def _signal(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def free_ports(count: int) -> list[int]:
    """Return ports of this machine that nobody listens at; they are different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()
