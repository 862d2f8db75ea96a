"""An effect is carried out once: counted, asked about before it is repeated, then recorded."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from raypipe.app import outbox
from raypipe.app.assemble import Workshop, open_workshop
from raypipe.app.outbox import Handler, attempt, deliver_due, deliver_now, is_due, wait_after
from raypipe.engine.records import Effect
from raypipe.errors import EffectFailed, EffectRefused, NotFound, StoreError, UsageError
from raypipe.store.ledger_place import VARIABLE
from raypipe.store.rows import OutboxRow


class Target:
    """What effects are carried out on: it knows what was done, and may be out of order."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.faults: list[Exception] = []
        self.while_doing: Callable[[], None] = lambda: None

    def do(self, workshop: Workshop, row: OutboxRow) -> None:
        if self.faults:
            raise self.faults.pop(0)
        self.done.append(row.key)
        self.while_doing()

    def knows(self, workshop: Workshop, row: OutboxRow) -> bool:
        return row.key in self.done


@pytest.fixture
def target(monkeypatch) -> Target:
    target = Target()
    handler = Handler(do=target.do, already_done=target.knows)
    monkeypatch.setattr(outbox, "handler_of", lambda kind: handler)
    monkeypatch.setattr(outbox, "HANDLERS", {"test": "", "late": ""})
    return target


@pytest.fixture(params=["sqlite", "postgres"])
def workshop(request, tmp_path: Path, monkeypatch) -> Workshop:
    if request.param == "postgres":
        monkeypatch.setenv(VARIABLE, request.getfixturevalue("postgres").url())
    workshop = open_workshop(tmp_path, tmp_path / ".raypipe", write=True)
    workshop.ledger.ask_for([Effect(key="one", kind="test", payload={"a": 1})])
    return workshop


def row(workshop: Workshop, key: str = "one") -> OutboxRow:
    return workshop.ledger.effect(key)


def test_an_effect_is_carried_out_once_however_often_it_is_asked_for(workshop, target):
    workshop.ledger.ask_for([Effect(key="one", kind="test", payload={"a": 2})])
    assert deliver_due(workshop) == []
    workshop.ledger.ask_for([Effect(key="one", kind="test", payload={})])
    assert deliver_due(workshop) == []
    assert target.done == ["one"]
    assert (row(workshop).status, row(workshop).payload) == ("delivered", {"a": 1})


def test_what_was_done_and_not_recorded_is_asked_about_and_not_repeated(workshop, target):
    target.done = ["one"]
    deliver_due(workshop)
    assert target.done == ["one"]
    assert row(workshop).status == "delivered"


def test_what_fails_is_tried_again_soon_and_its_fault_is_kept_meanwhile(workshop, target):
    target.faults = [EffectFailed("the line is dead", hint="mend it")]
    (left,) = deliver_due(workshop, patience=0.0)
    assert (left.status, left.attempts) == ("waiting", 1)
    assert left.error == "the line is dead (mend it)"
    assert deliver_due(workshop) == []
    assert (row(workshop).status, row(workshop).attempts) == ("delivered", 2)
    assert row(workshop).error is None


def test_what_fails_too_often_is_given_up_and_can_be_asked_for_again(workshop, target):
    target.faults = [EffectFailed("no")] * (outbox.MOST_ATTEMPTS + 1)
    for _ in range(outbox.MOST_ATTEMPTS):
        assert row(workshop).status == "waiting"
        with pytest.raises(EffectFailed):
            attempt(workshop, row(workshop), outbox.handler_of("test"))
    assert row(workshop).status == "given up"
    assert deliver_due(workshop) == []
    workshop.ledger.redo_effect("one")
    target.faults = []
    deliver_due(workshop)
    assert row(workshop).status == "delivered"


def test_what_is_refused_is_given_up_at_once(workshop, target):
    target.faults = [EffectRefused("never")]
    (left,) = deliver_due(workshop)
    assert (left.status, left.attempts, left.error) == ("given up", 1, "never")


