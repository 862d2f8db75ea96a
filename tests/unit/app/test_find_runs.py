"""Runs are found and ordered by what they came to, whatever the ledger's indices know of it."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from raypipe.app.find_runs import find_runs
from raypipe.app.where import read_where
from raypipe.engine.records import Actor, Metric, RunRecord, RunStatus
from raypipe.errors import UsageError
from raypipe.store.ledger import SqlLedger


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Any]:
    """Three runs: `a` is better after `look`, `b` after `fit`; `c` has a setting like a curve."""
    with closing(SqlLedger.open(tmp_path / "ledger.db")) as ledger:
        for number, (run, ends) in enumerate(
            {
                "a": {"fit.auc": 0.5, "look.auc": 0.99},
                "b": {"fit.auc": 0.9, "look.auc": 0.1, "look.rate": 1.0},
                "c": {"look.auc": 0.95},
            }.items()
        ):
            ledger.start_run(
                RunRecord(
                    id=f"2026010{number}-000000-aaaaaa",
                    project="mine",
                    pipeline=run,
                    status=RunStatus.RUNNING,
                    created=float(number),
                    actor=Actor(user="ann", host="laptop"),
                    settings={"training": {"rate": 0.1 * number}},
                )
            )
            for key, value in ends.items():
                step, name = key.split(".")
                points = [Metric(name=name, step=1, value=value, time=0.0)]
                ledger.record_metrics(f"2026010{number}-000000-aaaaaa", step, points)
            ledger.end_run(f"2026010{number}-000000-aaaaaa", RunStatus.SUCCEEDED, None)
        yield SimpleNamespace(ledger=ledger)


def found(workshop: Any, where: str | None = None, sort: str | None = None, limit: int = 5) -> str:
    asked = None if where is None else read_where(where)
    return "".join(one.run.pipeline for one in find_runs(workshop, limit, asked, sort))


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("-fit.auc", "bac"),
        ("fit.auc", "abc"),
        ("-look.auc", "acb"),
        ("-auc", "acb"),
        ("auc", "bca"),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_the_first_are_first_by_the_step_that_is_named(workshop, sort, order, limit):
    assert found(workshop, sort=sort, limit=limit) == order[:limit]


def test_a_setting_is_no_curve_of_another_step_that_ends_like_its_name(workshop):
    assert found(workshop, "training.rate > 0.05") == "cb"
    assert found(workshop, "look.rate > 0.05") == "b"


@pytest.mark.parametrize("text", ["auc < 1" + "0" * 400, "auc > -1" + "0" * 400, "auc < 1e999"])
def test_a_number_that_no_ledger_holds_is_a_bound_like_any(workshop, text):
    assert found(workshop, text) == "cba"


@pytest.mark.parametrize("text", [r"'\ud800' in tags", r"pipeline == '\0'", r"'\x00' in tags"])
def test_a_text_that_no_ledger_holds_is_refused(workshop, text):
    with pytest.raises(UsageError, match="cannot be asked"):
        found(workshop, text)


CURVES = {
    "one": {"train": {"accuracy": 0.5}, "ask": {"edge.night.accuracy": 0.9}},
    "two": {"train": {"accuracy": 0.9}, "ask": {"edge.night.accuracy": 0.5}},
}


@pytest.fixture
def dotted(tmp_path: Path) -> Any:
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
def test_a_name_with_dots_is_its_own_curve(dotted, where, sort, found):
    asked = None if where is None else read_where(where)
    assert [one.run.id for one in find_runs(dotted, 20, asked, sort)] == found
