"""A holder is taken for gone or stopped by what this process saw itself, and not by any clock."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from raypipe.store.owners import BEATS, Beat, Owner, Watch, machine, process_of

LAPSE = 30.0
ELSEWHERE = Owner(host="other", machine="another boot", pid=7, started=1, lapse=LAPSE)


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(tmp_path, clock) -> Watch:
    return Watch(tmp_path, LAPSE, clock)


def write(folder: Path, owner: Owner, name: str = "one") -> None:
    told = {key: value for key, value in asdict(owner).items() if key != "beat"}
    (folder / name).write_text(f"{owner.beat:020d}\n{json.dumps(told)}")


def looked_at(watch: Watch, clock: Clock, seconds: float, every: float = 1.0) -> str:
    """Look at a holder for some time, and return how he stands in the end."""
    said = watch.standing("one")
    for _ in range(int(seconds / every)):
        clock.time += every
        said = watch.standing("one")
    return said


@pytest.fixture
def busy() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that holds its interpreter and computes."""
    process = subprocess.Popen([sys.executable, "-c", "while True: sum(range(10**6))"])
    yield process
    process.kill()
    process.wait()


def near(pid: int) -> Owner:
    known = process_of(pid)
    assert known is not None
    return replace(ELSEWHERE, machine=machine(), pid=pid, started=known.started)


def test_a_holder_elsewhere_lapses_once_his_beat_did_not_move_for_long(tmp_path, watch, clock):
    write(tmp_path, ELSEWHERE)
    assert looked_at(watch, clock, LAPSE - 1) == "there"
    assert looked_at(watch, clock, 1) == "lapsed"
    write(tmp_path, replace(ELSEWHERE, beat=1))
    assert watch.standing("one") == "there"


def test_time_in_which_nobody_looked_hardly_counts(tmp_path, watch, clock):
    """A machine that was suspended stopped both; the other had no chance to beat."""
    write(tmp_path, ELSEWHERE)
    assert looked_at(watch, clock, 86_400, every=86_400) == "there"
    assert looked_at(watch, clock, (BEATS - 2) * 3600, every=3600) == "there"
    assert looked_at(watch, clock, 3600, every=3600) == "lapsed"


@pytest.mark.parametrize("day", [86_400.0, -86_400.0])
def test_a_clock_on_the_wall_that_jumps_changes_nothing(tmp_path, watch, clock, monkeypatch, day):
    write(tmp_path, ELSEWHERE)
    assert looked_at(watch, clock, 5) == "there"
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + day)
    os.utime(tmp_path / "one", (now() + day, now() + day))
    assert looked_at(watch, clock, 5) == "there"
    assert looked_at(watch, clock, LAPSE) == "lapsed"


def test_cpu_that_a_near_process_took_counts_as_a_beat(tmp_path, watch, clock, busy):
    write(tmp_path, near(busy.pid))
    for _ in range(4):
        assert looked_at(watch, clock, LAPSE - 1) == "there"
        before = process_of(busy.pid)
        while process_of(busy.pid) == before:
            time.sleep(0.01)


def test_a_near_process_that_is_gone_is_gone_whatever_its_beat(tmp_path, watch):
    write(tmp_path, replace(near(os.getpid()), started=1))
    assert watch.standing("one") == "gone"
    assert watch.standing("never there") == "gone"


def test_a_file_that_lost_its_content_is_of_nobody(tmp_path, watch):
    (tmp_path / "one").write_text("")
    assert watch.standing("one") == "gone"


def test_a_beat_goes_on_though_its_file_was_cleared_away(tmp_path):
    beat = Beat(tmp_path, 0.3)
    name = beat.hold()
    (tmp_path / name).unlink()
    deadline = time.monotonic() + 60
    while not (found := Owner.read(tmp_path / name)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert found.process is not None
    beat.let_go()
    assert list(tmp_path.iterdir()) == []


def test_what_is_left_of_who_is_gone_is_swept(tmp_path, watch):
    write(tmp_path, replace(near(os.getpid()), started=1), "gone")
    write(tmp_path, near(os.getpid()), "here")
    write(tmp_path, ELSEWHERE, "elsewhere")
    write(tmp_path, ELSEWHERE, "long ago")
    os.utime(tmp_path / "long ago", (1, 1))
    assert watch.sweep()
    assert {file.name for file in tmp_path.iterdir()} == {"here", "elsewhere"}
    assert not watch.sweep()
