"""What a run says while it goes: JSON lines, a tree in a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from raypipe.cli.face import dump, note, plain, write
from raypipe.cli.render import base_name, duration
from raypipe.engine.events import (
    CodeDiffers,
    Event,
    MetricLogged,
    RunStarted,
    StepEnded,
    StepExpanded,
    StepProgress,
    StepRetried,
    StepStarted,
    StepWaits,
    Warned,
)
from raypipe.values.words import amount

QUIET = 10.0
"""Seconds between two plain lines about one step's progress."""

Listener = Callable[[Event], None]


@contextmanager
def listening(*, as_json: bool) -> Iterator[Listener]:
    """Give the listener that suits where the output goes."""
    if as_json:
        yield lambda event: write(dump(plain(event)))
    elif sys.stderr.isatty():
        with Display() as display:
            yield display
    else:
        yield Lines()


# --- what is known of a run (pure) --------------------------------------------------------------


@dataclass
class Stage:
    """How far the calls of one step are: f, f#2 and f[0] count together."""

    name: str
    total: int = 0
    ended: int = 0
    kept: int = 0
    failed: bool = False
    waits: bool = False
    skipped: bool = False
    expanded: bool = False
    """It is mapped over a list, whose items are what is counted."""
    aloud: bool = False
    """What it logs is seen already, since it runs in this process."""
    lacks: str = ""
    """What it waits for before it can begin."""
    retries: int = 0
    warnings: int = 0
    took: float | None = None
    """Seconds from its start to its end, once nothing more is to come."""
    started: float | None = None
    reason: str = ""
    done: float = 0
    of: float = 0
    what: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    running: int = 0
    begun: int = 0
    together: int = 0
    """Most that ran at once: all that were begun, where they are the items of one call."""
    made: int = 0
    """Of those begun, how many ended."""

    @property
    def share(self) -> float:
        """How much is done, from 0 to 1: the calls that ended, and how far those at work are."""
        inside = self.done / self.of * self.running if self.of else 0
        if (
            self.of == self.begun == self.together
        ):  # it counts items, and may have handed in some that ended so
            inside = max(0.0, self.done - self.made)
        return min(1.0, (self.ended + inside) / self.total) if self.total else 0

    def left(self, now: float) -> float | None:
        """Seconds that it still takes, at the pace so far; None while nothing is known."""
        if self.started is None or self.share <= 0:
            return None
        return (now - self.started) * (1 - self.share) / self.share

    def shown(self) -> str:
        """What it is busy with, in a few words."""
        parts = [f"{self.ended:,}/{self.total:,}"] if self.total > 1 else []
        if self.of:
            parts.append(f"{self.done:g}/{self.of:g} {self.what}".rstrip())
        parts += [f"{name} {value:.4g}" for name, value in self.metrics.items()]
        parts += [f"waits: {self.lacks}"] if self.lacks else []
        return ", ".join(parts)


@dataclass
class Progress:
    """Events, folded into how far each step is."""

    clock: Callable[[], float] = time.monotonic
    stages: dict[str, Stage] = field(default_factory=dict)
    run: str = ""
    pipeline: str = ""
    began: float | None = None

    def take(self, event: Event) -> Stage | None:
        """Take note of an event; return the stage that it is about."""
        match event:
            case RunStarted(steps=steps):
                self.run, self.pipeline, self.began = event.run, event.pipeline, self.clock()
                self._expect(steps)
            case StepExpanded(step=step, items=items):
                stage = self.stage(step)
                stage.total += items - 1
                stage.expanded = True
                return self._timed(stage)
            case StepStarted(step=step):
                return self._start(event)
            case StepProgress(step=step, done=done, total=total, what=what):
                stage = self.stage(step)
                stage.done, stage.of, stage.what, stage.lacks = done, total, what, ""
                return stage
            case StepWaits(step=step, what=what):
                stage = self.stage(step)
                stage.lacks = what
                return stage
            case MetricLogged(step=step, name=name, value=value):
                stage = self.stage(step)
                if step != stage.name:  # one of many: what all came to is in the step's progress
                    return stage
                stage.metrics[name] = value
                return stage
            case Warned(step=step) if step:
                stage = self.stage(step)
                stage.warnings += 1
                return stage
            case StepEnded():
                return self._end(event)
            case StepRetried(step=step):
                stage = self.stage(step)
                stage.retries += 1
                return stage
        return None

    def _start(self, event: StepStarted) -> Stage:
        stage = self.stage(event.step)
        stage.running += 1
        stage.begun += 1
        stage.total = max(stage.total, stage.begun)
        stage.together = max(stage.together, stage.running)
        stage.started = stage.started or self.clock()
        stage.reason = stage.reason or event.reason
        stage.aloud = event.where != "ray"
        return stage

    def stage(self, step: str) -> Stage:
        """Return the stage of a step; one that was not announced is added."""
        name = base_name(step)
        return self.stages.setdefault(name, Stage(name=name, total=1))

    def _expect(self, steps: Sequence[str]) -> None:
        for step in steps:
            name = base_name(step)
            self.stages.setdefault(name, Stage(name=name)).total += 1

    def _end(self, event: StepEnded) -> Stage:
        stage = self.stage(event.state.name)
        stage.failed |= event.failed
        stage.waits |= event.state.action == "wait"
        stage.skipped |= event.state.reason.kind == "skipped"
        if stage.expanded and event.state.name == stage.name:  # of the map, not of an item
            return self._timed(stage)
        stage.ended += 1
        stage.total = max(stage.total, stage.ended)
        stage.made += stage.running > 0
        stage.running = max(0, stage.running - 1)
        stage.kept += event.state.action == "hit"
        return self._timed(stage)

    def _timed(self, stage: Stage) -> Stage:
        if is_over(stage) and stage.took is None and stage.started is not None:
            stage.took = self.clock() - stage.started
        return stage


