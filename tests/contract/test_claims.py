"""What claims promise: one holder a key, no longer than he is there and moves, and no act too late.

Add a kind in tests/claims.py, and it is held to all of this.
"""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from threading import Barrier, Thread

import pytest

from raypipe.engine.ports import Claim, Claims
from raypipe.store.ledger import SqlLedger
from raypipe.store.postgres_url import parse
from tests.claims import CLAIMS, Another, another_process

pytestmark = pytest.mark.slow
LAPSE = 0.6
"""Seconds after which a holder lapses in these tests."""


@pytest.fixture(params=CLAIMS)
def kind(request) -> str:
    return request.param


@pytest.fixture
def where(kind, request, tmp_path) -> str:
    if kind == "folder":
        return str(tmp_path / "claims")
    url = request.getfixturevalue("postgres").url()
    SqlLedger.open(parse(url)).close()
    return url


@pytest.fixture
def open_claims(kind, where) -> Callable[..., Claims]:
    """Opens the same claims again each time, as another process would."""
    return lambda lapse=30.0: CLAIMS[kind](where, lapse)


@pytest.fixture
def claims(open_claims) -> Claims:
    return open_claims()


def held(claims: Claims, key: str = "k", **how: bool) -> Claim:
    claim = claims.claim(key, **how)
    assert claim is not None
    return claim


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


# --- one holder a key ---------------------------------------------------------------------------


def test_a_claim_is_refused_while_it_is_held(open_claims):
    claim = held(open_claims())
    assert open_claims().claim("k") is None
    claim.release()
    held(open_claims()).release()


def test_keys_are_claimed_apart(claims):
    keys = [f"{number:064x}" for number in range(100)]
    found = [held(claims, key) for key in keys]
    assert [claims.claim(key) for key in keys] == [None] * 100
    for claim in found[::2]:
        claim.release()
    assert [claims.claim(key) is not None for key in keys] == [True, False] * 50


def test_a_claim_shuts_other_processes_out(claims, kind, where):
    held(claims)
    with another_process(kind, where) as other:
        assert not other.ask("claim", "k")
        assert other.ask("claim", "other")


def test_of_many_who_claim_at_once_one_gets_it(open_claims):
    for _ in range(20):
        barrier, found = Barrier(8), []
        sides = [open_claims() for _ in range(8)]

        def ask(claims: Claims, barrier: Barrier = barrier, found: list = found) -> None:
            barrier.wait()
            if claim := claims.claim("k"):
                found.append(claim)

        threads = [Thread(target=ask, args=(claims,)) for claims in sides]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 1
        found[0].release()


def test_a_program_that_was_started_meanwhile_does_not_keep_the_claim(open_claims):
    claim = held(open_claims())
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        claim.release()
        held(open_claims()).release()
    finally:
        child.communicate(b"\n")


# --- holders who are gone, or stand still -------------------------------------------------------


def test_the_claim_of_a_process_that_was_killed_is_free_at_once(claims, kind, where):
    with another_process(kind, where) as other:
        assert other.ask("claim")
        assert other.ask("share", "home")
        assert claims.claim("k") is None
        other.kill()
        held(claims)
        held(claims, "home")


def test_the_claim_of_a_process_that_ended_is_free_at_once(claims, kind, where):
    with another_process(kind, where) as other:
        assert other.ask("claim")
        other.end()
        held(claims)


def test_the_claim_of_a_process_that_moves_stays_however_long(open_claims, kind, where):
    claims = open_claims(LAPSE)
    with another_process(kind, where, LAPSE) as other:
        assert other.ask("claim")
        until = time.monotonic() + 4 * LAPSE
        while time.monotonic() < until:
            assert claims.claim("k") is None
            time.sleep(0.02)


def taken_over(open_claims: Callable[..., Claims], other: Another) -> Claim:
    """Stop the other, and claim what it holds once that lapsed."""
    claims, found = open_claims(LAPSE), []
    other.stop()

    def ask() -> bool:
        found.append(claims.claim("k"))
        return found[-1] is not None

    wait_for(ask)
    assert found[0] is None, "it lapsed before anybody could have seen that it stands still"
    return found[-1]


