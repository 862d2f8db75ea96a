"""Runs are found by a curve whose name has dots of its own, and by none that ends alike."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from raypipe.app.find_runs import find_runs
from raypipe.app.where import read_where
from raypipe.engine.records import Actor, Metric, RunRecord, RunStatus
from raypipe.store.ledger import SqlLedger

CURVES = {
    "one": {"train": {"accuracy": 0.5}, "ask": {"edge.night.accuracy": 0.9}},
    "two": {"train": {"accuracy": 0.9}, "ask": {"edge.night.accuracy": 0.5}},
}


@pytest.fixture
def workshop(tmp_path: Path) -> Any:
    ledger = SqlLedger.open(tmp_path / "ledger.db")
    ann = Actor(user="ann", host="laptop")
    for number, (name, steps) in enumerate(CURVES.items()):
        told = {"project": "mine", "pipeline": "flow", "status": RunStatus.SUCCEEDED}
        ledger.start_run(RunRecord(id=name, created=float(number), actor=ann, **told))
        for step, curves in steps.items():
            points = [Metric(name=c, value=v, step=0, time=1.0) for c, v in curves.items()]
            ledger.record_metrics(name, step, points)
    return SimpleNamespace(ledger=ledger)


@pytest.mark.parametrize(
    ("where", "sort", "found"),
    [
        ("edge.night.accuracy > 0.8", None, ["one"]),
        ("ask.edge.night.accuracy > 0.8", None, ["one"]),
        ("accuracy > 0.8", None, ["two"]),
        ("train.accuracy > 0.8", None, ["two"]),
        (None, "-edge.night.accuracy", ["one", "two"]),
        (None, "edge.night.accuracy", ["two", "one"]),
        (None, "-accuracy", ["two", "one"]),
    ],
)
def test_a_name_with_dots_is_its_own_curve(workshop, where, sort, found):
    asked = None if where is None else read_where(where)
    assert [one.run.id for one in find_runs(workshop, 20, asked, sort)] == found
