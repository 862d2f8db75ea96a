"""Runs are found by what they were given just as if each were read, in either database."""

from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import pytest

from raypipe.app.find_runs import Facts, find_runs
from raypipe.app.where import read_where
from raypipe.engine.records import Actor, Metric, RunRecord, RunStatus
from raypipe.errors import UsageError
from raypipe.store.ledger import SqlLedger
from raypipe.store.retention import Keep
from tests.contract.test_ledger_migrations import (
    new_place,  # noqa: F401
    place,  # noqa: F401
)

ANN = Actor(user="ann", host="laptop")
GIVEN: dict[str, tuple[Any, dict[str, str]]] = {
    "none": (None, {}),
    "three": ({"training": {"epochs": 3, "model": {"hidden": [64, 32]}}}, {}),
    "five": ({"training": {"epochs": 5, "rate": 0.5}, "auc": 0.1}, {}),
    "true": ({"training": {"epochs": True}}, {}),
    "text": ({"training": {"epochs": "3", "name": "x" * 500}}, {}),
    "null": ({"training": {"epochs": None}, "groups": [{"kind": "numeric"}]}, {}),
    "dotted": ({"training.epochs": 7, "training": {"epochs": 3}}, {}),
    "typed": ({}, {"rate": "0.5", "word": "fast", "training.epochs": "9"}),
    "curve": ({"training": {"epochs": 3}}, {}),
}
ASKED = (
    "training.epochs == 3",
    "training.epochs == 1",
    "training.epochs == 7",
    "training.epochs == '3'",
    "training.epochs == none",
    "training.epochs != 3",
    "training.epochs > 3",
    "3 <= training.epochs < 6",
    "training.epochs in [3, 5, 9]",
    "training.epochs in 'a 3'",
    "training.epochs is none",
    "not training.epochs == 3",
    "training.epochs == 3 or rate == 0.5",
    "training.epochs == 3 and auc > 0.5",
    "training.epochs == 99",
    "training.epochs == 3 and training.rate == 0.5",
    "training.model.hidden[0] == 64",
    "training.model.hidden['00'] == 64",
    "training.model.hidden == [64, 32]",
    "training.name == 'short'",
    "training.name > 'w'",
    "groups[0].kind == 'numeric'",
    "rate == 0.5",
    "word == 'fast'",
    "training.rate > 0.1",
    "auc in [0.1, 0.9]",
    "auc == 0.9",
)


@pytest.fixture
def ledger(place) -> Iterator[SqlLedger]:  # noqa: F811
    """A run of each kind; `curve` has a curve that is named like a setting of others."""
    with closing(place.open()) as ledger:
        for number, (name, (settings, parameters)) in enumerate(GIVEN.items()):
            enter(ledger, name, float(number), settings, parameters)
        points = [Metric(name="auc", step=0, value=0.9, time=0.0)]
        ledger.record_metrics("curve", "fit", points)
        yield ledger


def enter(ledger: SqlLedger, name: str, at: float, settings: Any, parameters: Any) -> None:
    ledger.start_run(
        RunRecord(
            id=name,
            project="mine",
            pipeline="flow",
            status=RunStatus.RUNNING,
            created=at,
            actor=ANN,
            settings=settings,
            parameters={"target": "flow.py", "parameters": parameters},
        )
    )
    ledger.end_run(name, RunStatus.SUCCEEDED)


def found(ledger: SqlLedger, text: str) -> list[str]:
    workshop: Any = SimpleNamespace(ledger=ledger)
    return [one.run.id for one in find_runs(workshop, 20, read_where(text), None)]


@pytest.mark.parametrize("few", [1_000, 0], ids=["few", "page by page"])
def test_the_runs_that_are_found_are_those_of_which_it_holds(ledger, few, monkeypatch):
    monkeypatch.setattr("raypipe.store.ledger_finding.FEW", few)
    runs = ledger.list_runs()
    ends = ledger.ends([run.id for run in runs])
    for text in ASKED:
        where = read_where(text)
        held = [r.id for r in runs if where.holds(Facts(r, ends.get(r.id, {}), ()).find)]
        assert found(ledger, text) == held, text


def test_a_name_that_no_run_has_is_told_and_one_that_an_old_run_has_is_not(ledger):
    with pytest.raises(UsageError, match=r"has 'training.epoch'") as told:
        found(ledger, "training.epoch == 3")
    assert "training.epochs" in str(told.value.hint)
    assert found(ledger, "training.rate == 0.25") == []


def test_what_runs_were_given_goes_with_the_last_of_them(ledger):
    keep = Keep(runs=5.0, newest=0, results=0.0, superseded=0.0, metrics=0.0, expired=0.0)
    assert ledger.given_values("training.rate") == ["0.5"]
    ledger.remove_old(ledger.find_old(keep))
    assert ledger.given_values("training.rate") == []
    assert found(ledger, "training.epochs == 3") == ["curve"]


def test_runs_of_an_older_ledger_are_found_by_what_they_were_given(place):  # noqa: F811
    place.fill(9)
    with closing(place.open()) as ledger:
        ledger.end_run("20251003-080000-000003", RunStatus.SUCCEEDED)
        assert found(ledger, "training.model.hidden[1] == 32") == ["20251002-080000-000002"]
        assert found(ledger, "rate == 0.5 and training.epochs == 3") == ["20251002-080000-000002"]
        assert found(ledger, "training.epochs == 4") == []
