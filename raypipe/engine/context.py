"""What a running step can ask about itself, and how it reports progress and metrics."""

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

RuntimeKind = Literal["inline", "ray", "plain"]
LONGEST = 250
"""Letters that a metric's name may have."""
OFTEN = 0.1
"""Seconds between two looks that a driver in this process takes at what its step says."""


def append_event(path: Path, event: dict[str, Any]) -> None:
    """Append one JSON line to a step's event file; lines of several processes do not mix."""
    line = json.dumps(event, separators=(",", ":")) + "\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


@dataclass(frozen=True, kw_only=True)
class StepContext:
    """The run and step that the calling code belongs to."""

    run: str
    step: str
    runtime: RuntimeKind
    home: Path | None
    root: Path | None
    """The project root; None outside a run."""
    paths: tuple[str, ...]
    """Folders that the project's modules are imported from."""
    scratch: Path
    """A folder of this step's key.

    Survives a crash of the run, goes when the result is recorded.
    """
    events: Path | None
    """JSON lines that the driver reads while the step runs; None outside a run."""

    def progress(self, done: float, total: float, what: str = "") -> None:
        """Say how far the step is: `done` of `total`, and in a few words what with."""
        self._emit({"event": "progress", "done": done, "total": total, "what": what})

    def log_metric(self, name: str, value: float, step: int, item: int | None = None) -> None:
        """Add a point to a curve that the ledger keeps: `value` at `step` (an epoch, a batch).

        In a batched step, `item` says which of the items it is given the curve is of.
        """
        _require_kept(name, int(step))
        of = {} if item is None else {"item": item}
        told = {"event": "metric", "name": name, "value": float(value), "step": int(step)}
        self._emit({**told, **of})

    def expire(self, after: float) -> None:
        """Say that what this step gives is kept for `after` seconds at most, whatever its options.

        For what another time may turn out better: a server that was away, a limit that was met.
        """
        self._emit({"event": "expires", "after": float(after), "run": self.run})

    def hand_in(self, item: int, value: Any) -> None:
        """In a batched step, give what the item of this number came to, to be recorded at once.

        What was handed in survives when the step fails or is killed. The step returns it all the
        same. It must be called where the step itself runs, not in workers of its own.
        """
        if (make := _making.get()) is not None:
            make(item, value)

    def _emit(self, event: dict[str, Any]) -> None:
        if self.events is None:
            return
        now = time.time()
        append_event(self.events, {**event, "time": now})
        tell = _telling.get()
        if tell is not None and not 0 <= now - tell.told < OFTEN:
            tell.told = now
            tell.driver()


def _require_kept(name: object, step: int) -> None:
    """Raise ValueError for the name or the step of a metric that no ledger can hold."""
    text = isinstance(name, str) and name.isprintable() and 0 < len(name) <= LONGEST
    if not text:
        raise ValueError(
            f"a metric's name must be a text of 1 to {LONGEST} printable letters, "
            f"it is {name!a:.60}"
        )
    if not -(2**63) <= step < 2**63:
        raise ValueError(f"the step of metric {name!r} must fit 64 bits, it is {step:.3g}")


@dataclass
class _Telling:
    """A driver in this process, which stands still while its step runs unless it is told."""

    driver: Callable[[], None]
    told: float = 0.0


_current: ContextVar[StepContext | None] = ContextVar("raypipe_step", default=None)
_making: ContextVar[Callable[[int, Any], None] | None] = ContextVar("raypipe_making", default=None)
"""What becomes of an item that is handed in; no part of a context, which workers are sent."""
_telling: ContextVar[_Telling | None] = ContextVar("raypipe_telling", default=None)
_entered: list[StepContext] = []
"""The contexts of the steps that run in this process now."""
_plain: list[tempfile.TemporaryDirectory[str]] = []


def current() -> StepContext:
    """Return the context of the step that runs here; outside a run, one that reports to nobody."""
    return _here() or _plain_context()


def progress(done: float, total: float, what: str = "") -> None:
    """Say how far the running step is: `done` of `total`; outside a run nothing happens."""
    if (context := _here()) is not None:
        context.progress(done, total, what)


def log_metric(name: str, value: float, step: int = 0) -> None:
    """Add a point to a curve of the running step; outside a run nothing happens."""
    if (context := _here()) is not None:
        context.log_metric(name, value, step)


def _here() -> StepContext | None:
    """Return the context of the calling code; a thread of a step's own is in that step.

    Where several steps run in this process, such a thread must be given its context
    (`contextvars.copy_context().run`), since nobody knows whose it is.
    """
    found = _current.get()
    if found is None and len(_entered) == 1:
        return _entered[0]
    return found


def _plain_context() -> StepContext:
    if not _plain:
        _plain.append(tempfile.TemporaryDirectory(prefix="raypipe-"))
    return StepContext(
        run="",
        step="",
        runtime="plain",
        home=None,
        root=None,
        paths=(),
        scratch=Path(_plain[0].name),
        events=None,
    )


@contextmanager
def within(
    context: StepContext,
    make: Callable[[int, Any], None] | None = None,
    tell: Callable[[], None] | None = None,
) -> Iterator[StepContext]:
    """Make `context` the current one for the body; `make` is given what it hands in.

    `tell` lets a driver in this process look at what the body says.
    """
    token, making = _current.set(context), _making.set(make)
    telling = _telling.set(None if tell is None else _Telling(tell))
    _entered.append(context)
    try:
        yield context
    finally:
        _entered.remove(context)
        _telling.reset(telling)
        _making.reset(making)
        _current.reset(token)
