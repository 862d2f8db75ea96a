"""How a run is asked to stop: by a signal or by a person, heard where that does no harm."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import NoReturn

from raypipe.errors import Interrupted
from raypipe.runtime.processes import children, end, exit_with_all, started_since

SAME = 0.5
"""Seconds after a signal in which another one is taken for the same."""
LOOK = 0.3
"""Seconds between two looks at whether somebody cancelled the run."""
KILLED, OVER = 0.7, 1.4
"""Seconds after which what a step started is killed, and after which the process ends by force."""
WAKES = signal.SIGURG
"""Wakes the main thread: a signal that is ignored wherever nobody asked for it."""

_at_work: "list[Stop]" = []
"""The runs that this process works on, the innermost last."""


@dataclass
class Stop:
    """Whether a run was asked to stop, and by what."""

    run: str
    record: Callable[[str], None]
    """Enters in the ledger that the run is cancelled, and why."""
    cancelled: Callable[[], str | None]
    """Says why somebody else entered so."""
    why: str = ""
    at: float = 0.0
    foreign: int = 0
    """How deep the main thread is in code that may run for ever: a step's, or Ray's start."""
    over: threading.Event = field(default_factory=threading.Event)
    process: int = field(default_factory=os.getpid)
    before: Mapping[int, int] = field(default_factory=children)
    """Children of this process that are none of the run's."""

    def ask(self, why: str) -> None:
        """Ask the run to stop; the first who asks is told of."""
        if not self.why:
            self.at, self.why = time.monotonic(), why

    def hear(self, number: int, frame: FrameType | None) -> None:
        """Take a signal: the first stops the run where it does no harm, a later one at once."""
        if os.getpid() != self.process:  # a child that a step forked
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        if number != WAKES:
            if self.why and time.monotonic() - self.at > SAME:
                self.end_now()
            self.ask("terminated" if number == signal.SIGTERM else "interrupted")
        if self.foreign and self.why:
            raise KeyboardInterrupt

    def watch(self, main: int | None) -> None:
        """Look for a cancellation, and see to it that a step which does not listen ends."""
        while not self.over.wait(0.05 if self.why else LOOK):
            if not self.why and (why := self.cancelled()):
                self.ask(why)
                if main is not None:
                    signal.pthread_kill(main, WAKES)
            since = time.monotonic() - self.at
            if self.why and self.foreign and since > OVER:
                self.end_now()
            if self.why and self.foreign and since > KILLED:
                end(lambda: started_since(self.before), patience=0, most=0.1)

    def end_now(self) -> NoReturn:
        """Enter that the run is cancelled, end what it started, and this process."""
        entering = threading.Thread(target=self.record, args=(self.why,), daemon=True)
        entering.start()
        entering.join(1.0)  # the ledger may be in the hands of what was interrupted
        end(lambda: started_since(self.before), patience=0, most=0.2)
        exit_with_all(f"{self.run}:", Interrupted.exit_code)


@contextmanager
def stopping(
    run: str, record: Callable[[str], None], cancelled: Callable[[], str | None]
) -> Iterator[Stop]:
    """Hear in the body what asks a run to stop; signals as they were before come after it."""
    stop = Stop(run=run, record=record, cancelled=cancelled)
    is_main = threading.current_thread() is threading.main_thread()
    main = threading.main_thread().ident if is_main else None
    watching = threading.Thread(target=stop.watch, args=(main,), name="raypipe-stop", daemon=True)
    before = _hear(stop) if is_main else {}
    _at_work.append(stop)
    watching.start()
    try:
        yield stop
    finally:
        stop.over.set()
        watching.join()
        _at_work.remove(stop)
        for number, handler in before.items():
            signal.signal(number, handler)


def _hear(stop: Stop) -> dict[int, signal.Handlers | Callable[[int, FrameType | None], object]]:
    """Hear signals, but those that this process was told to ignore."""
    found = {}
    for number in (signal.SIGINT, signal.SIGTERM, WAKES):
        handler = signal.getsignal(number)
        if handler is not None and (handler != signal.SIG_IGN or number == WAKES):
            found[int(number)] = handler
            signal.signal(number, stop.hear)
    return found  # type: ignore[return-value]


@contextmanager
def interruptible() -> Iterator[None]:
    """Let a KeyboardInterrupt end the body when the run is asked to stop; elsewhere it waits.

    So what a step has made is published and recorded whole before the run ends.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not _at_work or not is_main or _at_work[-1].process != os.getpid():
        yield
        return
    stop = _at_work[-1]
    stop.foreign += 1
    try:
        if stop.why:
            raise KeyboardInterrupt
        yield
    finally:
        stop.foreign -= 1


@contextmanager
def finishing() -> Iterator[None]:
    """Let the body, which a step called, come to its end before the run is stopped."""
    stop = _at_work[-1] if _at_work else None
    if stop is None or not stop.foreign:
        yield
        return
    foreign, stop.foreign = stop.foreign, 0
    try:
        yield
    finally:
        stop.foreign = foreign
    if stop.why and threading.current_thread() is threading.main_thread():
        raise KeyboardInterrupt
