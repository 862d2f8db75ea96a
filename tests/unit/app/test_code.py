"""The code that a run uses is kept once, and is the code that its steps were decided by."""

import os
from pathlib import Path

import pytest

from raypipe.app.assemble import Workshop, open_workshop
from raypipe.app.code import UsedCode, code_folder, packed_code
from raypipe.app.run import _keeping
from raypipe.engine.events import StepStarted, Warned
from raypipe.engine.records import Actor, RunRecord, RunStatus
from raypipe.errors import PipelineError, StoreError
from raypipe.store import snapshot

RUN = "20260101-000001-aaaaaa"
BEGAN = StepStarted(step="a", reason="new", where="inline")


@pytest.fixture
def workshop(tmp_path) -> Workshop:
    root = tmp_path / "project"
    root.mkdir()
    (root / "pyproject.toml").write_text("[project]\nname = 'mine'\n")
    (root / "lib.py").write_text("def f():\n    return 1\n")
    made = open_workshop(root, tmp_path / "home", write=True)
    made.ledger.start_run(
        RunRecord(
            id=RUN,
            project="mine",
            pipeline="flow",
            status=RunStatus.RUNNING,
            created=1.0,
            actor=Actor(user="ann", host="laptop"),
        )
    )
    return made


def test_the_code_is_kept_before_the_first_step_and_once(workshop):
    told = []
    used = UsedCode(workshop, RUN)
    listen = _keeping(used, told.append)
    listen(Warned(step="", text="x"))
    assert workshop.ledger.get_run(RUN).code == ""
    listen(BEGAN)
    kept = workshop.ledger.get_run(RUN).code
    (workshop.root / "lib.py").write_text("edited")
    listen(BEGAN)
    assert workshop.ledger.get_run(RUN).code == used.digest == kept != ""
    assert (code_folder(workshop, kept) / "lib.py").read_text() == "def f():\n    return 1\n"
    assert told == [Warned(step="", text="x"), BEGAN, BEGAN]


def test_a_project_with_too_much_in_it_runs_all_the_same_and_says_so(workshop, monkeypatch):
    monkeypatch.setattr(snapshot, "LARGEST", 10)
    told = []
    listen = _keeping(UsedCode(workshop, RUN), told.append)
    listen(BEGAN)
    listen(BEGAN)
    warned, *others = told
    assert "is not kept: the project" in warned.text
    assert others == [BEGAN, BEGAN]
    assert workshop.ledger.get_run(RUN).code == ""


def test_workers_are_given_the_code_that_the_steps_were_decided_by_and_no_other(workshop):
    used = UsedCode(workshop, RUN)
    assert workshop.sources.module("lib") is not None
    assert (used.folder() / "lib.py").exists()

    file = workshop.root / "lib.py"
    again = open_workshop(workshop.root, workshop.paths.home, write=True)
    assert again.sources.module("lib") is not None
    file.write_text("def f():\n    return 2\n")
    with pytest.raises(PipelineError, match=r"'lib\.py' changed after it was looked at"):
        UsedCode(again, RUN).folder()


def test_a_run_that_goes_on_uses_the_code_that_was_kept(workshop):
    kept = UsedCode(workshop, RUN)
    kept.keep()
    (workshop.root / "lib.py").write_text("edited")
    then = UsedCode(workshop, RUN, pinned=kept.digest)
    assert (then.folder() / "lib.py").read_text() != "edited"


def test_code_that_is_torn_is_never_used(workshop):
    used = UsedCode(workshop, RUN)
    used.keep()
    file: Path = workshop.paths.artifacts / used.digest
    file.chmod(0o644)
    with file.open("r+b") as torn:
        torn.seek(100)
        torn.write(b"xxxx")
    os.utime(file)
    fresh = open_workshop(workshop.root, workshop.paths.home, write=False)
    with pytest.raises(StoreError, match="gone or torn") as failed:
        packed_code(fresh, used.digest)
    assert "--code now" in str(failed.value.hint)
