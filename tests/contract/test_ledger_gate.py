"""What was said of data stays, a branch is protected until it is not, refusals are bounded."""

from collections.abc import Iterator

import pytest

from raypipe.engine.records import Actor
from raypipe.store.ledger import SqlLedger
from raypipe.store.ledger_gate import REFUSALS, TRIGGERED
from raypipe.store.postgres_url import parse
from raypipe.store.rows import ProtectionRow, RefusalRow, VerdictRow

ANN = Actor(user="ann", host="laptop", name="Ann")
BOB = Actor(user="bob", host="laptop")


@pytest.fixture(params=["sqlite", "postgres"])
def ledger(request, tmp_path) -> Iterator[SqlLedger]:
    if request.param == "sqlite":
        place = tmp_path / "ledger.db"
    else:
        place = parse(request.getfixturevalue("postgres").url())
    ledger = SqlLedger.open(place, now=lambda: 7.0)
    yield ledger
    ledger.close()


def verdict(word: str, evidence: str = "e1", content: str = "d1", **more) -> VerdictRow:
    return VerdictRow(
        content=content, verdict=word, dataset="x", evidence=evidence, actor=ANN, **more
    )


def test_what_was_said_of_data_is_found_by_its_content_newest_first(ledger):
    ledger.gate.add_verdict(verdict("stop", run="r1"))
    ledger.gate.add_verdict(verdict("accepted", note="a recount"))
    ledger.gate.add_verdict(verdict("pass", content="d2"))
    newest, first = ledger.gate.verdicts("d1")
    assert (newest.verdict, newest.note, newest.actor, newest.time) == (
        "accepted", "a recount", ANN, 7.0,
    )  # fmt: skip
    assert (first.verdict, first.run, first.lets_in) == ("stop", "r1", False)
    assert ledger.gate.verdicts("d3") == []
    assert [one.content for one in ledger.gate.accepted()] == ["d1"]


def test_the_same_on_the_same_evidence_is_said_once(ledger):
    ledger.gate.add_verdict(verdict("pass", run="r1"))
    ledger.gate.add_verdict(verdict("pass", run="r2"))
    ledger.gate.add_verdict(verdict("pass", evidence="e2", run="r3"))
    assert [one.run for one in ledger.gate.verdicts("d1")] == ["r3", "r1"]


def test_a_branch_is_protected_until_it_is_not(ledger):
    row = ProtectionRow(
        dataset="lakefs://a/main", gate="http://h:1", action="a1", server="http://l", actor=ANN
    )
    ledger.gate.protect(row)
    ledger.gate.protect(ProtectionRow(dataset="lakefs://a/main", gate="http://h:2", actor=BOB))
    ledger.gate.protect(ProtectionRow(dataset="local://b/main", actor=ANN))
    held = {one.dataset: (one.gate, one.action, one.actor) for one in ledger.gate.protections()}
    assert held == {
        "lakefs://a/main": ("http://h:2", "", BOB),
        "local://b/main": ("", "", ANN),
    }
    ledger.gate.unprotect("lakefs://a/main")
    ledger.gate.unprotect("lakefs://a/main")
    assert [one.dataset for one in ledger.gate.protections()] == ["local://b/main"]


def test_the_newest_refusals_of_a_branch_are_kept_and_no_more(ledger):
    """Whoever asks for ever fills no disk, and takes no other branch's from view."""

    def refusal(dataset: str, reason: str) -> RefusalRow:
        return RefusalRow(
            dataset=dataset, event="pre-merge", source="new", commit="c1", reason=reason
        )

    ledger.gate.add_refusal(refusal("b", "other"))
    for number in range(REFUSALS + 5):
        ledger.gate.add_refusal(refusal("a", str(number)))
    reasons = [one.reason for one in ledger.gate.refusals("a")]
    assert reasons == [str(number) for number in range(REFUSALS + 4, 4, -1)]
    assert len(ledger.gate.refusals("a", 3)) == 3
    (other,) = ledger.gate.refusals("b")
    assert other == RefusalRow(
        dataset="b", event="pre-merge", source="new", commit="c1", reason="other", time=7.0
    )


def test_a_commit_began_a_run_of_each_target_once(ledger):
    gate = ledger.gate
    gate.add_triggered("flights", "a", "c1")
    gate.add_triggered("flights", "a", "c1")
    assert gate.has_triggered("flights", "a", "c1")
    assert not gate.has_triggered("flights", "a", "c2")
    assert not gate.has_triggered("other", "a", "c1")
    assert not gate.has_triggered("flights", "b", "c1")
    for number in range(TRIGGERED):
        gate.add_triggered("flights", "a", f"d{number}")
    assert not gate.has_triggered("flights", "a", "c1")
    assert gate.has_triggered("flights", "a", "d0")
