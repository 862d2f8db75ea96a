"""What of a run is copied to MLflow, and when."""

from dataclasses import replace

import pytest

from raypipe.app import mirror
from raypipe.engine.records import Actor, RunRecord, RunStatus

RUN = RunRecord(
    id="20260101-000000-aaaaaa",
    project="mine",
    pipeline="tiny",
    status=RunStatus.SUCCEEDED,
    created=0.0,
    actor=Actor(user="ann", host="laptop"),
    settings={
        "track": {"mlflow": {"uri": "http://there", "experiment": ""}},
        "training": {"epochs": 3, "name": "x" * 900},
        "groups": [{"columns": ["a", "b"]}],
    },
    commits={"local://tiny/main": "c1"},
)


@pytest.mark.parametrize("status", mirror.ENDS)
def test_each_end_of_a_run_asks_for_one_copy_under_a_key_of_its_own(status):
    (effect,) = mirror.of_run(RUN, status)
    assert effect.payload["experiment"] == "tiny"
    assert str(status) in effect.key
    assert mirror.of_run(RUN, status) == (effect,)


def test_nothing_is_copied_unless_asked_for_or_before_the_end():
    assert mirror.of_run(RUN, RunStatus.RUNNING) == ()
    assert mirror.of_run(replace(RUN, settings={"training": {}}), RunStatus.SUCCEEDED) == ()
    assert mirror.of_run(replace(RUN, settings=None), RunStatus.SUCCEEDED) == ()


def test_settings_are_texts_that_mlflow_takes():
    found = mirror.parameters(RUN)
    assert found["training.epochs"] == "3"
    assert len(found["training.name"]) == mirror.LONGEST
    assert found["groups.0.columns"] == "['a', 'b']"


def test_tags_say_where_a_copy_comes_from():
    found = mirror.tags(RUN, ["good"], ["one", "two"])
    assert found[mirror.OURS] == RUN.id
    assert found["raypipe.tag.good"] == "true"
    assert found["mlflow.note.content"] == "one\n\ntwo"
    assert found["raypipe.data.local_/tiny/main"] == "c1"
    assert "raypipe.code" not in found
