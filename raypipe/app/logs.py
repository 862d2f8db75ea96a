"""What the steps of a run print, log and measure, line by line: afterwards, or while it runs."""

import heapq
import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from raypipe.app.alive import as_it_is
from raypipe.app.assemble import Workshop
from raypipe.app.journal import journal_file, read_lines
from raypipe.app.look import look
from raypipe.engine.records import Json, RunRecord, RunStatus
from raypipe.errors import NotFound
from raypipe.runtime.audit import LOGGER

AUDIT = f'"logger":"{LOGGER}"'.encode()
"""What is in the lines that tell of what a step read and did not declare."""
PAUSE = 0.2
"""Seconds between two looks at a run that is followed."""


@dataclass
class Logs:
    """The lines of a run, oldest first."""

    run: RunRecord
    lines: Iterator[Json]
    """Each with `time`, `level`, `step`, `attempt`, `stream` and `text`."""


def logs(name: str, home: Path | None, step: str | None = None) -> Logs:
    """Return what a run's steps, or one of them, said; NotFound for a step that there is not."""
    workshop = look(home)
    run = workshop.ledger.get_run(name)
    _require_step(workshop, run, step)
    files = (_only(read_lines(file), step) for file in _files(workshop, run))
    of_ledger = (_curves(workshop, run, step), _attempts(workshop, run, step))
    merged = heapq.merge(*files, *of_ledger, key=_when)
    return Logs(run=run, lines=merged)


