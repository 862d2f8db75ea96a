"""Who is to be told is told once, however the line fails; what he will not have is said."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from raypipe.app import notices
from raypipe.app.assemble import Workshop, open_workshop
from raypipe.app.outbox import deliver_due
from raypipe.engine.records import Actor, Review, RunRecord, RunStatus
from tests.receiver import Receiver, receiver

RUN = RunRecord(
    id="20260101-000000-aaaaaa",
    project="mine",
    pipeline="tiny",
    status=RunStatus.RUNNING,
    created=0.0,
    actor=Actor(user="ann", host="laptop"),
)
REVIEW = Review(
    id="abc123",
    project="mine",
    pipeline="tiny",
    step="look",
    run=RUN.id,
    evidence="e1",
    status="open",
    created=0.0,
)


@pytest.fixture
def told() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return open_workshop(tmp_path, tmp_path / ".raypipe", write=True)


def settings(url: object, *on: str, timeout: float = 5.0) -> dict:
    return {"notify": [{"url": url, "on": list(on or ("review",)), "timeout": timeout}]}


def ask(workshop: Workshop, url: object, timeout: float = 5.0) -> str:
    (effect,) = notices.of_review(settings(url, timeout=timeout), REVIEW)
    workshop.ledger.ask_for([effect])
    return effect.key


def test_nobody_is_told_of_what_he_did_not_ask_for():
    to = settings("http://there", "failed")
    assert notices.of_review(to, REVIEW) == ()
    assert notices.of_review(None, REVIEW) == ()
    for status in (RunStatus.SUCCEEDED, RunStatus.WAITING, RunStatus.CANCELLED):
        assert notices.of_run(RUN, status, None) == ()


def test_a_run_that_was_rejected_failed_for_who_is_told_of_failures():
    from dataclasses import replace

    run = replace(RUN, settings=settings("http://there", "failed", "succeeded"))
    (effect,) = notices.of_run(run, RunStatus.REJECTED, {"message": "bob said no"})
    body = effect.payload["body"]
    assert (body["event"], body["status"]) == ("failed", "rejected")
    assert body["text"] == f"tiny: run {RUN.id} rejected: bob said no"


@pytest.mark.parametrize("fault", ["drop", 500, 503, 429])
def test_what_was_not_answered_is_posted_again_under_the_same_key(workshop, told, fault):
    key = ask(workshop, told.url)
    told.answers.extend([fault, 200])
    assert deliver_due(workshop) == []
    assert list(told.taken) == [key]
    assert told.events == ["review"]
    assert workshop.ledger.effect(key).attempts == 2


def test_who_does_not_answer_at_all_is_not_waited_for_long(workshop, told):
    key = ask(workshop, told.url, timeout=0.2)
    told.answers.extend(["hang"])
    (left,) = deliver_due(workshop, patience=0.0)
    assert (left.status, "did not answer: timed out" in (left.error or "")) == ("waiting", True)
    deliver_due(workshop)
    assert list(told.taken) == [key]


@pytest.mark.parametrize("status", [301, 400, 404])
def test_what_is_refused_is_given_up_with_what_to_do(workshop, told, status):
    ask(workshop, told.url)
    told.answers.extend([status])
    (left,) = deliver_due(workshop)
    assert left.status == "given up"
    assert f"answered {status}, and will not have it (mend `notify`" in (left.error or "")
    assert "secret-path" not in (left.error or "")


def test_an_address_in_the_environment_is_read_where_it_is_told(workshop, told, monkeypatch):
    key = ask(workshop, {"env": "HOOK"})
    (left,) = deliver_due(workshop, patience=0.0)
    assert "HOOK is not set in the environment" in (left.error or "")
    monkeypatch.setenv("HOOK", told.url)
    deliver_due(workshop)
    assert list(told.taken) == [key]
    assert "secret-path" not in str(workshop.ledger.effect(key))


def test_nobody_listens(workshop):
    ask(workshop, "http://127.0.0.1:9/")
    (left,) = deliver_due(workshop, patience=0.0)
    assert left.error == "127.0.0.1:9 did not answer: [Errno 111] Connection refused"
