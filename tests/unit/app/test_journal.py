"""A run that is under way is read from its journal by others; afterwards there is none."""

import json
from pathlib import Path

import pytest

from raypipe.app import journal
from raypipe.app.journal import Journal, at_work
from raypipe.engine.events import (
    RunStarted,
    StepEnded,
    StepExpanded,
    StepProgress,
    StepStarted,
)
from raypipe.engine.records import Reason, StepState

STARTED = RunStarted(run="r", pipeline="p", steps=("load", "double", "train"))


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "runs" / "r" / "events.jsonl"


def began(step: str) -> StepStarted:
    return StepStarted(step=step, reason="new", where="inline")


def ended(step: str, action: str = "execute") -> StepEnded:
    state = StepState(name=step, action=action, reason=Reason(kind="new"), digest="d")  # type: ignore[arg-type]
    return StepEnded(state=state)


def progress(step: str, done: float) -> StepProgress:
    return StepProgress(step=step, done=done, total=10, what="rows")


def test_a_run_that_executes_nothing_writes_nothing(file):
    told = []
    written = Journal(file, told.append)
    for event in (STARTED, ended("load", "hit")):
        written(event)
    written.close()
    assert not file.parent.exists()
    assert len(told) == 2


def test_what_ended_what_is_at_work_and_what_is_to_come_is_read_by_others(file):
    written = Journal(file, lambda event: None)
    events = [STARTED, ended("load", "hit"), StepExpanded(step="double", items=3)]
    for event in (*events, began("double[0]"), progress("double[0]", 5)):
        written(event)
    found = at_work(file)
    assert [one["name"] for one in found.ended] == ["load"]
    (one,) = found.at_work.values()
    assert (one["step"], one["done"], one["what"]) == ("double[0]", 5, "rows")
    assert found.to_come == 4

    written(ended("double[0]"))
    assert at_work(file).at_work == {}
    written.close()
    assert not file.exists()
    assert at_work(file) == journal.AtWork()


def test_progress_of_a_batch_is_that_of_each_of_its_items(file):
    written = Journal(file, lambda event: None)
    for event in (STARTED, began("b[0]"), began("b[1]"), progress("b", 5)):
        written(event)
    assert {name: one["done"] for name, one in at_work(file).at_work.items()} == {
        "b[0]": 5,
        "b[1]": 5,
    }
    written.close()


def test_a_flood_of_progress_is_no_flood_of_lines(file):
    written = Journal(file, lambda event: None)
    written(began("a"))
    for done in range(1_000):
        written(progress("a", done))
    assert len(file.read_text().splitlines()) < 100
    written.close()


def test_a_torn_line_is_passed_over(file):
    written = Journal(file, lambda event: None)
    written(STARTED)
    written(began("a"))
    with file.open("a") as torn:
        torn.write(json.dumps({"event": "step_ended"})[:10])
    assert list(at_work(file).at_work) == ["a"]
    written.close()


def test_a_journal_that_cannot_be_written_does_not_end_the_run(tmp_path):
    (tmp_path / "runs").write_text("a file where a folder should be")
    told = []
    written = Journal(tmp_path / "runs" / "r" / "events.jsonl", told.append)
    written(began("a"))
    written(ended("a"))
    written.close()
    assert len(told) == 2
