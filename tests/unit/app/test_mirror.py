"""What of a run is copied to MLflow, and when."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from raypipe.app import mirror
from raypipe.config.mirroring import MlflowConfig
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


def test_notes_and_tags_are_no_more_than_mlflow_takes():
    found = mirror.tags(RUN, [], ["x" * 4_000, "y" * 4_000])
    assert len(found["mlflow.note.content"]) == mirror.LONGEST_TAG


def test_as_many_tags_as_there_are_go_in_groups():
    sent = []

    class Client:
        def log_batch(self, run, *, tags=(), params=(), metrics=()):
            sent.append(len(tags))

    class Ledger:
        def remarks(self, runs):
            said = SimpleNamespace(kind="tag")
            return {RUN.id: [SimpleNamespace(**vars(said), said=f"t{n}") for n in range(150)]}

        def run_steps(self, run):
            return []

    pytest.importorskip("mlflow")
    mirror._log(Client(), "own", SimpleNamespace(ledger=Ledger()), RUN)
    assert max(sent) <= mirror.TAGS
    assert sum(sent) == len(mirror.tags(RUN, [], [])) + 150


@pytest.mark.parametrize(
    ("text", "name"),
    [("a//b///c", "a/b/c"), ("../x", "x"), ("a/../b", "a/b"), ("..", "_"), ("a:b", "a_b")],
)
def test_a_name_is_a_path_that_mlflow_takes(text, name):
    assert list(mirror.parameters(replace(RUN, settings={text: 1}))) == [name]


def test_a_login_in_an_address_is_refused_and_not_shown():
    with pytest.raises(ValidationError) as refused:
        MlflowConfig(uri="https://ann:secret@there")
    assert [one["msg"] for one in refused.value.errors()] == [
        "Value error, it holds a login, and settings are kept; use {env: NAME}, or MLflow's own "
        "variables MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    ]
    assert MlflowConfig(uri="https://there/@x").uri == "https://there/@x"
