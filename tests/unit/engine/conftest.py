"""A world in memory: artifacts, claims, code and a clock that tests change as they like.

The ledger is the real one, on a file of the test's own.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

from raypipe.engine.context import append_event
from raypipe.engine.digest import digest_bytes
from raypipe.engine.drive import Drive, Driven
from raypipe.engine.events import Event
from raypipe.engine.graph import Graph, build
from raypipe.engine.plan import Choices, Planned, Planner
from raypipe.engine.ports import CallOutcome, Ports, Published, StepCall
from raypipe.engine.records import Actor, ArtifactStat, Fingerprint, RunRecord, RunStatus
from raypipe.errors import StepFailed, StoreError
from raypipe.store.content import digest_path
from raypipe.store.ledger import SqlLedger
from raypipe.store.scratch import FolderScratch
from raypipe.values.codec import TreeCodec

ANN = Actor(user="ann", host="laptop")


@dataclass
class MemoryArtifacts:
    """Artifacts in a dict."""

    kept: dict[str, bytes] = field(default_factory=dict)

    def put_bytes(self, data: bytes, digest: str | None = None) -> ArtifactStat:
        digest = digest or digest_bytes(data)
        self.kept.setdefault(digest, data)
        return ArtifactStat(digest=digest, size=len(data), mtime_ns=1)

    def put_path(self, path: Path) -> ArtifactStat:
        raise NotImplementedError

    def read(self, digest: str) -> bytes:
        if digest not in self.kept:
            raise StoreError(f"{digest} is gone")
        return self.kept[digest]

    def view(self, digest: str) -> bytes:
        return self.read(digest)

    def path(self, digest: str) -> Path:
        raise NotImplementedError

    def intact(self, stat: ArtifactStat) -> bool:
        return stat.digest in self.kept

    def stat(self, digest: str) -> ArtifactStat:
        return ArtifactStat(digest=digest, size=len(self.kept[digest]), mtime_ns=1)

    def verify(self, digest: str) -> bool:
        return digest in self.kept

    def remove(self, digest: str) -> None:
        self.kept.pop(digest, None)


@dataclass
class MemoryClaim:
    key: str
    held: set[str]

    def release(self) -> None:
        self.held.remove(self.key)


@dataclass
class Bench:
    """A runtime in this process, which runs what `pick` takes of the calls that wait."""

    world: "World"
    name: str
    pick: Callable[["deque[StepCall]"], StepCall] = deque.popleft
    waiting: "deque[StepCall]" = field(default_factory=deque)
    calls: list[StepCall] = field(default_factory=list)
    room: int = 1_000
    most: int = 0
    """Most calls that waited at once."""

    def submit(self, call: StepCall) -> None:
        self.waiting.append(call)
        self.calls.append(call)
        self.most = max(self.most, len(self.waiting))

    def wait(self, seconds: float) -> list[CallOutcome]:
        return [self._run(self.pick(self.waiting))] if self.waiting else []

    def close(self) -> None:
        self.waiting.clear()

    def _run(self, call: StepCall) -> CallOutcome:
        self.world.ran.append(call.step)
        assert call.function is not None
        try:
            given = {name: self._value(value) for name, value in call.arguments.items()}
            self.world.running = call
            returned = call.function(**given)
        except ValueError as error:
            failed = StepFailed(str(error), step=call.step, cause="raised")
            return CallOutcome(id=call.id, error=failed)
        values = [returned] if call.batch is None else returned
        return CallOutcome(id=call.id, outputs=tuple(map(self.publish, values)), seconds=1.0)

    def _value(self, argument: Any) -> Any:
        if isinstance(argument, list):
            return [self._value(item) for item in argument]
        if isinstance(argument, tuple):
            return tuple(self._value(item) for item in argument)
        if isinstance(argument, dict):
            return {key: self._value(item) for key, item in argument.items()}
        return self.world.codec.decode(argument, self.world.artifacts)

    def publish(self, value: Any) -> Published:
        encoded = self.world.codec.encode(value)
        stat = self.world.artifacts.put_bytes(encoded.manifest, encoded.digest)
        return Published(root=encoded.digest, artifacts=(stat,))


class World:
    """Everything that the engine is given, and what it did."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.time = 1_000.0
        self.ledger = SqlLedger.open(folder / "ledger.db", now=lambda: self.time)
        self.artifacts = MemoryArtifacts()
        self.codec = TreeCodec(digest_path)
        self.code: dict[str, str] = {}
        """Name of a step to the text of its code."""
        self.packages: dict[str, str] = {}
        self.environment: dict[str, str] = {}
        self.lookups: dict[str, Callable[[Mapping[str, str]], str | None]] = {}
        self.held: set[str] = set()
        """Keys that this process has claims on."""
        self.elsewhere: set[str] = set()
        """Keys that another process has claims on."""
        self.pauses: list[float] = []
        self.while_pausing: Callable[[], None] = lambda: None
        self.ran: list[str] = []
        """Names of the calls that ran, in their order."""
        self.running: StepCall | None = None
        self.events: list[Event] = []
        self.runs: list[str] = []
        self.runtime, self.driver = Bench(self, "runtime"), Bench(self, "driver")

    # --- the ports

    def ports(self) -> Ports:
        return Ports(
            ledger=self.ledger,
            artifacts=self.artifacts,
            codec=self.codec,
            fingerprint=self._fingerprint,
            reread=self._fingerprint,
            environment=lambda names: {
                name: digest_bytes(self.environment.get(name, "").encode()) for name in names
            },
            lookups=self.lookups,
            claim=self._claim,
            now=lambda: self.time,
            actor=ANN,
            project="mine",
            root=self.folder,
            folders=(".",),
            home=self.folder,
            scratch=FolderScratch(self.folder / "work"),
            pause=self._pause,
        )

    def _fingerprint(self, target: str, also: tuple[str, ...]) -> Fingerprint:
        name = target.rpartition(".")[2]
        text = f"{target} {self.code.get(name, '')} {also}"
        symbols = {target: digest_bytes(text.encode())}
        packages = dict(self.packages)
        return Fingerprint(
            digest=digest_bytes(f"{symbols} {packages}".encode()),
            symbols=symbols,
            packages=packages,
        )

    def _claim(self, key: str) -> MemoryClaim | None:
        if key in self.elsewhere or key in self.held:
            return None
        self.held.add(key)
        return MemoryClaim(key, self.held)

    def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        assert len(self.pauses) < 100, "it waits for ever"
        self.while_pausing()

    # --- what a running step does

    def hand_in(self, item: int, value: Any, *, at_once: bool = True) -> None:
        """Hand in an item of the call that runs.

        As an inline step does, or as one far away does, which the driver hears of later.
        """
        assert self.running is not None
        assert self.running.listen is not None
        made = {"event": "made", "run": self.running.run, "item": item, "seconds": 0.5}
        append_event(self.running.events, {**made, **asdict(self.runtime.publish(value))})
        if at_once:
            self.running.listen()

    # --- planning and running

    def graph(self, pipeline: Callable[..., Any], **parameters: Any) -> Graph:
        return build(pipeline, "flow", parameters)

    def planner(
        self, pipeline: Callable[..., Any], force: Iterable[str] = (), **given: Any
    ) -> Planner:
        choices = Choices(force=frozenset(force))
        return Planner(graph=self.graph(pipeline, **given), ports=self.ports(), choices=choices)

    def plan(
        self, pipeline: Callable[..., Any], force: Iterable[str] = (), **given: Any
    ) -> dict[str, Planned]:
        planned = self.planner(pipeline, force, **given).plan()
        return {item.node.name: item for item in planned}

    def drive(self, pipeline: Callable[..., Any], force: Iterable[str] = (), **given: Any) -> Drive:
        run = f"run-{len(self.runs)}"
        self.runs.append(run)
        self.time += 1
        self.ledger.start_run(
            RunRecord(
                id=run,
                project="mine",
                pipeline="flow",
                status=RunStatus.RUNNING,
                created=self.time,
                actor=ANN,
            )
        )
        planner = self.planner(pipeline, force, **given)
        return Drive(
            run=run,
            planner=planner,
            ports=planner.ports,
            runtime=self.runtime,
            driver=self.driver,
            where="inline",
            listen=self.events.append,
            chance=lambda: 0.0,
        )

    def run(self, pipeline: Callable[..., Any], force: Iterable[str] = (), **given: Any) -> Driven:
        """Run as the app does, from nothing that ran to what became of it."""
        drive = self.drive(pipeline, force, **given)
        self.ran.clear()
        self.events.clear()
        driven = drive.go()
        self.ledger.save_steps(drive.run, [planned.state for planned in driven.planned])
        self.ledger.end_run(drive.run, driven.status)
        assert self.held == set(), "a claim was not let go"
        return driven

    def value(self, driven: Driven, name: str) -> Any:
        """Return what a step gave."""
        (digest,) = (item.digest for item in driven.planned if item.node.name == name)
        assert digest is not None
        return self.codec.decode(self.artifacts.read(digest), self.artifacts)

    def attempts(self, run: str | None = None) -> list[tuple[str, str]]:
        """Return each attempt of a run with how it ended."""
        rows = self.ledger.executions(run or self.runs[-1])
        return [(row.step, row.status) for row in rows]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.ledger.close()
