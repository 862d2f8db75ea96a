"""Cleaning takes what nothing needs, says so first, and is safe beside runs that are under way."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from raypipe.app.clean import clean
from raypipe.app.doctor import verify
from raypipe.app.look import look
from raypipe.engine.records import Actor
from raypipe.errors import StoreError
from raypipe.store.sources import YOUNG
from raypipe.store.uses import Uses
from raypipe.store.versions import open_store
from raypipe.values.uri import parse_uri
from tests.conftest import Project

FLOW = """\
import random
from pathlib import Path

from raypipe import pipeline, step
from raypipe.engine.context import current


@step(cache=False)
def draw(who: str) -> list[bytes]:
    return [bytes([random.randrange(4)]) * 5_000 for _ in range(2)]


@step(cache=False)
def write(drawn: list[bytes]) -> Path:
    folder = current().scratch / "out"
    folder.mkdir(exist_ok=True)
    for number, content in enumerate(drawn):
        (folder / f"{number}.bin").write_bytes(content)
    return folder


@step
def size(folder: Path, drawn: list[bytes]) -> int:
    return sum(len(file.read_bytes()) for file in folder.iterdir()) + len(drawn)


@pipeline
def flow(who: str = ""):
    drawn = draw(who)
    return {"size": size(write(drawn), drawn)}
"""
LARGE = """\
from raypipe import pipeline, step


@step
def make() -> bytes:
    return b"x" * 900_000


@pipeline
def flow():
    return {"made": make()}
"""
RUNNER = """
import sys
from pathlib import Path
from raypipe.app.request import RunRequest
from raypipe.app.run import run

home, who = Path(sys.argv[1]), sys.argv[2]
for _ in range(12):
    request = RunRequest(target="flow.py", home=home, sets=(f"who={who}",))
    outcome = run(request)
    assert outcome.status == "succeeded", (outcome.failed, outcome.error)
    assert outcome.values == {"size": 10_002}