WIDTH = 24
"""Letters that the names of steps have, so that what follows is one below the other."""


def closing(stage: Stage) -> str:
    """Return the one line that stays of a stage."""
    name = named(stage)
    if stage.failed:
        return f"✗ {name} failed{_troubles(stage)}"
    if stage.waits:
        return f"‖ {name} waits for a review"
    if stage.skipped and stage.kept == stage.ended:
        return f"· {name} skipped"
    if stage.kept == stage.ended:
        return f"· {name} kept"
    took = "-" if stage.took is None else duration(stage.took)
    kept = f", {stage.kept:,} kept" if stage.kept else ""
    return f"✓ {name} {took}{kept}  ({stage.reason}){_troubles(stage)}"


def named(stage: Stage) -> str:
    """Return a stage's name, and how many calls are folded into it."""
    many = f" ×{stage.total:,}" if stage.total > 1 or stage.expanded else ""
    return f"{stage.name}{many}".ljust(WIDTH)


def _troubles(stage: Stage) -> str:
    """Return how often a stage was tried again, and how often it warned."""
    told = [amount(stage.retries, "retry", "retries")] if stage.retries else []
    told += [amount(stage.warnings, "warning")] if stage.warnings else []
    return f"  [{', '.join(told)}]" if told else ""


def told(event: Event) -> Iterator[str]:
    """Yield what is said of an event as it is, once."""
    match event:
        case CodeDiffers(uses="kept"):
            yield (
                f"! the project's code differs now from that of run {event.resumes} "
                f"({few(event.files)}); this goes on with the code of then, --code now with today's"
            )
        case CodeDiffers():
            yield f"! today's code differs from that of run {event.resumes}: {few(event.files)}"
            for state in event.steps:
                yield f"!   {state.name}: {state.action} ({state.reason})"
        case StepRetried(step=step, why=why, wait=wait):
            yield f"! {step}: {why.partition(chr(10))[0]}; tried again in {duration(wait)}"
        case StepWaits(step=step, what=what):
            yield f"! {step} waits: {what}"
        case Warned(step=step, text=text):
            yield f"! {step}{step and ': '}{text}"


