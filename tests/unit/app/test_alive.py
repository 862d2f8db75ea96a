"""Runs whose process is gone are told from those that came to rest while one looked."""

import pytest

from raypipe.app.alive import as_it_is, end_lost_runs
from raypipe.app.assemble import Workshop
from raypipe.app.look import workshop_of
from raypipe.engine.records import Actor, RunRecord, RunStatus

RUN = RunRecord(
    id="20260101-000001-aaaaaa",
    project="mine",
    pipeline="flow",
    status=RunStatus.RUNNING,
    created=1.0,
    actor=Actor(user="ann", host="laptop"),
    parameters={"target": "flow.py"},
    settings={"notify": [{"url": "http://127.0.0.1:9/", "on": ["failed"], "timeout": 2.0}]},
)


@pytest.fixture
def workshop(tmp_path) -> Workshop:
    opened = workshop_of(tmp_path / "home")
    opened.ledger.start_run(RUN)
    return opened


@pytest.fixture
def ending(workshop, monkeypatch) -> Workshop:
    """A workshop whose run comes to rest just as one asks whether its claim is held."""
    asked = workshop.claims.standing

    def standing(name: str) -> str:
        workshop.ledger.end_run(RUN.id, RunStatus.SUCCEEDED)
        return asked(name)

    monkeypatch.setattr(workshop.claims, "standing", standing)
    return workshop


def test_a_run_whose_claim_is_free_has_failed(workshop):
    assert as_it_is(workshop, RUN).status == RunStatus.FAILED
    end_lost_runs(workshop)
    assert workshop.ledger.standing(RUN.id)[0] == RunStatus.FAILED
    assert len(workshop.ledger.outbox()) == 1


def test_a_run_that_comes_to_rest_while_it_is_looked_at_is_not_taken_for_lost(ending):
    end_lost_runs(ending)
    assert ending.ledger.standing(RUN.id) == (RunStatus.SUCCEEDED, None)
    assert ending.ledger.outbox() == []


def test_a_run_that_comes_to_rest_while_it_is_looked_at_is_shown_as_it_ended(ending):
    shown = as_it_is(ending, RUN)
    assert (shown.status, shown.error) == (RunStatus.SUCCEEDED, None)
