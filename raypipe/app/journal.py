"""What a run that is under way says, in a file that other terminals read; gone when it rests."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from raypipe.engine.drive import Listener
from raypipe.engine.events import (
    Event,
    RunStarted,
    StepEnded,
    StepExpanded,
    StepProgress,
    StepStarted,
)
from raypipe.engine.records import Json
from raypipe.store.paths import HomePaths

OFTEN = 1.0
"""Seconds between two lines about one step's progress."""


def journal_file(paths: HomePaths, run: str) -> Path:
    """Return where a run that is under way says what happens."""
    return paths.runs / run / "events.jsonl"


class Journal:
    """Writes events as lines, once a step is executed: a run without one has nothing to follow.

    What cannot be written is not: a display is no reason to fail.
    """

    def __init__(self, file: Path, listen: Listener) -> None:
        self._file = file
        self._listen = listen
        self._before: list[Event] = []
        self._descriptor: int | None = None
        self._told: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        """Write an event down, and hand it on."""
        with suppress(OSError):
            self._note(event)
        self._listen(event)

    def _note(self, event: Event) -> None:
        if self._descriptor is None and not isinstance(event, StepStarted):
            self._before.append(event)
            return
        if self._descriptor is None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(self._file, flags, 0o644)
        for one in (*self._before, event):
            self._write(one)
        self._before.clear()

    def _write(self, event: Event) -> None:
        assert self._descriptor is not None
        now = time.time()
        if isinstance(event, StepProgress):
            if now - self._told.get(event.step, 0.0) < OFTEN:
                return
            self._told[event.step] = now
        line = {"time": now, **event.to_json()}
        os.write(self._descriptor, json.dumps(line, separators=(",", ":")).encode() + b"\n")

    def close(self) -> None:
        """Remove the file: what became of the run is in the ledger."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            with suppress(OSError):
                self._file.unlink()


@dataclass
class AtWork:
    """What a journal says of a run: what ended, and what is at work."""

    ended: list[Json] = field(default_factory=list)
    """Steps as `StepState` says them, with `failed`."""
    at_work: dict[str, Json] = field(default_factory=dict)
    """Step to since when, why, and how far it is."""
    to_come: int = 0


def at_work(file: Path) -> AtWork:
    """Return where a run is that is under way; empty where it has said nothing."""
    found = AtWork()
    announced = 0
    for event in read_lines(file):
        match event["event"]:
            case RunStarted.event:
                announced = len(event["steps"])
            case StepExpanded.event:
                announced += event["items"]
            case StepStarted.event:
                about = {"step": event["step"], "since": event["time"], "reason": event["reason"]}
                found.at_work[event["step"]] = about
            case StepProgress.event:
                for about in _of(found, event["step"]):
                    about |= {name: event[name] for name in ("done", "total", "what")}
            case StepEnded.event:
                found.at_work.pop(event["name"], None)
                shown = ("name", "action", "reason", "digest", "seconds", "failed")
                found.ended.append({name: event[name] for name in shown})
    found.to_come = max(0, announced - len(found.ended) - len(found.at_work))
    return found


def _of(found: AtWork, step: str) -> Iterator[Json]:
    """Yield what is at work of a step, or of the items of a batch."""
    for name, about in found.at_work.items():
        if name == step or name.startswith(f"{step}["):
            yield about


def read_lines(file: Path) -> Iterator[Json]:
    """Yield the whole lines of a file of JSON lines; none where there is no file."""
    try:
        with file.open("rb") as opened:
            for line in opened:
                with suppress(ValueError):
                    yield json.loads(line)
    except OSError:
        return