def few(names: Sequence[str]) -> str:
    """Return the first few names, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def is_over(stage: Stage) -> bool:
    """Say whether nothing more is to come of a stage."""
    return stage.ended >= stage.total or stage.failed


# --- the tree (pure) ----------------------------------------------------------------------------

SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
BAR = 16
"""Letters of a bar."""


def tree(progress: Progress, now: float, height: int) -> list[str]:
    """Return a run as a tree of its steps, in at most so many lines.

    What it costs depends on how many steps there are, not on how many items they have.
    """
    stages = list(progress.stages.values())
    shown = visible(stages, max(1, height - 2))
    rows = [row if isinstance(row, str) else _row(row, now) for row in shown]
    branches = ["├─"] * (len(rows) - 1) + ["└─"] * bool(rows)
    return [
        _head(progress, stages, now),
        *(f"{b} {row}" for b, row in zip(branches, rows, strict=True)),
    ]


def _head(progress: Progress, stages: Sequence[Stage], now: float) -> str:
    over = sum(is_over(stage) for stage in stages)
    since = "" if progress.began is None else f"  {clock(now - progress.began)}"
    return f"{progress.pipeline}  {progress.run}{since}  {over} of {amount(len(stages), 'step')}"


def visible(stages: Sequence[Stage], most: int) -> list[Stage | str]:
    """Return the stages to show, in their order, and a line for each stretch that is left out.

    Those at work first, and what failed or waits; then what comes next, then what ended last.
    """
    if len(stages) <= most:
        return list(stages)
    places = {stage.name: place for place, stage in enumerate(stages)}

    def wanted(stage: Stage) -> tuple[int, int]:
        place = places[stage.name]
        return _rank(stage), len(stages) - place if is_over(stage) else place

    order = sorted(stages, key=wanted)
    for count in range(most, 0, -1):
        rows = _with_gaps(stages, {stage.name for stage in order[:count]})
        if len(rows) <= most:
            return rows
    return list(order[:most])


def _rank(stage: Stage) -> int:
    if stage.failed or stage.waits or (stage.started is not None and not is_over(stage)):
        return 0
    return 2 if is_over(stage) else 1


def _with_gaps(stages: Sequence[Stage], chosen: set[str]) -> list[Stage | str]:
    rows: list[Stage | str] = []
    gap: list[Stage] = []
    for stage in stages:
        if stage.name not in chosen:
            gap.append(stage)
            continue
        rows += [*_gap(gap), stage]
        gap = []
    return [*rows, *_gap(gap)]


def _gap(gap: Sequence[Stage]) -> list[str]:
    if not gap:
        return []
    done = sum(map(is_over, gap))
    parts = [f"{done} done"] if done else []
    parts += [f"{len(gap) - done} to come"] if len(gap) > done else []
    return [f"… {amount(len(gap), 'step')}: {', '.join(parts)}"]


def _row(stage: Stage, now: float) -> str:
    if is_over(stage):
        return closing(stage)
    if stage.started is None:
        return f"○ {named(stage)}".rstrip()
    parts = [
        f"{SPINNER[int(now * 8) % len(SPINNER)]} {named(stage)}",
        bar(stage.share) if stage.share or stage.of or stage.total > 1 else " " * BAR,
        clock(now - stage.started),
        stage.shown(),
        remaining(stage, now),
    ]
    return "  ".join(part for part in parts if part) + _troubles(stage)


def bar(share: float) -> str:
    """Return a bar of which a share is filled."""
    filled = round(share * BAR)
    return "━" * filled + "─" * (BAR - filled)


def clock(seconds: float) -> str:
    """Return a duration as a clock shows it."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


# --- where it goes ------------------------------------------------------------------------------


@dataclass
class Lines:
    """Plain lines on stderr: one at a step's start, some on its way, one at its end."""

    say: Callable[[str], None] = note
    progress: Progress = field(default_factory=Progress)
    _said: dict[str, float] = field(default_factory=dict)
    _closed: set[str] = field(default_factory=set)

    def __call__(self, event: Event) -> None:
        stage = self.progress.take(event)
        if not (stage is not None and stage.aloud and isinstance(event, Warned)):
            for line in told(event):
                self.say(line)
        if stage is None or isinstance(event, Warned):
            return
        now = self.progress.clock()
        if is_over(stage):
            if stage.name not in self._closed:
                self._closed.add(stage.name)
                self.say(closing(stage))
        elif stage.started is None:
            return
        elif stage.name not in self._said:
            self._said[stage.name] = now
            self.say(f"▸ {stage.name}  ({stage.reason})")
        elif now - self._said[stage.name] >= QUIET:
            self._said[stage.name] = now
            self.say(f"  {stage.name}: {_pace(stage, now)}")


def _pace(stage: Stage, now: float) -> str:
    return ", ".join(part for part in (stage.shown(), remaining(stage, now)) if part)


def remaining(stage: Stage, now: float) -> str:
    """Return how long a stage still takes, or nothing while that is not known."""
    left = stage.left(now)
    if left is None:
        return ""
    return f"{left:.0f} s left" if left < 90 else f"{duration(left)} left"


@dataclass
class Display:
    """The tree of a run at the foot of a terminal while it goes; a line stays of each step.

    It is drawn a few times a second by a thread of its own, so that an event costs next to nothing
    and a step that runs in this process is seen to go on.
    """

    progress: Progress = field(default_factory=Progress)
    _live: Any = None

    def __enter__(self) -> "Display":
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
        for stage in self.progress.stages.values():
            if stage.ended or stage.failed or stage.started is not None or stage.waits:
                note(closing(stage))

    def __call__(self, event: Event) -> None:
        stage = self.progress.take(event)
        if not (stage is not None and stage.aloud and isinstance(event, Warned)):
            for line in told(event):
                note(line)
        if self._live is None and isinstance(event, StepStarted):
            self._live = _live(self.progress)
            self._live.start()


FRAMES = 4
"""Times a second that the tree is drawn."""


def _live(progress: Progress) -> Any:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(file=sys.stderr)  # a step that runs here has its own sys.stderr meanwhile

    def draw() -> Text:
        rows = tree(progress, progress.clock(), console.size.height)
        return Text("\n".join(rows), no_wrap=True, overflow="ellipsis")

    return Live(console=console, get_renderable=draw, refresh_per_second=FRAMES, transient=True)
