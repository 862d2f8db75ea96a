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


def record(ledger: SqlLedger, runs: dict[str, dict[str, dict[str, float]]]) -> None:
    """Keep runs, each of a pipeline of its name, with the ends of each step's curves."""
    ann = Actor(user="ann", host="laptop")
    for number, (name, steps) in enumerate(runs.items()):
        told = {"project": "mine", "pipeline": name, "status": RunStatus.SUCCEEDED}
        ledger.start_run(RunRecord(id=name, created=float(number), actor=ann, **told))
        for step, ends in steps.items():
            points = [Metric(name=c, value=v, step=0, time=1.0) for c, v in ends.items()]
            ledger.record_metrics(name, step, points)


CURVES = {
    "one": {"train": {"accuracy": 0.5}, "ask": {"edge.night.accuracy": 0.9}},
    "two": {"train": {"accuracy": 0.9}, "ask": {"edge.night.accuracy": 0.5}},
}


@pytest.fixture
def dotted(tmp_path: Path) -> Iterator[Any]:
    with closing(SqlLedger.open(tmp_path / "ledger.db")) as ledger:
        record(ledger, CURVES)
        yield SimpleNamespace(ledger=ledger)


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


REVIEWS = {
    "a": {"train": {"auc": 0.9}, "evaluate": {"analysis.auc": 0.6, "analysis.brier": 0.1}},
    "b": {"train": {"auc": 0.8}, "evaluate": {"analysis.auc": 0.8, "analysis.brier": 0.2}},
    "c": {"train": {"auc": 0.95}},
    "d": {"train": {"loss": 0.5}},
    "e": {"train": {"auc": 0.7}, "evaluate": {"analysis.auc": 0.7}},
}


@pytest.fixture
def reviewed(tmp_path: Path) -> Iterator[Any]:
    """Runs of which some came to their review, where their figures differ from their curves'."""
    with closing(SqlLedger.open(tmp_path / "ledger.db")) as ledger:
        record(ledger, REVIEWS)
        yield SimpleNamespace(ledger=ledger)


@pytest.mark.parametrize(
    ("where", "order"),
    [
        ("auc > 0.65", "ecb"),
        ("auc > 0.85", "c"),
        ("train.auc > 0.85", "ca"),
        ("analysis.auc > 0.65", "eb"),
        ("evaluate.analysis.auc > 0.65", "eb"),
        ("brier < 0.15", "a"),
        ("auc > 0.65 or loss > 0", "edcb"),
        ("not auc > 0.65", "da"),
    ],
)
def test_a_metric_is_the_figure_of_the_review_where_there_is_one(reviewed, where, order):
    assert found(reviewed, where) == order


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("-auc", "beacd"),
        ("auc", "aebcd"),
        ("-train.auc", "cabed"),
        ("-analysis.auc", "beadc"),
        ("brier", "abedc"),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
def test_figures_of_reviews_come_before_the_ends_of_curves(reviewed, sort, order, limit):
    assert found(reviewed, sort=sort, limit=limit) == order[:limit]
    by_reading = found(reviewed, "id in ['a', 'b', 'c', 'd', 'e']", sort, limit)
    assert by_reading == order[:limit]
    assert found(reviewed, "auc > 0 or loss > 0", sort, limit) == order[:limit]


def test_what_a_name_means_is_told_of_each_run(reviewed):
    by_name = {one.run.id: one for one in find_runs(reviewed, 9, None, None)}
    assert by_name["a"].whole_name("auc") == "analysis.auc"
    assert by_name["c"].whole_name("auc") == "train.auc"
    assert by_name["a"].whole_name("train.auc") == "train.auc"
    assert by_name["a"].whole_name("status") == "status"