def test_who_stands_still_loses_a_claim_and_lets_go_of_nothing_else_when_he_wakes_up(
    open_claims, kind, where
):
    with another_process(kind, where, LAPSE) as other:
        assert other.ask("claim")
        assert other.ask("claim", "second")
        claim = taken_over(open_claims, other)
        other.go_on()
        assert not other.ask("claim")
        assert other.ask("release")
        assert open_claims(LAPSE).claim("k") is None, "the claim of who took over is gone"
        claim.release()
        assert other.ask("claim")
        assert open_claims(LAPSE).claim("second") is None, "nobody asked for that one"


def test_of_many_who_take_over_one_gets_it(open_claims, kind, where):
    with another_process(kind, where, LAPSE) as other:
        assert other.ask("claim")
        other.stop()
        got: Counter[bool] = Counter()
        over = time.monotonic() + 60

        def wait_and_ask(claims: Claims) -> None:
            while not got[True] and time.monotonic() < over:
                got[claims.claim("k") is not None] += 1

        threads = [Thread(target=wait_and_ask, args=(open_claims(LAPSE),)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert got[True] == 1


def test_what_is_firm_stays_with_a_process_that_stands_still(open_claims, kind, where):
    claims = open_claims(LAPSE)
    with another_process(kind, where, LAPSE) as other:
        assert other.ask("share", "home")
        assert other.ask("claim")
        other.stop()
        wait_for(lambda: claims.standing("home") == "lapsed")
        assert claims.claim("home", firm=True) is None
        assert claims.is_held("home")
        assert claims.claim("home") is not None
        other.kill()
        held(claims, "k", firm=True)


def test_a_claim_lapses_no_sooner_than_its_holder_says(open_claims, kind, where):
    """Whoever is told to wait longer beats more seldom."""
    hasty = open_claims(LAPSE)
    with another_process(kind, where, 60.0) as other:
        assert other.ask("claim")
        until = time.monotonic() + 3 * LAPSE
        while time.monotonic() < until:
            assert hasty.claim("k") is None
            time.sleep(0.02)


# --- sharing and looking ------------------------------------------------------------------------


def test_a_shared_claim_keeps_out_who_wants_it_for_himself(claims):
    one, other = claims.share("home"), claims.share("home")
    assert claims.claim("home") is None
    one.release()
    assert claims.claim("home") is None
    other.release()
    held(claims, "home").release()


def test_who_shares_waits_until_nobody_has_it_for_himself(open_claims):
    claim = held(open_claims(), "home")
    found: list[Claim] = []
    thread = Thread(target=lambda: found.append(open_claims().share("home")))
    thread.start()
    time.sleep(0.1)
    assert found == []
    claim.release()
    thread.join(timeout=30)
    assert len(found) == 1
    assert open_claims().claim("home") is None


def test_sharing_and_claiming_at_once_never_go_together(open_claims):
    together, over = [], time.monotonic() + 1.0
    shared: list[int] = []

    def share() -> None:
        claims = open_claims()
        while time.monotonic() < over:
            claim = claims.share("home")
            shared.append(1)
            time.sleep(0.001)
            shared.pop()
            claim.release()

    def alone() -> None:
        claims = open_claims()
        while time.monotonic() < over:
            if claim := claims.claim("home"):
                together.extend(shared)
                claim.release()

    threads = [Thread(target=what) for what in (share, share, alone, alone)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == []


def test_how_a_claim_stands_can_be_seen_without_a_trace(open_claims, kind, where):
    claims = open_claims(LAPSE)
    assert (claims.standing("k"), claims.is_held("k")) == ("free", False)
    with another_process(kind, where, LAPSE) as other:
        assert other.ask("claim")
        assert (claims.standing("k"), claims.is_held("k")) == ("held", True)
        other.stop()
        assert (claims.standing("k"), claims.is_held("k")) == ("still", True)
        wait_for(lambda: claims.standing("k") == "lapsed")
        other.go_on()
        wait_for(lambda: claims.standing("k") == "held")
    assert (claims.standing("k"), claims.is_held("k")) == ("free", False)


def test_what_is_left_of_killed_processes_is_swept_and_nothing_else(claims, kind, where):
    with another_process(kind, where) as other, another_process(kind, where) as alive:
        assert other.ask("claim", "left")
        assert alive.ask("claim", "kept")
        other.kill()
        claims.sweep()
        assert claims.standing("left") == "free"
        assert claims.claim("kept") is None
