"""What is in use is noted in time; what nobody uses any more is not."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from raypipe.errors import StoreError
from raypipe.store.uses import Uses

USER = """
import sys, time
from pathlib import Path
from raypipe.store.uses import Uses
user = Uses(Path(sys.argv[1])).begin("run-1")
user.note("a")
print("noted", flush=True)
time.sleep(600)
"""


@pytest.fixture
def uses(tmp_path) -> Uses:
    return Uses(tmp_path / "uses")


@pytest.fixture
def other(uses):
    """A user in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", USER, uses.folder], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "noted\n"
    yield process
    process.kill()
    process.communicate()


def noted(uses: Uses) -> set[str]:
    with uses.removing(uses.gone()) as now:
        return {name for name in now.names if name}


def test_nothing_is_noted_where_nobody_was(uses):
    assert noted(uses) == set()
    assert not uses.folder.exists()


def test_what_a_user_notes_is_seen_until_it_ends(uses):
    user = uses.begin("run-1")
    user.note("a", "b")
    user.note("b", "c")
    assert noted(uses) == {"a", "b", "c"}
    user.end()
    assert noted(uses) == set()


def test_a_note_is_whole_though_the_disk_takes_it_in_parts(uses, monkeypatch):
    """Else what it names would be removed under the one who needs it."""
    write, full = os.write, [False]

    def some(descriptor: int, data: bytes) -> int:
        if full[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[:3])

    user = uses.begin("run-1")
    monkeypatch.setattr(os, "write", some)
    user.note("abcdefgh")
    full[0] = True
    with pytest.raises(StoreError, match="cannot be noted"):
        user.note("lost")
    full[0] = False
    user.note("lost", "found")
    with uses.removing(()) as now:
        assert all(map(now.needs, ("abcdefgh", "lost", "found")))
    user.end()


def test_processes_of_one_user_note_for_it(uses):
    user = uses.begin("run-1")
    uses.join("run-1").note("by a worker")
    assert noted(uses) == {"by a worker"}
    user.end()
    assert noted(uses) == set()


def test_a_user_in_another_process_is_seen_and_gone_when_it_is_killed(uses, other):
    assert noted(uses) == {"a"}
    other.kill()
    other.wait()
    assert uses.gone() == {"run-1"}
    assert noted(uses) == set()


def test_a_user_that_stands_still_is_not_gone(uses, other):
    os.kill(other.pid, signal.SIGSTOP)
    assert noted(uses) == {"a"}


def test_what_may_be_written_stays_while_there_is_anybody(uses):
    user = uses.begin("run-1")
    with uses.removing(uses.gone()) as now:
        assert now.needs("aside", written=True)
        assert not now.needs("aside")
    user.end()
    with uses.removing(uses.gone()) as now:
        assert not now.needs("aside", written=True)


def test_the_notes_of_a_user_that_ends_while_things_are_removed_stay_until_that_is_done(uses):
    """What it recorded may not have been read by who removes."""
    user = uses.begin("run-1")
    with uses.cleaning():
        gone = uses.gone()
        user.note("a")
        user.end()
        with uses.removing(gone) as now:
            assert now.needs("a")
    assert uses.gone() == {"run-1"}


def test_two_do_not_remove_things_at_once(uses):
    refused = pytest.raises(StoreError, match="another process is cleaning")
    with uses.cleaning(), refused, uses.cleaning():
        pass