def test_one_that_fails_keeps_no_other_from_being_carried_out(workshop, target):
    workshop.ledger.ask_for([Effect(key="two", kind="test", payload={})])
    target.faults = [EffectRefused("never")]
    deliver_due(workshop)
    assert target.done == ["two"]


def test_what_is_dropped_is_never_carried_out(workshop, target):
    workshop.ledger.drop_effect("one")
    deliver_due(workshop)
    assert target.done == []
    with pytest.raises(UsageError, match="is dropped already"):
        workshop.ledger.drop_effect("one")


def test_what_was_delivered_is_not_repeated_by_asking(workshop, target):
    deliver_due(workshop)
    with pytest.raises(UsageError, match="was delivered"):
        workshop.ledger.redo_effect("one")
    with pytest.raises(NotFound, match="there is no effect 'onee'"):
        workshop.ledger.effect("onee")


def test_while_one_is_about_an_effect_others_leave_it_alone(workshop, target):
    claim = workshop.claims.claim("effect-one")
    assert claim is not None
    deliver_due(workshop, patience=0.2)
    assert (target.done, row(workshop).attempts) == ([], 0)
    claim.release()
    deliver_due(workshop)
    assert target.done == ["one"]


def test_who_wants_it_now_waits_for_the_other(workshop, target, monkeypatch):
    claim = workshop.claims.claim("effect-one")
    assert claim is not None
    monkeypatch.setattr(outbox, "TURN", 0.2)
    with pytest.raises(StoreError, match="another process has been about effect one"):
        deliver_now(workshop, ["one"])
    workshop.ledger.delivered(row(workshop))
    deliver_now(workshop, ["one"])
    assert target.done == []


def test_who_read_it_before_another_tried_it_does_nothing(workshop, target):
    """Two read it; the second claims it when the first has let go."""
    read = row(workshop)
    target.faults = [EffectFailed("no")]
    with pytest.raises(EffectFailed):
        attempt(workshop, read, outbox.handler_of("test"))
    assert not attempt(workshop, read, outbox.handler_of("test"))
    assert target.done == []


def test_the_late_word_of_one_who_was_gone_on_without_changes_nothing(workshop, target):
    """He was stopped in his attempt, and another carried the effect out."""
    ledger = workshop.ledger
    late = ledger.begin_delivery(row(workshop), 0.0)
    assert late is not None
    attempt(workshop, row(workshop), outbox.handler_of("test"))
    ledger.not_delivered(late, "it failed", given_up=True)
    assert (row(workshop).status, row(workshop).error) == ("delivered", None)
    ledger.delivered(late)
    assert target.done == ["one"]


def test_a_fact_and_what_it_asks_for_are_one_act(workshop):
    def asks_and_fails() -> None:
        workshop.ledger.ask_for([Effect(key="two", kind="test", payload={})])
        workshop.ledger.version("no", "such")

    with pytest.raises(NotFound, match="model"):
        workshop.ledger.together(asks_and_fails)
    with pytest.raises(NotFound):
        row(workshop, "two")


def test_waits_grow_and_are_bounded_and_spread():
    assert [wait_after(n, 1.0) for n in (1, 2, 3)] == [0.5, 1.0, 2.0]
    assert wait_after(50, 1.0) == outbox.LONGEST_WAIT
    assert wait_after(3, 0.0) == 1.0


def test_a_clock_that_jumped_back_keeps_nothing_waiting_for_days(workshop):
    now = time.time()
    waits = workshop.ledger.begin_delivery(row(workshop), now + outbox.LONGEST_WAIT)
    assert waits is not None
    assert not is_due(waits, now)
    assert is_due(waits, now - 86_400)
    assert is_due(waits, now + 86_400)


def test_effects_of_a_later_raypipe_are_left_and_told(workshop):
    workshop.ledger.ask_for([Effect(key="new", kind="hologram", payload={})])
    workshop.ledger.drop_effect("one")
    assert deliver_due(workshop, patience=0.0) == []
    with pytest.raises(StoreError, match="'hologram' is not known to this raypipe"):
        deliver_now(workshop, ["new"])
