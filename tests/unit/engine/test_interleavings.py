"""Every order of the acts of two real drivers on a flow of two steps gives one result a key.

Two drives over one ledger and one folder of claims, each in a thread that stops at every fault
point and goes on when it is told to. All orders are tried: a state that was met before is left to
end as it likes, which it has to do right as well.
"""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from raypipe import step
from raypipe.engine import drive
from raypipe.engine.drive import Driven
from raypipe.engine.ports import Claim
from raypipe.store import claims
from raypipe.store.claims import FileClaims
from tests.unit.engine.conftest import MemoryArtifacts, World

pytestmark = pytest.mark.slow

DRIVERS = (0, 1)
PAUSE = "pause"
NOT_TOLD_APART = {"literals.published", "attempt.ended", "claim.aside"}
"""Points between which and the one before nothing happens that another could see."""


@step
def first() -> int:
    return 1


@step
def second(value: int) -> int:
    return value + 1


def flow() -> int:
    return second(first())


class Nothing:
    def release(self) -> None:
        pass


@dataclass
class Driver:
    """One drive in a thread of its own, and the points that it came to."""

    world: World
    trace: list[str] = field(default_factory=list)
    at: str = ""
    go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    driven: Driven | None = None
    fault: BaseException | None = None

    @property
    def is_over(self) -> bool:
        return self.driven is not None or self.fault is not None


class Stage:
    """Two drivers, of which one at a time is let go on to its next point."""

    def __init__(self, folder: Path, claim: Callable[[], Callable[[str], Claim | None]]) -> None:
        folder.mkdir()
        self.folder = folder
        artifacts = MemoryArtifacts()
        self.drivers = [Driver(World(folder)) for _ in DRIVERS]
        self.arrived = threading.Semaphore(0)
        self.free = False
        """Nobody stops any more."""
        self.moved: int | None = None
        self.recorded: list[int] = []
        self._of: dict[threading.Thread, Driver] = {}
        for driver in self.drivers:
            driver.world.artifacts = artifacts
            driver.world._claim = claim()  # type: ignore[method-assign, assignment]
            driver.world.while_pausing = lambda: self.point(PAUSE)
            thread = threading.Thread(target=self._run, args=(driver,))
            self._of[thread] = driver

    def _run(self, driver: Driver) -> None:
        driver.go.acquire()
        try:
            number = self.drivers.index(driver)
            driver.world.runs += ["other"] * number  # so that their runs have names of their own
            driver.driven = driver.world.drive(flow).go()
        except BaseException as fault:
            driver.fault = fault
        self.arrived.release()

    def point(self, name: str) -> None:
        """Come to a point: stop there until told to go on."""
        driver = self._of[threading.current_thread()]
        if name in NOT_TOLD_APART or (self.free and name != PAUSE):
            return
        if name != PAUSE:
            driver.trace.append(name)
        if name == "result.recorded":
            self.recorded.append(self.drivers.index(driver))
        driver.at = name
        driver.world.pauses.clear()
        self.arrived.release()
        driver.go.acquire()

    @property
    def state(self) -> object:
        """What tells one place in an order from another."""
        traces = tuple((tuple(d.trace), d.at == PAUSE) for d in self.drivers)
        return (*traces, tuple(self.recorded), self.moved if self._pausing() else None)

    def _pausing(self) -> bool:
        return any(driver.at == PAUSE for driver in self.drivers)

    def can_go_on(self) -> list[int]:
        """Return the drivers that may move: one that waits for the other, once that has moved."""
        left = [n for n in DRIVERS if not self.drivers[n].is_over]
        waits = [n for n in left if self.drivers[n].at == PAUSE and self.moved == n]
        return [n for n in left if n not in waits] or left

    def let_go_on(self, number: int) -> None:
        self.moved = number
        self.drivers[number].at = ""
        self.drivers[number].go.release()
        self.arrived.acquire()

    def play(self, order: list[int]) -> tuple[object, list[int]]:
        """Play an order of moves; return the state then, who may move, and let both end."""
        for thread in self._of:
            thread.start()
        for number in order:
            self.let_go_on(number)
        found = self.state, self.can_go_on()
        self.free = True
        while left := self.can_go_on():
            self.let_go_on(left[0])
        for thread in self._of:
            thread.join()
        for driver in self.drivers:
            driver.world.ledger.close()
        return found

    def check(self) -> None:
        """Both ended right, with the same outputs, and each key has one result."""
        assert [driver.fault for driver in self.drivers] == [None, None]
        digests = [
            {item.node.name: item.digest for item in driver.driven.planned}
            for driver in self.drivers
            if driver.driven is not None
        ]
        assert [d.driven and d.driven.status for d in self.drivers] == ["succeeded"] * 2
        assert digests[0] == digests[1]
        with closing(sqlite3.connect(self.folder / "ledger.db")) as ledger:
            rows = ledger.execute("SELECT step, count(*), sum(live) FROM results GROUP BY key")
            assert sorted(rows.fetchall()) == [("first", 1, 1), ("second", 1, 1)]
            open_ = ledger.execute("SELECT count(*) FROM executions WHERE status = 'running'")
            assert open_.fetchone() == (0,)

    @property
    def executed(self) -> list[str]:
        return sorted(name for driver in self.drivers for name in driver.world.ran)


def every_order(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    claim: Callable[[Path], Callable[[str], Claim | None]],
) -> tuple[int, set[tuple[str, ...]]]:
    """Play all orders; return how many different states there were, and what was executed."""
    seen: set[object] = set()
    executed: set[tuple[str, ...]] = set()
    left: list[list[int]] = [[]]
    played = 0
    while left:
        order = left.pop()
        place = folder / f"{played}"
        stage = Stage(place, lambda place=place: claim(place / "claims"))  # type: ignore[misc]
        played += 1
        monkeypatch.setattr(drive, "fault_point", stage.point)
        monkeypatch.setattr(claims, "fault_point", stage.point)
        state, may_move = stage.play(order)
        stage.check()
        executed.add(tuple(stage.executed))
        if state not in seen:
            seen.add(state)
            left += [[*order, number] for number in may_move]
    return len(seen), executed


def test_in_every_order_each_step_is_executed_once(tmp_path, monkeypatch):
    states, executed = every_order(tmp_path, monkeypatch, lambda place: FileClaims(place).claim)
    assert executed == {("first", "second")}
    assert states > 50


def test_in_every_order_two_who_take_each_others_claims_record_one_result(tmp_path, monkeypatch):
    """Each thinks that the other stands still, from the first act to the last."""
    states, executed = every_order(tmp_path, monkeypatch, lambda place: lambda key: Nothing())
    assert ("first", "first", "second", "second") in executed
    assert ("first", "second") in executed
    assert states > 50