def follow(
    name: str,
    home: Path | None,
    step: str | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> Logs:
    """Return what a run says, and go on as long as it does."""
    workshop = look(home)
    run = workshop.ledger.get_run(name)
    if as_it_is(workshop, run).status != RunStatus.RUNNING:
        return logs(name, home, step)
    return Logs(run=run, lines=_follow(workshop, run, step, pause))


def _follow(
    workshop: Workshop, run: RunRecord, step: str | None, pause: Callable[[float], None]
) -> Iterator[Json]:
    with closing(_Tail(journal_file(workshop.paths, run.id))) as tail:
        while True:
            now = as_it_is(workshop, workshop.ledger.get_run(run.id))
            said = [line for file in _files(workshop, run) for line in tail.new(file)]
            said += [line for event in tail.events() if (line := _as_line(event)) is not None]
            yield from sorted(_only(iter(said), step), key=_when)
            if now.status != RunStatus.RUNNING:
                return
            pause(PAUSE)


class _Tail:
    """Reads what was appended to files since it last looked; a line counts once it is whole."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._opened: BinaryIO | None = None
        self._read: dict[Path, int] = {}

    def new(self, file: Path) -> list[Json]:
        """Return the lines that came to a file since."""
        try:
            with file.open("rb") as opened:
                return self._lines(file, opened)
        except OSError:
            return []

    def events(self) -> list[Json]:
        """Return what came to the journal, which is held open: it is removed when the run ends."""
        try:
            self._opened = self._opened or self._journal.open("rb")
            return self._lines(self._journal, self._opened)
        except OSError:
            return []

    def close(self) -> None:
        """Let go of the journal."""
        if self._opened is not None:
            self._opened.close()

    def _lines(self, file: Path, opened: BinaryIO) -> list[Json]:
        opened.seek(self._read.get(file, 0))
        text = opened.read()
        whole = text.rfind(b"\n") + 1
        self._read[file] = self._read.get(file, 0) + whole
        found = []
        for line in text[:whole].splitlines():
            with suppress(ValueError):
                found.append(json.loads(line))
        return found


def _files(workshop: Workshop, run: RunRecord) -> list[Path]:
    journal = journal_file(workshop.paths, run.id)
    return sorted(file for file in journal.parent.glob("*.jsonl") if file != journal)


def undeclared(workshop: Workshop, run: RunRecord) -> list[Json]:
    """Return what steps of a run read and did not declare, each with its step, as it was told."""
    found = []
    for file in _files(workshop, run):
        for line in file.read_bytes().splitlines():
            if AUDIT in line:
                with suppress(ValueError):
                    told = json.loads(line)
                    found.append({"step": told["step"], "text": told["text"]})
    return found


def _curves(workshop: Workshop, run: RunRecord, step: str | None) -> Iterator[Json]:
    """Yield the points that steps logged, oldest first."""
    found = []
    for one in _steps_with_curves(workshop, run):
        if step is None or _is_of(one, step):
            points = workshop.ledger.metrics(run.id, one)
            found += [_point(one, m.time, m.name, m.value, m.step) for m in points]
    yield from sorted(found, key=_when)


def _attempts(workshop: Workshop, run: RunRecord, step: str | None) -> Iterator[Json]:
    """Yield when attempts began and how they ended; of items, which may be many, what failed."""
    found = []
    for row in workshop.ledger.executions(run.id):
        if step is not None and not _is_of(row.step, step):
            continue
        failed = row.status in {"failed", "cancelled"}
        of = {"step": row.step, "attempt": row.attempt}
        if not _is_item(row.step):
            found.append({**_line(row.step, row.started, f"starts ({row.reason})"), **of})
        if row.ended is not None and (failed or not _is_item(row.step)):
            why = (row.error or {}).get("message", "")
            said = f"{row.status}{why and ': '}{why}" if failed else "ends"
            level = "error" if row.status == "failed" else "info"
            found.append({**_line(row.step, row.ended, said, level=level), **of})
    yield from sorted(found, key=_when)


def _is_item(step: str) -> bool:
    """Say whether a name is that of one of many."""
    return step.endswith("]")


def _steps_with_curves(workshop: Workshop, run: RunRecord) -> list[str]:
    """Return the names that curves may have: those of steps, and of the batches of items."""
    names = _steps(workshop, run)
    return list(dict.fromkeys([*(name.partition("[")[0] for name in names), *names]))


def _steps(workshop: Workshop, run: RunRecord) -> list[str]:
    ledger = workshop.ledger
    states = [state.name for state in ledger.run_steps(run.id)]
    return list(dict.fromkeys([*states, *(row.step for row in ledger.executions(run.id))]))


def _require_step(workshop: Workshop, run: RunRecord, step: str | None) -> None:
    if step is None:
        return
    known = _steps(workshop, run)
    if not any(_is_of(name, step) for name in known):
        raise NotFound(
            f"run {run.id} has no step {step!r}", hint=f"it has {', '.join(known[:12]) or 'none'}"
        )


def _only(lines: Iterator[Json], step: str | None) -> Iterator[Json]:
    return (line for line in lines if step is None or _is_of(line["step"], step))


def _is_of(name: str, step: str) -> bool:
    """Say whether a name is that of a step, of one of its calls, or of one of its items."""
    return name == step or name.startswith((f"{step}[", f"{step}#"))


def _as_line(event: Json) -> Json | None:
    """Return an event of a run under way as a line of its log; None for what is no news of it."""
    match event:
        case {"event": "metric", "step": step, "name": name, "value": value, "at": at}:
            return _point(step, event["time"], name, value, at)
        case {"event": "step_started", "step": step, "reason": reason} if not _is_item(step):
            return _line(step, event["time"], f"starts ({reason})")
        case {"event": "step_ended", "name": step, "action": action, "failed": failed}:
            if _is_item(step) and not failed:
                return None
            said = "failed" if failed else {"hit": "is kept", "wait": "waits"}.get(action, "ends")
            return _line(step, event["time"], said, level="error" if failed else "info")
        case {"event": "retry", "step": step, "why": why}:
            said = f"is tried again: {why}"
            return _line(step, event["time"], said, level="warning")
    return None


def _line(step: str, when: float, text: str, *, level: str = "info") -> Json:
    about = {"time": when, "level": level, "step": step, "attempt": None}
    return {**about, "stream": "raypipe", "text": text}


def _point(step: str, when: float, name: str, value: float, at: int) -> Json:
    about = {"time": when, "level": "info", "step": step, "attempt": None, "stream": "metric"}
    point = {"name": name, "value": value, "at": at}
    return {**about, **point, "text": f"{name} {at}: {value:.6g}"}


def _when(line: Json) -> float:
    return float(line["time"])
