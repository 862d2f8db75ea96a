"""What every artifact store promises: whole or not at all, found by content, never changed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from raypipe.engine.digest import digest_bytes, digest_tree
from raypipe.engine.records import ArtifactStat
from raypipe.errors import StoreError
from raypipe.store.folder import FolderArtifacts, digest_path

STORES = {"folder": lambda tmp_path: FolderArtifacts(tmp_path / "artifacts")}

LARGE = os.urandom(300_000)


@pytest.fixture(params=STORES)
def open_store(request, tmp_path) -> Callable[[], FolderArtifacts]:
    """Opens the same store again each time, as another process would."""
    return lambda: STORES[request.param](tmp_path)


@pytest.fixture
def store(open_store) -> FolderArtifacts:
    return open_store()


@pytest.fixture
def model(tmp_path) -> Path:
    folder = tmp_path / "model"
    (folder / "weights").mkdir(parents=True)
    (folder / "card.md").write_text("a model")
    (folder / "weights" / "w.bin").write_bytes(LARGE)
    return folder


# --- bytes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"abc", LARGE], ids=["empty", "small", "large"])
def test_bytes_come_back_as_they_were(store, open_store, data):
    stat = store.put_bytes(data)
    assert stat.digest == digest_bytes(data)
    assert stat.size == len(data)
    assert open_store().read(stat.digest) == data


def test_publishing_what_is_there_changes_nothing(store, open_store):
    first = store.put_bytes(LARGE)
    assert open_store().put_bytes(LARGE) == first
    assert list(store.list()) == [first]


def test_a_manifest_is_published_under_the_digest_of_its_tree(store, open_store):
    tree = {"k": "record", "t": "m:C", "f": {"a": 1}, "aside": {"where": "/x"}}
    manifest = json.dumps(tree).encode()
    stat = store.put_bytes(manifest, digest_tree(tree))
    assert stat.digest == digest_tree(tree)
    assert store.intact(stat)
    assert open_store().read(stat.digest) == manifest


def test_of_two_manifests_that_differ_in_provenance_alone_the_first_is_kept(store):
    trees = [{"k": "record", "t": "m:C", "f": {}, "aside": {"where": w}} for w in ("/x", "/longer")]
    stats = [store.put_bytes(json.dumps(tree).encode(), digest_tree(tree)) for tree in trees]
    assert stats[0] == stats[1]
    assert json.loads(store.read(stats[0].digest)) == trees[0]


@pytest.mark.parametrize("name", ["0" * 64, "../secret", "", "a/b", ".tmp"])
def test_what_was_never_published_is_an_error_that_says_what_to_do(store, tmp_path, name):
    (tmp_path / "secret").write_text("not an artifact")
    for ask in (store.read, store.path):
        with pytest.raises(StoreError, match=r"gone or torn|no digest"):
            ask(name)


@pytest.mark.parametrize("name", ["../secret", "a/../../secret", "/etc/hostname", ".."])
def test_a_digest_leads_nowhere_but_into_the_store(store, tmp_path, name):
    store.put_bytes(b"x")
    (tmp_path / "secret").write_text("not an artifact")
    stat = ArtifactStat(digest=name, size=1, mtime_ns=1)
    asks = [store.remove, store.verify, lambda name: store.put_bytes(b"y", name)]
    for ask in (*asks, store.path, store.read, lambda name: store.intact(stat)):
        with pytest.raises(StoreError, match="no digest"):
            ask(name)
    assert (tmp_path / "secret").read_text() == "not an artifact"


# --- files and folders --------------------------------------------------------------------------


def test_a_file_comes_back_under_its_name_with_its_content(store, model):
    copy = store.path(store.put_path(model / "card.md").digest)
    assert copy.name == "card.md"
    assert copy.read_text() == "a model"


def test_a_folder_comes_back_under_its_name_with_all_that_is_in_it(store, model):
    (model / "empty").mkdir()
    stat = store.put_path(model)
    copy = store.path(stat.digest)
    assert copy.name == "model"
    assert (copy / "weights" / "w.bin").read_bytes() == LARGE
    assert (copy / "empty").is_dir()
    assert stat.size == len(LARGE) + len("a model")


def test_a_copy_does_not_change_when_its_source_does(store, model):
    stat = store.put_path(model)
    (model / "card.md").write_text("another model")
    assert (store.path(stat.digest) / "card.md").read_text() == "a model"
    assert store.put_path(model).digest != stat.digest


def test_the_digest_of_a_path_is_that_of_its_content_not_of_its_name_or_mode(store, model):
    other = shutil.copytree(model, model.with_name("copy"))
    (other / "card.md").chmod(0o755)
    assert digest_path(other) == digest_path(model) == store.put_path(model).digest
    assert digest_path(model / "card.md") != digest_path(model / "weights" / "w.bin")


def test_a_published_file_is_read_only(store, model):
    copy = store.path(store.put_path(model).digest)
    modes = {file.stat().st_mode & 0o777 for file in copy.rglob("*") if file.is_file()}
    assert modes == {0o444}


@pytest.mark.parametrize("spelling", [".", "../model", "weights/.."])
def test_a_folder_may_be_named_in_any_way(store, model, monkeypatch, spelling):
    monkeypatch.chdir(model)
    copy = store.path(store.put_path(Path(spelling)).digest)
    assert copy.name == "model"
    assert (copy / "card.md").read_text() == "a model"


def test_a_link_inside_is_followed(store, model):
    (model / "link.md").symlink_to(model / "card.md")
    (model / "again").symlink_to(model / "weights")
    copy = store.path(store.put_path(model).digest)
    assert (copy / "link.md").read_text() == "a model"
    assert (copy / "again" / "w.bin").read_bytes() == LARGE
    assert not (copy / "link.md").is_symlink()


@pytest.mark.parametrize(
    ("target", "said"),
    [("../elsewhere", "leads outside"), ("nothing", "link to nothing"), (".", "that it is in")],
)
def test_a_link_that_cannot_be_kept_is_an_error_that_names_it(store, model, target, said):
    (model.parent / "elsewhere").write_text("x")
    (model / "bad").symlink_to(target)
    with pytest.raises(StoreError, match=f"bad.*{said}"):
        store.put_path(model)
    assert not list(store.list())


# --- whole or not at all ------------------------------------------------------------------------


def published(store, model) -> list[ArtifactStat]:
    tree = ["a", "manifest"]
    return [
        store.put_bytes(LARGE),
        store.put_bytes(json.dumps(tree).encode(), digest_tree(tree)),
        store.put_path(model / "card.md"),
        store.put_path(model),
    ]


def largest_file(store, stat) -> Path:
    target = store.folder / stat.digest
    files = [file for file in target.rglob("*") if file.is_file()] or [target]
    return max(files, key=lambda file: file.stat().st_size)


def tear(store, stat, how: str) -> None:
    file = largest_file(store, stat)
    file.chmod(0o644)
    content = bytearray(file.read_bytes())
    if how == "truncated":
        file.write_bytes(content[: len(content) // 2])
    elif how == "flipped":
        content[0] ^= 0xFF
        file.write_bytes(content)
    else:
        file.unlink()


KINDS = ["bytes", "manifest", "file", "folder"]
TEARS = ["truncated", "flipped", "gone"]


def test_what_was_published_is_intact(store, open_store, model):
    assert all(map(open_store().intact, published(store, model)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", TEARS)
def test_a_torn_artifact_is_found_out(store, model, kind, how):
    stat = published(store, model)[KINDS.index(kind)]
    tear(store, stat, how)
    assert not store.intact(stat)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", TEARS)
def test_publishing_again_mends_a_torn_artifact(store, open_store, model, kind, how):
    stat = published(store, model)[KINDS.index(kind)]
    tear(store, stat, how)
    again = published(open_store(), model)[KINDS.index(kind)]
    assert again.digest == stat.digest
    assert again.size == stat.size
    assert store.intact(again)


@pytest.mark.parametrize("how", TEARS)
def test_torn_bytes_are_an_error_when_they_are_read(store, open_store, how):
    stat = store.put_bytes(LARGE)
    tear(store, stat, how)
    with pytest.raises(StoreError, match="gone or torn"):
        open_store().read(stat.digest)


def test_a_whole_artifact_whose_time_differs_is_intact_and_not_read_twice(store, model):
    """A home that was copied is read once in full, not at every plan."""
    for stat in published(store, model):
        file = largest_file(store, stat)
        os.utime(file, ns=(1, stat.mtime_ns + 5_000_000_000))
        assert store.intact(stat)
        assert file.stat().st_mtime_ns == stat.mtime_ns


def test_an_artifact_that_was_removed_is_gone(store, model):
    for stat in published(store, model):
        store.remove(stat.digest)
        store.remove(stat.digest)
        assert not store.intact(stat)
    assert not list(store.list())


def test_a_folder_with_what_is_no_file_is_an_error_and_leaves_nothing(store, model):
    os.mkfifo(model / "weights" / "x.pipe")
    with pytest.raises(StoreError, match=r"x\.pipe.*neither a file nor a folder"):
        store.put_path(model)
    assert not list(store.list())


def test_a_folder_that_cannot_be_made_is_an_error_with_a_next_step(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be written") as failed:
        FolderArtifacts(tmp_path / "file" / "artifacts").put_bytes(b"x")
    assert failed.value.hint


def test_a_disk_that_is_full_is_an_error_with_a_next_step_and_leaves_nothing(store):
    """A limit on a file's size is what a test can set; the disk says the same by another number."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(StoreError, match="cannot be written") as failed:
            store.put_bytes(LARGE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert failed.value.hint
    assert not list(store.list())
    assert not list((store.folder / ".tmp").iterdir())


# --- many writers, and dead ones ----------------------------------------------------------------

WRITER = """
import sys
from pathlib import Path
from raypipe.store.folder import FolderArtifacts
print(FolderArtifacts(Path(sys.argv[1])).put_path(Path(sys.argv[2])).digest)
"""


def start_writer(store, path: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WRITER, str(store.folder), str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_second_writer_leaves_what_the_first_published_where_it_is(
    store, open_store, model, monkeypatch
):
    """Else a reader of the first would look for it in the moment that it is gone."""
    late = open_store()
    looked_before = iter([False])
    monkeypatch.setattr(late, "verify", lambda digest: next(looked_before, True))

    first = store.path(store.put_path(model).digest).stat().st_ino

    assert late.path(late.put_path(model).digest).stat().st_ino == first


def test_processes_that_publish_the_same_at_once_all_succeed(store, model):
    writers = [start_writer(store, model) for _ in range(3)]
    said = {writer.communicate()[0].strip() for writer in writers}
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert said == {digest_path(model)}
    assert store.verify(digest_path(model))
    assert len(list(store.list())) == 1


def test_a_writer_that_is_killed_publishes_nothing_and_the_next_one_succeeds(
    store, open_store, tmp_path
):
    many = tmp_path / "many"
    many.mkdir()
    for number in range(400):
        (many / f"{number}.txt").write_text(str(number))
    writer = start_writer(store, many)
    deadline = time.monotonic() + 30
    while not list(store.folder.glob(".tmp/*/many/*.txt")):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    writer.kill()
    writer.communicate()

    assert not list(store.list())
    stat = open_store().put_path(many)
    assert store.verify(stat.digest)


@pytest.mark.parametrize(("age", "left"), [(7200, False), (60, True)])
def test_what_a_dead_writer_left_is_removed_after_an_hour(store, open_store, age, left):
    store.put_bytes(b"x")
    leftover = store.folder / ".tmp" / "1-dead"
    leftover.mkdir()
    (leftover / "half").write_bytes(b"ha")
    then = time.time() - age
    for path in (leftover / "half", leftover):
        os.utime(path, (then, then))
    open_store().put_bytes(b"y")
    assert leftover.exists() is left


def test_a_long_copy_that_is_still_written_is_not_taken_for_dead(store, open_store):
    store.put_bytes(b"x")
    busy = store.folder / ".tmp" / "1-busy"
    busy.mkdir()
    (busy / "large").write_bytes(b"half of it")
    then = time.time() - 7200
    os.utime(busy, (then, then))
    open_store().put_bytes(b"y")
    assert busy.exists()


def test_a_source_that_changes_while_it_is_copied_is_an_error(store, model, monkeypatch):
    """The source is digested first, then copied; both must have seen the same."""
    from raypipe.store import folder

    def copy_of_a_changing_file(source: Path, target: Path) -> str:
        source.write_text("it changed meanwhile")
        return copy(source, target)

    copy = folder.copy_path
    monkeypatch.setattr(folder, "copy_path", copy_of_a_changing_file)
    with pytest.raises(StoreError, match="changed while it was copied"):
        store.put_path(model / "card.md")
    assert not list(store.list())


def test_looking_at_a_store_that_is_not_there_makes_nothing(tmp_path):
    store = FolderArtifacts(tmp_path / "artifacts")
    assert not list(store.list())
    assert not store.intact(ArtifactStat(digest="0" * 64, size=1, mtime_ns=1))
    assert not (tmp_path / "artifacts").exists()
