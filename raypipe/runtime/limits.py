"""How long a step may take: first it is told so, then what it started ends, then its process."""

import faulthandler
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from raypipe.engine.ports import StepCall
from raypipe.errors import StepFailed
from raypipe.runtime.processes import children, end, exit_with_all, started_since

ASKED, KILLED, OVER = 2.0, 3.0, 6.0
"""Seconds after the timeout at which a step that goes on loses the processes that it started: asked
to end, then killed; and at which its own process ends.
"""
_unlimited: set[tuple[str, str]] = set()
"""Run and step of which it was told that a timeout is not kept."""


def out_of_time(step: str, timeout: float) -> StepFailed:
    """Return what a step fails with that took too long."""
    return StepFailed(
        f"step {step!r} took longer than its timeout of {timeout:g} s",
        step=step,
        kind="TimeoutError",
        cause="timeout",
        hint="give it a longer `timeout=`, or find out what it waits for",
    )


@contextmanager
def time_limit(
    call: StepCall,
    give_up: Callable[[StepFailed], None],
    *,
    watched: bool,
    warn: Callable[[str], None],
) -> Iterator[None]:
    """Raise StepFailed in the body after the call's timeout, as soon as Python code runs.

    By an alarm, which only the main thread can be given; there inline steps and Ray's tasks run.
    Where a run is started in another thread, its steps have no limit, and `warn` is told so.
    A body that does not heed it loses the processes that it started, for which it may be waiting.
    At last `give_up` is told, and this process ends: nothing else ends code that runs no Python.
    Unless another process watches this one, it ends even while no other thread can run.
    """
    if call.timeout is None:
        yield
        return
    if threading.current_thread() is not threading.main_thread():
        step = call.step.partition("[")[0]  # of a map, the items together
        if (call.run, step) not in _unlimited:
            _unlimited.add((call.run, step))
            warn(f"step {step!r} has a timeout, which is not kept outside the main thread")
        yield
        return
    error = out_of_time(call.step, call.timeout)
    over = threading.Event()
    args = (call.timeout, over, f"{call.run}:{call.step}", lambda: give_up(error))
    watching = threading.Thread(target=_watch, args=args, name="raypipe-limit", daemon=True)

    rung = threading.Event()

    def ring(*_: object) -> None:
        rung.set()
        if not over.is_set():
            raise error

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, call.timeout, ASKED)  # again, where it is swallowed
    watching.start()
    if not watched:
        _end_whatever_runs(call.timeout + OVER + 2)
    try:
        yield
    finally:
        over.set()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if not watched:
            faulthandler.cancel_dump_traceback_later()
        watching.join()
    if rung.is_set():  # the body swallowed it
        raise error


def _end_whatever_runs(seconds: float) -> None:
    """Let this process say where it stands and exit with 1, by a thread that needs no Python."""
    with suppress(OSError, ValueError, AttributeError):  # standard error is no file
        faulthandler.dump_traceback_later(seconds, exit=True, file=sys.__stderr__ or sys.stderr)


def _watch(timeout: float, over: threading.Event, mark: str, give_up: Callable[[], None]) -> None:
    """Go from step to step while the body goes on; a process of its own is none of them."""
    before = children()
    begun = time.monotonic()
    if over.wait(timeout + ASKED):
        return
    end(lambda: {} if over.is_set() else started_since(before), patience=KILLED - ASKED, most=1.0)
    if over.wait(max(0.0, begun + timeout + OVER - time.monotonic())):
        return
    give_up()
    exit_with_all(mark, StepFailed.exit_code)
