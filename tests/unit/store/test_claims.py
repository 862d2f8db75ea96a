"""A claim on a key keeps others from it for as long as its process lives, and no longer."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from raypipe.store.claims import FileClaims

HOLDS = """
import sys, time
from pathlib import Path
from raypipe.store.claims import FileClaims

claims = FileClaims(Path(sys.argv[1]))
held = [claims.claim(key) for key in sys.argv[2:]]
print(*(claim is not None for claim in held), flush=True)
time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "home" / "claims"


@contextmanager
def another_process(folder: Path, *keys: str) -> Iterator["subprocess.Popen[str]"]:
    """A process that has tried to claim some keys, and keeps what it got."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, folder, *keys], stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def said(process: "subprocess.Popen[str]") -> list[str]:
    assert process.stdout is not None
    return process.stdout.readline().split()


def test_a_claim_is_refused_while_this_process_holds_it(folder):
    held = FileClaims(folder).claim("k")
    assert held is not None
    assert FileClaims(folder).claim("k") is None


def test_a_released_claim_is_free_and_leaves_no_file(folder):
    claims = FileClaims(folder)
    for _ in range(3):
        claim = claims.claim("k")
        assert claim is not None
        claim.release()
        assert list(folder.iterdir()) == []


def test_keys_are_claimed_apart(folder):
    claims = FileClaims(folder)
    held = [claims.claim(f"{number:064x}") for number in range(200)]
    assert all(claim is not None for claim in held)
    assert [claims.claim(f"{number:064x}") for number in range(200)] == [None] * 200
    for claim in held[::2]:
        assert claim is not None
        claim.release()
    free = [claims.claim(f"{number:064x}") is not None for number in range(200)]
    assert free == [True, False] * 100


def test_a_claim_shuts_other_processes_out(folder):
    held = FileClaims(folder).claim("k")
    assert held is not None
    with another_process(folder, "k", "other") as process:
        assert said(process) == ["False", "True"]


def test_the_claim_of_a_process_that_was_killed_is_free(folder):
    claims = FileClaims(folder)
    with another_process(folder, "k") as process:
        assert said(process) == ["True"]
        assert claims.claim("k") is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert claims.claim("k") is not None


def test_a_program_that_was_started_meanwhile_does_not_keep_the_claim(folder):
    claim = FileClaims(folder).claim("k")
    assert claim is not None
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        claim.release()
        assert FileClaims(folder).claim("k") is not None
    finally:
        child.communicate(b"\n")


def test_a_claim_on_a_file_that_its_holder_removes_meanwhile_is_made_on_the_new_one(
    folder, monkeypatch
):
    """Its holder lets go between the opening of the file and its lock."""
    import fcntl

    claims = FileClaims(folder)
    first = claims.claim("k")
    lock = fcntl.flock

    def lock_late(descriptor: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        assert first is not None
        first.release()
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", lock_late)
    assert claims.claim("k") is not None
    assert claims.claim("k") is None


def test_a_shared_claim_keeps_out_who_wants_it_for_himself(folder):
    claims = FileClaims(folder)
    one, other = claims.share("home"), claims.share("home")
    assert claims.claim("home") is None
    one.release()
    assert claims.claim("home") is None
    other.release()
    alone = claims.claim("home")
    assert alone is not None
    alone.release()


def test_whether_a_claim_is_held_can_be_seen_without_a_trace(folder):
    claims = FileClaims(folder)
    assert not claims.is_held("a")
    assert not folder.exists()
    with another_process(folder, "a") as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert claims.is_held("a")
    assert not claims.is_held("a")
