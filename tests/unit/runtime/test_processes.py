"""What a step started ends with it, however it tried to get away; what was there before stays."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from raypipe.runtime.processes import MARK, end, leaving_none, marked, start_time

DAEMON = """
import os, sys, time
if os.fork():
    sys.exit()
os.setsid()
if os.fork():
    os._exit(0)
open(sys.argv[1], "w").write(str(os.getpid()))
os.closerange(0, 100)
time.sleep(600)
"""


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[[str], int]]:
    """Starts a process of a kind; returns its number. None outlives the test."""
    begun: list[int] = []

    def start(kind: str) -> int:
        if kind == "child":
            begun.append(subprocess.Popen(["sleep", "600"]).pid)
        elif kind == "child without an environment":
            begun.append(subprocess.Popen(["sleep", "600"], env={}).pid)
        elif kind == "deaf child":
            begun.append(
                subprocess.Popen(["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]).pid
            )
        elif kind == "stopped child":
            begun.append(subprocess.Popen(["sleep", "600"]).pid)
            os.kill(begun[-1], signal.SIGSTOP)
        elif kind == "daemon":
            file = tmp_path / "pid"
            subprocess.run([sys.executable, "-c", DAEMON, str(file)], check=True)
            while not file.exists() or not file.read_text():
                time.sleep(0.01)
            begun.append(int(file.read_text()))
        elif kind == "fork":
            pid = os.fork()
            if pid == 0:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                time.sleep(600)
                os._exit(0)
            begun.append(pid)
        return begun[-1]

    yield start
    for pid in begun:
        if start_time(pid) is not None:
            os.kill(pid, signal.SIGKILL)


KINDS = (
    "child", "child without an environment", "deaf child", "stopped child", "daemon", "fork",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_that_was_started_lives_on(started, kind):
    with leaving_none("r1:step"):
        pid = started(kind)
        assert start_time(pid) is not None
    assert start_time(pid) is None


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_failure_leaves_nothing_either(started):
    begun = []

    def fails():
        begun.append(started("daemon"))
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"), leaving_none("r1:step"):
        fails()
    assert start_time(begun[0]) is None


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_what_was_there_before_stays_with_what_it_starts(tmp_path):
    file = tmp_path / "go"
    script = f"until [ -e {file} ]; do sleep 0.02; done; sleep 600 & echo $!; wait"
    before = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        with leaving_none("r1:step"):
            file.touch()
            below = int(before.stdout.readline())
        assert start_time(before.pid) is not None
        assert start_time(below) is not None
    finally:
        os.kill(below, signal.SIGKILL)
        before.wait()
        before.stdout.close()


def test_a_process_that_ended_by_itself_can_still_be_asked_how(started):
    with leaving_none("r1:step"):
        assert subprocess.run(["sh", "-c", "exit 3"], check=False).returncode == 3


def test_the_environment_is_as_before(monkeypatch):
    monkeypatch.setenv(MARK, "outer")
    with leaving_none("r1:step"):
        assert os.environ[MARK] == "r1:step"
    assert os.environ[MARK] == "outer"


@pytest.mark.parametrize("kind", ["child", "daemon", "fork"])
def test_what_a_killed_process_left_is_found_by_its_mark(tmp_path, kind, wait_until):
    """The process that watched over it is gone: nobody knows its children but by their mark."""
    mark = f"r{os.getpid()}-{time.monotonic_ns()}:step"
    script = f"""
import os, subprocess, sys, time
from raypipe.runtime.processes import leaving_none
with leaving_none({mark!r}):
    if {kind!r} == "child":
        subprocess.Popen(["sleep", "600"])
    elif {kind!r} == "daemon":
        subprocess.run([sys.executable, "-c", {DAEMON!r}, {str(tmp_path / "pid")!r}])
    elif os.fork() == 0:
        os.setsid()
        os.closerange(0, 100)
        time.sleep(600)
    time.sleep(0.3)
    os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", script], check=False)
    wait_until(lambda: marked(mark))
    assert marked("another:") == []
    assert end(lambda: marked(mark), patience=0) == 1
    assert marked(mark) == []
