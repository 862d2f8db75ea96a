"""Processes of this machine: alive or not, those that carry a mark, and ending them."""

import os
import signal
import socket
import time
from collections.abc import Iterable
from pathlib import Path

from raypipe.runtime.processes import start_time

__all__ = ["end_marked", "free_ports", "marked", "start_time"]

PATIENCE = 10.0
"""Seconds that processes have to end by themselves."""


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
