"""Who is to be told is told once, though the line fails and drivers are killed."""

import signal
from collections.abc import Iterator

import pytest

from raypipe.app.assemble import open_workshop
from raypipe.engine.records import Effect
from raypipe.fault_points import VARIABLE
from raypipe.store.ledger_place import VARIABLE as LEDGER
from tests.acceptance import tiny
from tests.conftest import Project
from tests.receiver import Receiver, receiver


@pytest.fixture
def told() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def notify(project: Project, url: str, *on: str) -> None:
    text = f"notify:\n  - {{url: '{url}', on: [{', '.join(on)}], timeout: 2}}\n"
    settings = project.folder / "tiny.yaml"
    settings.write_text(settings.read_text() + text)


def test_a_review_that_opens_is_told_though_the_first_answer_is_lost(
    imported: Project, told: Receiver
) -> None:
    notify(imported, told.url, "review", "failed")
    told.answers.extend(["drop", 503])
    said = tiny.run(imported)
    assert said.result["status"] == "waiting", said.err
    assert told.events == ["review"]
    (body,) = told.taken.values()
    assert body["review"] == said.result["reviews"][0]["id"]
    assert imported.raypipe("review", "show", body["review"]).code == 0
    shown = imported.raypipe("outbox", "list", "--status", "delivered", "--json")
    assert [one["attempts"] for one in shown.result["effects"]] == [3]

    assert tiny.run(imported).result["status"] == "waiting"
    assert len(told.taken) == 1, "the review was open before"


@pytest.mark.parametrize(
    "point",
    [
        "run.ended",
        "effect.done",
        pytest.param("effect.begun", marks=pytest.mark.long),
        pytest.param("effect.recorded", marks=pytest.mark.long),
    ],
)
def test_kill_9_of_the_driver_tells_nobody_twice_and_nobody_never(
    trained: Project, told: Receiver, point: str
) -> None:
    notify(trained, told.url, "succeeded")
    tiny.approve(trained)
    fault = point if point == "run.ended" else f"{point}:2"  # the first effect is the gateway's
    process = trained.start("run", "tiny.yaml", "--runtime", "inline", **{VARIABLE: fault})
    process.communicate(timeout=240)
    assert process.returncode == -signal.SIGKILL

    trained.raypipe("outbox", "deliver", "--json")

    assert trained.raypipe("outbox", "list", "--json").result["effects"] == []
    every = trained.raypipe("outbox", "list", "--status", "all", "--json").result["effects"]
    assert [one["kind"] for one in every] == ["gateway", "notice"]
    assert told.events == ["succeeded"]


@pytest.fixture(params=["sqlite", "postgres"])
def asked(request, project: Project, told: Receiver, monkeypatch) -> Project:
    """A home in whose ledger a notice waits."""
    if request.param == "postgres":
        monkeypatch.setenv(LEDGER, request.getfixturevalue("postgres").url())
    payload = {"url": told.url, "timeout": 2.0, "body": {"event": "failed"}}
    workshop = open_workshop(project.folder, project.folder / ".raypipe", write=True)
    workshop.ledger.ask_for([Effect(key="notice:one", kind="notice", payload=payload)])
    workshop.ledger.close()
    return project


@pytest.mark.parametrize("point", ["effect.begun", "effect.done", "effect.recorded"])
def test_whoever_carries_it_out_may_be_killed_wherever_the_ledger_is(
    asked: Project, told: Receiver, point: str
) -> None:
    process = asked.start("outbox", "deliver", **{VARIABLE: point})
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL

    assert asked.raypipe("outbox", "deliver").code == 0

    (one,) = asked.raypipe("outbox", "list", "--status", "all", "--json").result["effects"]
    assert (one["status"], one["attempts"]) == ("delivered", 1 if point == "effect.recorded" else 2)
    assert list(told.taken) == ["notice:one"]


def test_a_line_that_is_dead_fails_no_run_and_is_told(trained: Project, told: Receiver) -> None:
    notify(trained, "http://127.0.0.1:9/", "succeeded")
    notify_twice = trained.folder / "tiny.yaml"
    notify_twice.write_text(
        notify_twice.read_text() + f"  - {{url: '{told.url}', on: succeeded}}\n"
    )
    tiny.approve(trained)
    said = tiny.run(trained)
    assert (said.code, said.result["status"]) == (2, "failed")  # `on` is a list
    notify_twice.write_text(notify_twice.read_text().replace("on: succeeded", "on: [succeeded]"))

    said = tiny.run(trained)

    assert (said.code, said.result["status"]) == (0, "succeeded")
    assert said.result["outbox"]["waiting"] == 1
    assert "1 effect not carried out yet" in said.err
    assert "Connection refused" in said.err
    assert told.events == ["succeeded"]
    (left,) = trained.raypipe("outbox", "list", "--json").result["effects"]
    assert trained.raypipe("outbox", "deliver").code == 8
    assert trained.raypipe("outbox", "drop", left["key"]).code == 0
    assert trained.raypipe("outbox", "deliver").code == 0
    assert trained.raypipe("outbox", "retry", left["key"]).code == 0
    assert trained.raypipe("outbox", "retry", "notice:run:none").code == 9
