"""A snapshot holds the project's code, all of it, and nothing that is not code."""

import io
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from raypipe.errors import StoreError, UsageError
from raypipe.store import snapshot
from raypipe.store.folder import FolderArtifacts
from raypipe.store.snapshot import (
    Snapshots,
    code_files,
    differing_files,
    seals_of,
    snapshot_project,
    unpack,
)

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


@pytest.mark.parametrize("with_git", [False, True])
@pytest.mark.parametrize("ledger", ["ledger.db", "ledger.json"])
def test_a_home_of_any_name_is_not_even_opened(root, with_git, ledger):
    """A ledger that is opened and closed beside SQLite loses the locks that it is kept whole by."""
    if with_git:
        git(root)
    for name in (ledger, f"{ledger}-wal", "artifacts/0123", "runs/1/step.log"):
        write(root / "kept" / "here" / name)
    assert kept(root) == sorted(CODE)


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


# --- the code of a run --------------------------------------------------------------------------


@pytest.fixture
def snapshots(root, artifacts, tmp_path) -> Snapshots:
    """Those of the project, whose files are a while old."""
    age(root)
    return Snapshots(root, artifacts, tmp_path / "index")


def age(root: Path) -> None:
    """Give each file a time that nobody takes for unfinished; that of its state stays now."""
    for file in root.rglob("*"):
        if file.is_file():
            os.utime(file, (1_000, 1_000))


def aged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "YOUNG", 0)


def test_what_was_packed_is_unpacked_as_it_was(root, artifacts, snapshots, tmp_path):
    names = ["two words.py", "new\nline.py", "ü.py", "back\\slash.py", os.fsdecode(b"\xff.txt")]
    for name in names:
        write(root / name).write_bytes(os.fsencode(name))
    packed = artifacts.read(snapshots.take().digest)
    out = unpack(packed, tmp_path / "out")
    files = {str(file.relative_to(out)) for file in out.rglob("*") if file.is_file()}
    assert files == {*CODE, *names}
    assert all((out / name).read_bytes() == os.fsencode(name) for name in names)
    assert differing_files(root, packed) == []


def test_unpacking_again_mends_what_was_changed_and_drops_what_came_in(
    artifacts, snapshots, tmp_path
):
    packed = artifacts.read(snapshots.take().digest)
    out = unpack(packed, tmp_path / "out")
    write(out / "flow.py", "edited")
    write(out / "more.py", "more")
    (out / "pkg" / "deep" / "model.py").unlink()
    unpack(packed, out)
    assert (out / "flow.py").read_text() == "text"
    assert not (out / "more.py").exists()
    assert (out / "pkg" / "deep" / "model.py").exists()


def test_a_project_that_did_not_change_is_not_copied_again(snapshots, monkeypatch):
    aged(monkeypatch)
    first = snapshots.take()
    monkeypatch.setattr(snapshot, "_pack", None)
    assert snapshots.take() == first


def test_a_file_that_was_just_written_is_read_again(root, snapshots):
    snapshots.take()
    before = snapshots.take().digest
    stat = (root / "flow.py").stat()
    write(root / "flow.py", "tixt")  # of the same size
    os.utime(root / "flow.py", ns=(stat.st_mtime_ns, stat.st_mtime_ns))
    assert snapshots.take().digest != before


@pytest.mark.parametrize("how", ["edited", "added", "removed"])
def test_a_change_is_seen_though_the_index_knows_the_project(root, snapshots, monkeypatch, how):
    aged(monkeypatch)
    before = snapshots.take().digest
    if how == "edited":
        write(root / "flow.py", "tixt")
    elif how == "added":
        write(root / "new.py")
    else:
        (root / "flow.py").unlink()
    assert snapshots.take().digest != before


def test_a_snapshot_that_was_lost_is_made_again(artifacts, snapshots, monkeypatch):
    aged(monkeypatch)
    before = snapshots.take().digest
    artifacts.remove(before)
    assert snapshots.take().digest == before
    assert artifacts.verify(before)


@pytest.mark.parametrize("text", ["", "{", '{"seals": {}}', "[]"])
def test_an_index_that_is_damaged_is_made_anew(snapshots, tmp_path, monkeypatch, text):
    aged(monkeypatch)
    before = snapshots.take().digest
    (index,) = (tmp_path / "index").iterdir()
    index.write_text(text)
    assert snapshots.take().digest == before
    assert before in index.read_text()


def test_a_project_that_changes_meanwhile_is_copied_again_or_refused(root, snapshots, monkeypatch):
    pack, times = snapshot._pack, iter(range(100))

    def meanwhile(of, names):
        packed = pack(of, names)
        if next(times) < edits:
            write(root / "flow.py", "x" * next(times))
        return packed

    monkeypatch.setattr(snapshot, "_pack", meanwhile)
    edits = 1
    assert snapshots.take().seals == seals_of(root)
    edits = 100
    with pytest.raises(UsageError, match="changes while its code is copied"):
        snapshots.take()


def test_what_differs_is_told_of_code_and_settings_alone(root, artifacts, snapshots):
    packed = artifacts.read(snapshots.take().digest)
    write(root / "flow.py", "edited")
    write(root / "data.csv", "1,2")
    (root / "configs" / "a.yaml").unlink()
    assert differing_files(root, packed) == ["configs/a.yaml", "flow.py"]


def test_the_code_of_a_run_is_refused_where_there_is_too_much(snapshots, artifacts, monkeypatch):
    monkeypatch.setattr(snapshot, "LARGEST", 10)
    with pytest.raises(UsageError, match="MiB of code"):
        snapshots.take()
    assert not list(artifacts.list())


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "a/..", ""])
def test_a_snapshot_with_a_way_out_of_its_folder_is_refused(tmp_path, name):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), b"x")
    with pytest.raises(StoreError, match="no file of a project"):
        unpack(packed.getvalue(), tmp_path / "out")
    assert not (tmp_path / "x").exists()
