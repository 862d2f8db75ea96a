"""Processes are known by their mark, and only those are ended."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from raypipe.stages.serving.processes import end_marked, free_ports, marked, start_time

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


def start(code: str, mark: str = "") -> subprocess.Popen[str]:
    environment = {**os.environ, **({"MARK": mark} if mark else {})}
    return subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True
    )


@pytest.fixture
def other() -> Iterator[subprocess.Popen[str]]:
    """A process that does not carry the mark of the tests."""
    process = start("import time; time.sleep(60)", f"other-{os.getpid()}")
    yield process
    process.kill()
    process.communicate()


def test_all_that_carry_a_mark_are_ended_and_no_others(other, wait_until):
    mark = f"MARK=mine-{os.getpid()}"
    stubborn = start(STUBBORN, mark.partition("=")[2])
    child = int(stubborn.stdout.readline())
    wait_until(lambda: set(marked(mark)) == {stubborn.pid, child})  # not while it is being made
    assert end_marked(mark, patience=0.5) == 2
    assert marked(mark) == []
    assert stubborn.wait() == -signal.SIGKILL
    stubborn.communicate()
    assert other.poll() is None


def test_where_none_carries_a_mark_none_is_ended():
    assert end_marked("MARK=nobody") == 0


def test_a_mark_is_a_whole_variable_and_no_part_of_one(other, wait_until):
    wait_until(lambda: marked(f"MARK=other-{os.getpid()}") == [other.pid])
    assert marked(f"MARK=other-{os.getpid()}"[:-1]) == []


def test_a_process_is_known_by_when_it_started():
    process = start("input()")
    began = start_time(process.pid)
    assert began is not None
    assert start_time(process.pid) == began
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert start_time(process.pid) is None  # ended, though nobody waited for it yet
    process.communicate()
    assert start_time(process.pid) is None


def test_free_ports_are_different():
    assert len(set(free_ports(20))) == 20
