"""A fact and what it asks for are entered once, though the server is lost as they are entered."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from raypipe.app import review, routes
from raypipe.app.alive import end_lost_runs
from raypipe.app.captured import REVIEW
from raypipe.app.look import look, workshop_of
from raypipe.app.prepare import prepare
from raypipe.app.request import RunRequest
from raypipe.app.run import run_prepared
from raypipe.engine.records import Actor, Review, RunRecord, RunStatus
from raypipe.store.ledger_place import VARIABLE
from raypipe.store.rows import ModelVersionRow
from tests.postgres import Cutting, Postgres
from tests.receiver import Receiver, receiver

ANN = Actor(user="ann", host="laptop")
RUN = RunRecord(
    id="20260101-000001-aaaaaa",
    project="mine",
    pipeline="flow.feedback",
    status=RunStatus.RUNNING,
    created=1.0,
    actor=ANN,
)
COMMIT = b""
"""Each act asks for its effect last; a COMMIT by its name is said in the first ones only."""
FLOW = """
from raypipe import pipeline, step


@step
def one() -> int:
    return 1


@pipeline
def flow():
    return one()
"""


def notify(to: Receiver) -> dict[str, Any]:
    return {"notify": [{"url": to.url, "on": ["succeeded", "failed"], "timeout": 2.0}]}


def crown(home: Path, told: Receiver) -> None:
    routes.promote("delay@2.0.0", None, by="ann", home=home)


def divide(home: Path, told: Receiver) -> None:
    routes.set_route("delay", ["1.0.0=0.5", "2.0.0=0.5"], by="ann", home=home)


def challenge(home: Path, told: Receiver) -> None:
    routes.promote("delay@2.0.0", 0.1, by="ann", home=home)


def approve(home: Path, told: Receiver) -> None:
    assert review.decide("abc123", "approved", by="ann", note="fine", home=home)["note"] == "fine"


def find_it_lost(home: Path, told: Receiver) -> None:
    workshop = workshop_of(home)
    lost = replace(RUN, id="20260102-000001-bbbbbb", actor=workshop.actor, settings=notify(told))
    workshop.ledger.start_run(lost)
    end_lost_runs(workshop)


def run(home: Path, told: Receiver) -> None:
    script = f"flow_{home.parent.name}.py"  # one process imports both
    Path(script).write_text(FLOW)
    request = RunRequest(target=script, home=home)
    outcome = run_prepared(replace(prepare(request, write=True), settings=notify(told)), request)
    assert outcome.status == RunStatus.SUCCEEDED
    assert told.events == ["succeeded"]


@pytest.fixture
def told():
    with receiver() as made:
        yield made


def entered(home: Path) -> dict[str, Any]:
    """Return what there is of facts, and what they asked for."""
    ledger = look(home).ledger
    return {
        "aliases": [(one.alias, one.version) for one in ledger.alias_history("delay")],
        "routes": [one.shares for one in ledger.route_history("delay")],
        "reviews": [(one.id, one.status) for one in ledger.list_reviews()],
        "runs": [(one.pipeline, one.status) for one in ledger.list_runs()],
        "effects": [(one.kind, one.status) for one in ledger.outbox()],
    }


def begin(home: Path) -> None:
    """Enter two versions, a run that was lost and asked for a review."""
    ledger = workshop_of(home).ledger
    ledger.start_run(RUN)
    version = ModelVersionRow(
        model="delay", version="1.0.0", bundle="b", candidate="c", evaluation="e", run=RUN.id,
        created=1.0, actor=ANN, changelog={}, lineage={},
    )  # fmt: skip
    ledger.add_version(version, alias="champion")
    ledger.add_version(replace(version, version="2.0.0", bundle="b2"))
    ledger.open_review(
        Review(
            id="abc123", project="mine", pipeline=RUN.pipeline, step=REVIEW, run=RUN.id,
            evidence="e1", status="open", created=1.0,
        )
    )  # fmt: skip


@pytest.mark.parametrize("act", [crown, divide, challenge, approve, find_it_lost, run])
def test_an_act_whose_answer_was_lost_while_it_committed_enters_fact_and_effect_once(
    act: Callable[[Path, Receiver], None], postgres, told, tmp_path, monkeypatch
):
    monkeypatch.setenv("PGPASSWORD", Postgres.PASSWORD)

    def done(name: str, *words: bytes) -> dict[str, Any]:
        home = tmp_path / name / ".raypipe"
        home.parent.mkdir()
        monkeypatch.chdir(home.parent)
        told.posts.clear()
        with closing(Cutting(postgres.port)) as way:
            monkeypatch.setenv(VARIABLE, way.through(postgres.url()))
            begin(home)
            way.words = list(words)
            act(home, told)
            assert way.cuts == bool(words)
            return entered(home)

    expected = done("plain")
    assert expected["effects"]
    assert done("cut", b"INSERT INTO outbox", COMMIT) == expected
