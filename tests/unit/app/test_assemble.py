"""What a project is called in a home's ledger, and what the files come to that steps name."""

import os
from pathlib import Path

import pytest

from raypipe.app.assemble import Workshop, declared_environment, open_workshop
from raypipe.config.store import StoreConfig
from raypipe.engine.digest import digest_bytes
from raypipe.engine.records import Review, RunRecord, RunStatus
from raypipe.errors import StoreError, UsageError
from raypipe.store.lakefs_access import ACCESS_KEY, FILE, SECRET_KEY
from raypipe.store.ledger import SqlLedger
from raypipe.values.uri import parse_uri


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "clone"
    folder.mkdir()
    return folder


def opened(root: Path, *, write: bool = True) -> Workshop:
    return open_workshop(root, root.parent / "home", write=write)


def name(root: Path, given: str) -> None:
    (root / "pyproject.toml").write_text(f"[project]\nname = {given!r}\n")


def enter_run(workshop: Workshop, target: str, id: str = "r1") -> None:
    workshop.ledger.start_run(
        RunRecord(
            id=id,
            project=workshop.project,
            pipeline="flow",
            status=RunStatus.RUNNING,
            created=1.0,
            actor=workshop.actor,
            parameters={"target": target},
            settings=None,
            commits={},
        )
    )


def test_a_project_is_called_as_its_pyproject_says_in_whatever_folder(root):
    name(root, "mine")
    assert opened(root).project == "mine"


@pytest.mark.parametrize("text", [None, "", "[tool.ruff]\n", "[project]\nversion = '1'\n"])
def test_a_project_without_a_name_is_called_as_its_folder(root, text):
    if text is not None:
        (root / "pyproject.toml").write_text(text)
    assert opened(root).project == "clone"


def test_a_pyproject_that_cannot_be_read_is_told(root):
    (root / "pyproject.toml").write_text("[project\n")
    with pytest.raises(UsageError, match=r"pyproject\.toml' cannot be read"):
        opened(root)


def test_inside_a_job_a_project_without_a_name_is_refused(tmp_path, monkeypatch):
    """Its folder is Ray's, and another at each change, so that no decision would be found."""
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    copy = tmp_path / "working_dir_files" / "_ray_pkg_1"
    copy.mkdir(parents=True)
    with pytest.raises(UsageError, match="the project has no name"):
        open_workshop(copy, tmp_path / "home", write=True)
    name(copy, "mine")
    assert open_workshop(copy, tmp_path / "home", write=True).project == "mine"


def test_what_was_recorded_under_the_folder_s_name_belongs_to_the_project(root):
    before = opened(root)
    enter_run(before, f"{root}/flow.py")
    asked = Review(
        id="a1", project="clone", pipeline="flow", step="review", evidence="e", run="r1",
        status="open", created=1.0,
    )  # fmt: skip
    before.ledger.open_review(asked)
    name(root, "mine")

    assert opened(root, write=False).project == "clone"  # a look changes nothing, and finds it all
    after = opened(root)
    assert after.project == "mine"
    assert [run.project for run in after.ledger.list_runs("mine")] == ["mine"]
    assert after.ledger.find_review("mine", "flow", "review", "e") is not None
    assert opened(root, write=False).project == "mine"


def test_another_project_s_runs_keep_their_name_though_it_is_the_folder_s(root, tmp_path):
    name(root, "mine")
    other = tmp_path / "other"
    other.mkdir()
    name(other, "clone")
    enter_run(opened(other), f"{other}/flow.py")
    assert opened(root).project == "mine"
    ledger = SqlLedger.open(tmp_path / "home" / "ledger.db")
    assert [run.project for run in ledger.list_runs()] == ["clone"]


def test_a_declared_file_counts_by_its_content_and_a_folder_is_refused(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"1")
    (tmp_path / "cfg").mkdir()
    found = declared_environment(("file:a.txt",), tmp_path)
    assert found == {"file:a.txt": digest_bytes(b"1")}
    with pytest.raises(UsageError, match="cfg' cannot be read: it is a folder") as refused:
        declared_environment(("file:cfg",), tmp_path)
    assert "pathlib.Path" in str(refused.value.hint)


@pytest.mark.parametrize("name", [".", "pipe", "a\0b", "x" * 5000])
def test_what_a_step_depends_on_must_be_a_file(root, name):
    """To read a pipe would take for ever."""
    os.mkfifo(root / "pipe")
    with pytest.raises(UsageError, match="cannot be read: ") as told:
        declared_environment((f"file:{name}",), root)
    assert told.value.hint
    assert len(str(told.value)) < 400


def test_settings_say_where_lakefs_is_before_what_the_home_was_told(tmp_path, monkeypatch):
    """No server is asked: that there are no credentials names the one that would be."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (ACCESS_KEY, SECRET_KEY, FILE):
        monkeypatch.delenv(name, raising=False)
    home, uri = tmp_path / ".raypipe", parse_uri("lakefs://tiny/main")

    def settings(name: str) -> StoreConfig:
        return StoreConfig.model_validate({"lakefs": {"endpoint": f"http://{name}"}})

    mine = open_workshop(tmp_path, home, write=True, store=settings("mine"))
    open_workshop(tmp_path, home, write=True, store=settings("last"))

    for found, where in (
        (lambda: mine.versions(uri), "mine"),
        (lambda: mine.versions(uri, store=settings("other")), "other"),
        (lambda: open_workshop(tmp_path, home, write=False).versions(uri), "last"),
    ):
        with pytest.raises(StoreError, match=f"no credentials for lakeFS at http://{where}$"):
            found()
