"""A snapshot holds the project's code, all of it, and nothing that is not code."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from raypipe.errors import UsageError
from raypipe.store import snapshot
from raypipe.store.folder import FolderArtifacts
from raypipe.store.snapshot import code_files, snapshot_project

CODE = ["flow.py", "pkg/__init__.py", "pkg/deep/model.py", "configs/a.yaml", "README"]


@pytest.fixture
def root(tmp_path) -> Path:
    folder = tmp_path / "project"
    for name in CODE:
        write(folder / name)
    return folder


@pytest.fixture
def artifacts(tmp_path) -> FolderArtifacts:
    return FolderArtifacts(tmp_path / "artifacts")


def write(path: Path, text: str = "text") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def git(root: Path) -> None:
    subprocess.run(["git", "init", "-q", root], check=True, env={**os.environ, "HOME": str(root)})


def kept(root: Path) -> list[str]:
    return sorted(str(file.relative_to(root)) for file in code_files(root))


LEFT_OUT = [
    ".raypipe/ledger.db",
    ".venv/lib/python/site.py",
    "venv/lib/python/site.py",
    ".git/extra",
    "__pycache__/flow.cpython-311.pyc",
    "pkg/deep/__pycache__/model.pyc",
    ".env",
    "pkg/.secrets/token",
    "node_modules/x/index.js",
]


@pytest.mark.parametrize("name", LEFT_OUT)
@pytest.mark.parametrize("with_git", [False, True])
def test_what_is_no_code_is_left_out(root, with_git, name):
    if with_git:
        git(root)
    write(root / name)
    assert kept(root) == sorted(CODE)


def test_an_environment_of_any_name_is_left_out(root):
    write(root / "py311" / "pyvenv.cfg")
    write(root / "py311" / "lib" / "site.py")
    assert kept(root) == sorted(CODE)


def test_what_git_ignores_is_left_out_and_what_it_does_not_know_yet_is_kept(root):
    git(root)
    write(root / ".gitignore", "/data/\n*.log\n")
    write(root / "data" / "rows.csv")
    write(root / "pkg" / "a.log")
    write(root / "new.py")
    assert kept(root) == sorted([*CODE, "new.py"])


def test_a_file_that_was_deleted_but_is_in_gits_index_is_passed_over(root):
    git(root)
    subprocess.run(["git", "-C", root, "add", "."], check=True)
    (root / "flow.py").unlink()
    assert kept(root) == sorted(set(CODE) - {"flow.py"})


@pytest.mark.parametrize("with_git", [False, True])
def test_a_file_of_any_name_is_kept(root, with_git):
    if with_git:
        git(root)
    names = ["two words.py", "new\nline.py", "ü.py", os.fsdecode(b"not-utf8-\xff.txt")]
    for name in names:
        write(root / name)
    assert kept(root) == sorted([*CODE, *names])


def test_where_git_does_not_work_all_files_are_looked_at(root, monkeypatch):
    (root / ".git").mkdir()
    monkeypatch.setenv("PATH", "")
    assert kept(root) == sorted(CODE)


def test_a_large_file_is_data_and_left_out(root, monkeypatch):
    monkeypatch.setattr(snapshot, "LARGEST_FILE", 100)
    write(root / "fits.py", "x" * 100)
    write(root / "large.bin", "x" * 101)
    assert kept(root) == sorted([*CODE, "fits.py"])


# --- the artifact -------------------------------------------------------------------------------


def test_a_snapshot_is_an_artifact_with_the_files_at_their_places(root, artifacts):
    copy = artifacts.path(snapshot_project(root, artifacts))
    files = sorted(str(file.relative_to(copy)) for file in copy.rglob("*") if file.is_file())
    assert files == sorted(CODE)


def test_the_same_content_has_the_same_digest_wherever_and_whenever_it_is(root, artifacts):
    other = root.with_name("clone")
    shutil.copytree(root, other)
    for number, file in enumerate(file for file in other.rglob("*") if file.is_file()):
        os.utime(file, (number, number))
        file.chmod(0o755)
    for name in LEFT_OUT:
        write(other / name)
    git(other)
    assert snapshot_project(other, artifacts) == snapshot_project(root, artifacts)


@pytest.mark.parametrize("how", ["edited", "added", "removed", "renamed"])
def test_a_change_of_the_code_changes_the_digest(root, artifacts, how):
    before = snapshot_project(root, artifacts)
    if how == "edited":
        write(root / "flow.py", "other")
    elif how == "added":
        write(root / "pkg" / "more.py")
    elif how == "removed":
        (root / "flow.py").unlink()
    else:
        (root / "flow.py").rename(root / "flux.py")
    assert snapshot_project(root, artifacts) != before


def test_a_snapshot_stays_as_it_was_when_the_project_changes(root, artifacts):
    digest = snapshot_project(root, artifacts)
    write(root / "flow.py", "other")
    assert (artifacts.path(digest) / "flow.py").read_text() == "text"


def test_a_project_with_too_much_in_it_is_an_error_with_a_next_step(root, artifacts, monkeypatch):
    monkeypatch.setattr(snapshot, "LARGEST", 10)
    with pytest.raises(UsageError, match="MiB of code") as failed:
        snapshot_project(root, artifacts)
    assert ".gitignore" in str(failed.value.hint)
    assert not list(artifacts.list())


def test_a_file_that_cannot_be_read_is_an_error_that_names_it(root, artifacts, monkeypatch):
    def refused(source, target):
        raise PermissionError(13, "Permission denied", str(source))

    monkeypatch.setattr(shutil, "copyfile", refused)
    with pytest.raises(UsageError, match=r"README.*Permission denied") as failed:
        snapshot_project(root, artifacts)
    assert ".gitignore" in str(failed.value.hint)


# --- links --------------------------------------------------------------------------------------

LEADS_NOWHERE = ["../secret", "/etc/hostname", "nothing", "pkg", ".", "../data", ".env", "link"]


@pytest.mark.parametrize("with_git", [False, True])
@pytest.mark.parametrize("target", LEADS_NOWHERE)
def test_a_link_that_leads_outside_or_to_no_file_is_left_out(root, artifacts, with_git, target):
    write(root.parent / "secret")
    write(root.parent / "data" / "rows.csv")
    write(root / ".env")
    if with_git:
        git(root)
    (root / "link").symlink_to(target)
    copy = artifacts.path(snapshot_project(root, artifacts))
    assert not (copy / "link").exists()
    assert len([file for file in copy.rglob("*") if file.is_file()]) == len(CODE)


@pytest.mark.parametrize("with_git", [False, True])
def test_a_link_to_a_file_of_the_project_is_kept_as_a_copy_of_it(root, artifacts, with_git):
    if with_git:
        git(root)
    (root / "link.py").symlink_to("pkg/deep/model.py")
    copy = artifacts.path(snapshot_project(root, artifacts))
    assert (copy / "link.py").read_text() == "text"
    assert not (copy / "link.py").is_symlink()