"""


@pytest.fixture
def flow(project: Project) -> Project:
    project.write("flow.py", FLOW)
    return project


def start(project: Project, home: Path, who: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", RUNNER, home, who],
        cwd=project.folder,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("kept", ["folder", "objects"])
def test_cleaning_beside_runs_takes_nothing_that_they_need(
    flow: Project, tmp_path, monkeypatch, kept: str
) -> None:
    """Each run's results replace those before, so that there is always something to remove.

    What a run publishes is often there already, left by another run and needed by nobody.
    """
    home = tmp_path / "home"
    if kept == "objects":
        monkeypatch.setenv("RAYPIPE_ARTIFACTS", f"file://{tmp_path}/objects")
    runners = [start(flow, home, who) for who in ("ann", "bob")]
    removed = []
    while any(runner.poll() is None for runner in runners):
        removed.append(clean(home, dry_run=False, runs=0)["count"]) if home.is_dir() else None
    for runner in runners:
        _, err = runner.communicate()
        assert runner.returncode == 0, err

    assert sum(removed) > 10
    clean(home, dry_run=False, runs=0)
    assert all(check.ok for check in verify(home))
    workshop = look(home)
    assert set(workshop.artifacts.list()) == workshop.ledger.live_artifacts()
    assert not list((home / "uses").glob("run-*"))
    assert not list(workshop.artifacts.leftovers(workshop.ledger.live_artifacts()))


@pytest.fixture
def cleaned(flow: Project) -> Project:
    """A flow that ran once, in a home where nothing is unneeded."""
    flow.run("flow.py", "--set", "who=ann")
    assert flow.raypipe("clean", "--json").result["clean"]["count"] == 0
    return flow


def test_modules_whose_files_are_gone_leave_the_index(cleaned: Project) -> None:
    helper = cleaned.folder / "helper.py"
    helper.write_text("A = 1\n")
    using = FLOW.replace("import random", "import random\n\nimport helper", 1)
    cleaned.write("flow.py", using.replace("len(drawn)\n", "len(drawn) * helper.A\n"))
    time.sleep(YOUNG / 1e9)  # the index keeps no file that may change again unseen
    cleaned.run("flow.py", "--set", "who=ann")
    index = home_of(cleaned) / "index" / "sources.json"
    assert str(helper) in index.read_bytes().decode(errors="replace")
    assert cleaned.raypipe("clean", "--json").result["clean"]["modules"] == 0

    helper.unlink()
    assert cleaned.raypipe("clean", "--json").result["clean"]["modules"] == 1
    assert str(helper) in index.read_bytes().decode(errors="replace"), "it was only asked"
    assert cleaned.raypipe("clean", "--yes", "--json").result["clean"]["modules"] == 1
    assert str(helper) not in index.read_bytes().decode(errors="replace")
    assert cleaned.raypipe("clean", "--json").result["clean"]["modules"] == 0


@pytest.mark.parametrize(
    "name",
    [
        "index/tmpabc",
        "requests/a.new",
        "requests/sealed/a.tmp",
        ".watch.json-aaaaaaaaaaaa",
        "gate_token.aaaaaaaa",
        "schemas/.tiny.yaml-aaaaaaaaaaaa",
    ],
)
def test_files_that_killed_writers_left_aside_go_after_a_day(cleaned: Project, name: str) -> None:
    left = home_of(cleaned) / name
    young = left.with_name("b".join(left.name.rsplit("a", 1)))
    for file in (left, young):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"12345")
    os.utime(left, times=(time.time() - 2 * 86_400,) * 2)
    said = cleaned.raypipe("clean", "--json").result["clean"]
    assert (said["count"], said["bytes"]) == (1, 5)
    assert left.name in said["shown"][0]
    assert cleaned.raypipe("clean", "--yes", "--json").result["clean"]["count"] == 1
    assert (left.exists(), young.exists()) == (False, True)


def home_of(project: Project) -> Path:
    return project.folder / ".raypipe"


def test_without_yes_it_is_only_said_what_would_go(cleaned: Project) -> None:
    stray = look(home_of(cleaned)).artifacts.put_bytes(b"nobody's")
    said = cleaned.raypipe("clean", "--json").result["clean"]
    names = ("runs", "results", "unused", "curves", "effects", "reviews", "withdrawn")
    expected = {
        "count": 1,
        "bytes": 8,
        "shown": [f"artifact {stray.digest[:12]}"],
        "ledger": dict.fromkeys(names, 0),
        "modules": 0,
        "requests": {"segments": 0, "requests": 0, "labels": 0},
    }
    assert said == {"dry_run": True, **expected}
    assert look(home_of(cleaned)).artifacts.intact(stray)

    assert cleaned.raypipe("clean", "--yes", "--json").result["clean"] == {
        "dry_run": False,
        **expected,
    }
    assert not look(home_of(cleaned)).artifacts.intact(stray)
    assert cleaned.raypipe("clean", "--json").result["clean"]["count"] == 0


def test_bytes_of_data_that_no_commit_holds_go(cleaned: Project) -> None:
    uri = parse_uri("local://mine/main")
    versions = open_store(uri, home_of(cleaned), create=True)
    for branch, text in (("work", "dropped"), ("main", "kept")):
        if branch != "main":
            versions.create_branch(branch)
        versions.put(branch, "file", cleaned.write("in.txt", text))
    versions.commit("main", "Write", Actor(user="ann", host="desk"))
    versions.delete_branch("work")

    said = cleaned.raypipe("clean", "--json").result["clean"]
    assert said["shown"] == ["1 objects of local://mine that no commit holds"]
    assert said["bytes"] == len("dropped")
    assert cleaned.raypipe("clean", "--yes", "--json").result["clean"]["count"] == 1
    assert cleaned.raypipe("clean", "--json").result["clean"]["count"] == 0
    kept = versions.location(versions.list("main")[0])
    assert Path(kept).read_text() == "kept"


def test_what_crashed_writers_and_runs_left_goes(cleaned: Project) -> None:
    home = home_of(cleaned)
    for left in ("artifacts/.tmp/1-dead", f"work/{'0123' * 8}", "runs/20200101-000000-abcdef"):
        (home / left).mkdir(parents=True)
        (home / left / "half").write_text("ha")
    (home / "uses" / "run-killed").mkdir()
    assert cleaned.raypipe("clean", "--yes", "--json").result["clean"]["count"] == 3
    assert not list(home.rglob("half"))
    assert not (home / "uses" / "run-killed").exists()


def test_what_a_person_keeps_in_a_home_stays(cleaned: Project) -> None:
    home = home_of(cleaned)
    for kept in ("artifacts/model", "work/mine", "runs/experiment", "code/mine"):
        (home / kept).mkdir(parents=True)
        (home / kept / "notes").write_text("mine")
    assert cleaned.raypipe("clean", "--yes", "--json").result["clean"]["count"] == 0
    assert len(list(home.rglob("notes"))) == 4


def test_a_folder_that_is_no_home_is_not_cleaned(cleaned: Project) -> None:
    (cleaned.folder / "notes").mkdir()
    (cleaned.folder / "notes" / "work").mkdir()
    said = cleaned.raypipe("clean", "--yes", "--home", "notes")
    assert (said.code, "is no home" in said.err) == (7, True)
    assert [one.name for one in (cleaned.folder / "notes").iterdir()] == ["work"]


def test_of_a_home_that_can_only_be_read_it_is_said_so(cleaned: Project, monkeypatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # who runs the tests may be root
    with pytest.raises(StoreError, match="cannot be written to"):
        clean(home_of(cleaned), dry_run=False)


def test_what_a_writer_has_aside_stays_while_a_run_is_under_way(cleaned: Project) -> None:
    aside = home_of(cleaned) / "artifacts" / ".tmp" / "1-alive"
    aside.mkdir()
    user = Uses(home_of(cleaned) / "uses").begin("run-other")
    assert clean(home_of(cleaned), dry_run=False)["count"] == 0
    user.end()
    assert clean(home_of(cleaned), dry_run=False)["count"] == 1


def test_the_newest_runs_keep_what_they_made_though_it_was_made_anew_since(flow: Project) -> None:
    flow.edit("flow.py", "bytes([random.randrange(4)])", 'Path("turn").read_bytes()')
    for turn in ("a", "b"):  # what a step reads without saying so counts in no key
        flow.write("turn", turn)
        flow.run("flow.py")
    home = home_of(flow)
    before = set(look(home).artifacts.list())

    assert clean(home, runs=2)["count"] == 0
    assert clean(home, dry_run=False, runs=1)["count"] > 0
    workshop = look(home)
    assert workshop.ledger.live_artifacts() <= set(workshop.artifacts.list()) < before


def test_what_a_person_holds_stays(flow: Project) -> None:
    flow.edit("flow.py", "random.randrange(4)", "1")
    flow.edit("flow.py", "bytes([1])", 'Path("turn").read_bytes()')
    flow.write("turn", "a")
    second = flow.run("flow.py").result["run"]
    flow.write("turn", "b")
    flow.run("flow.py")
    home = home_of(flow)
    stray = look(home).artifacts.put_bytes(b"nobody's").digest
    unneeded = clean(home, runs=1)["count"]

    flow.raypipe("hold", "add", second, "--note", "for the audit", "--by", "Ann")
    assert clean(home, runs=1)["count"] == 1
    held = flow.raypipe("hold", "add", stray[:12], "--json").result["hold"]
    assert (held["kind"], held["name"]) == ("artifact", stray)
    assert clean(home, runs=1)["count"] == 0
    listed = flow.raypipe("hold", "list", "--json").result["holds"]
    assert [(one["kind"], one["name"], one["note"]) for one in listed] == [
        ("artifact", stray, ""),
        ("run", second, "for the audit"),
    ]

    flow.raypipe("hold", "remove", second)
    flow.raypipe("hold", "remove", stray)
    assert clean(home, runs=1)["count"] == unneeded
    assert flow.raypipe("hold", "remove", second).code == 9
    assert flow.raypipe("hold", "add", "nonesuch").code == 9


def test_two_cleanings_at_once_are_one_too_many(cleaned: Project) -> None:
    with Uses(home_of(cleaned) / "uses").cleaning():
        said = cleaned.raypipe("clean", "--yes")
    assert said.code == 7
    assert "another process is cleaning" in said.err


@pytest.mark.parametrize("kept", ["folder", "objects"])
def test_what_is_torn_though_it_looks_whole_is_found_by_doctor_and_made_anew(
    project: Project, monkeypatch, kept: str
) -> None:
    if kept == "objects":
        monkeypatch.setenv("RAYPIPE_ARTIFACTS", f"file://{project.folder}/objects")
    project.write("flow.py", LARGE)
    project.run("flow.py")
    folder = home_of(project) / "artifacts" if kept == "folder" else project.folder / "objects"
    (file,) = (one for one in folder.rglob("*") if one.is_file() and one.stat().st_size == 900_000)
    before = file.stat()
    file.chmod(0o644)
    file.write_bytes(b"y" * 900_000)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert project.raypipe("plan", "flow.py", "--json").executed == []

    said = project.raypipe("doctor", "--verify", "--json")
    assert said.code == 7
    (torn,) = [one["detail"] for one in said.result["checks"] if one["name"][:9] == "artifact "]
    assert torn == "torn: the next run makes it anew"

    said = project.run("flow.py")
    assert said.executed == ["make"]
    (reason,) = (s["reason"] for s in said.result["steps"] if s["name"] == "make")
    assert reason["kind"] == "lost artifact"
    assert reason["detail"] == "torn, as `raypipe doctor --verify` found"
    checks = project.raypipe("doctor", "--verify", "--json").result["checks"]
    assert not [one for one in checks if one["name"].startswith("artifact ")]
    assert project.run("flow.py").executed == []
