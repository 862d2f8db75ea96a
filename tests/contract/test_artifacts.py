"""What every artifact store promises: whole or not at all, found by content, never changed."""

import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from raypipe.engine.digest import digest_bytes, digest_tree
from raypipe.engine.records import ArtifactStat
from raypipe.errors import StoreError
from raypipe.store.content import digest_path
from tests.shelves import FolderShelf, Shelf, lakefs_objects, local_objects

SHELVES: dict[str, Callable[[Path, Any], Shelf]] = {
    "folder": lambda place, request: FolderShelf(place),
    "objects": lambda place, request: local_objects(place),
    "lakefs": lambda place, request: lakefs_objects(
        place, request.getfixturevalue("lakefs_server")
    ),
}
ON_DISK = ["folder", "objects"]

LARGE = os.urandom(300_000)


@pytest.fixture(params=SHELVES)
def shelf(request, tmp_path) -> Shelf:
    place = tmp_path / "shelf"
    place.mkdir()
    return SHELVES[request.param](place, request)


@pytest.fixture
def open_store(shelf) -> Any:
    """Opens the same store again each time, as another process would."""
    return shelf.open


@pytest.fixture
def store(open_store) -> Any:
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
    assert list(store.list()) == [first.digest]


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


KINDS = ["bytes", "manifest", "file", "folder"]
TEARS = ["truncated", "flipped", "gone"]


def test_what_was_published_is_intact(store, open_store, model):
    assert all(map(open_store().intact, published(store, model)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", TEARS)
def test_a_torn_artifact_is_found_out(shelf, store, model, kind, how):
    stat = published(store, model)[KINDS.index(kind)]
    shelf.tear(stat, how)
    assert not store.intact(stat)
    assert not shelf.open(elsewhere=True).intact(stat)
    assert not store.verify(stat.digest)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", TEARS)
def test_publishing_again_mends_a_torn_artifact(shelf, store, open_store, model, kind, how):
    stat = published(store, model)[KINDS.index(kind)]
    shelf.tear(stat, how)
    again = published(open_store(), model)[KINDS.index(kind)]
    assert again.digest == stat.digest
    assert again.size == stat.size
    assert store.intact(again)


@pytest.mark.parametrize("how", TEARS)
def test_torn_bytes_are_an_error_when_they_are_read(shelf, store, open_store, how):
    stat = store.put_bytes(LARGE)
    shelf.tear(stat, how)
    with pytest.raises(StoreError, match="gone or torn"):
        open_store().read(stat.digest)


def test_a_whole_artifact_that_looks_different_is_intact_and_not_read_twice(
    shelf, store, open_store, model, monkeypatch
):
    """A home that was copied is read once in full, not at every plan."""
    for stat in published(store, model):
        shelf.touch(stat)
        assert store.intact(stat)
        again = open_store()
        monkeypatch.setattr(again, "verify", lambda digest: pytest.fail("it is read again"))
        assert again.intact(stat)


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


@pytest.mark.parametrize("shelf", ON_DISK, indirect=True)
def test_a_folder_that_cannot_be_made_is_an_error_with_a_next_step(shelf, store):
    shutil.rmtree(shelf.place)
    shelf.place.write_text("in the way")
    with pytest.raises(StoreError) as failed:
        store.put_bytes(b"x")
    assert failed.value.hint


@contextlib.contextmanager
def largest_files_of(size: int):
    """A limit on a file's size is what a test can set; the disk says the same by another number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


@pytest.mark.parametrize("shelf", ON_DISK, indirect=True)
@pytest.mark.parametrize("kind", ["bytes", "folder"])
def test_a_disk_that_is_full_is_an_error_with_a_next_step_and_leaves_nothing(store, model, kind):
    with largest_files_of(100_000), pytest.raises(StoreError) as failed:
        store.put_bytes(LARGE) if kind == "bytes" else store.put_path(model)
    assert failed.value.hint
    assert not list(store.list())
    assert not list(store.leftovers(()))


# --- many writers, and dead ones ----------------------------------------------------------------

WRITER = """
import sys
from pathlib import Path
from pyarrow.fs import LocalFileSystem, S3FileSystem
from raypipe.store.bucket import Bucket
from raypipe.store.cache import Cache
from raypipe.store.folder import FolderArtifacts
from raypipe.store.objects import ObjectArtifacts
"""


def start_writer(shelf: Shelf, path: Path) -> "subprocess.Popen[str]":
    code = f"{WRITER}print({shelf.code}.put_path(Path(sys.argv[1])).digest)"
    return subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_processes_that_publish_the_same_at_once_all_succeed(shelf, store, model):
    writers = [start_writer(shelf, model) for _ in range(3)]
    said = {writer.communicate()[0].strip() for writer in writers}
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert said == {digest_path(model)}
    assert store.verify(digest_path(model))
    assert len(list(store.list())) == 1


@pytest.mark.slow
def test_a_writer_that_is_killed_publishes_nothing_and_the_next_one_succeeds(
    shelf, store, open_store, tmp_path, wait_until
):
    many = tmp_path / "many"
    many.mkdir()
    for number in range(20):
        (many / f"{number}.bin").write_bytes(os.urandom(2_000_000))
    writer = start_writer(shelf, many)
    wait_until(shelf.is_begun)
    writer.kill()
    writer.communicate()

    assert not list(store.list())
    stat = open_store().put_path(many)
    assert store.verify(stat.digest)
    assert digest_path(store.path(stat.digest)) == stat.digest


def test_a_source_that_changes_while_it_is_copied_is_an_error(store, model, monkeypatch):
    """The source is digested first, then copied; both must have seen the same."""

    def digest_of_a_changing_file(path: Path) -> str:
        digest = digest_path(path)
        path.write_text("it changed meanwhile")
        return digest

    module = sys.modules[type(store).__module__]
    monkeypatch.setattr(module, "digest_path", digest_of_a_changing_file)
    with pytest.raises(StoreError, match="changed while it was copied"):
        store.put_path(model / "card.md")
    assert not list(store.list())


@pytest.mark.parametrize("shelf", ON_DISK, indirect=True)
def test_looking_at_a_store_that_is_not_there_makes_nothing(shelf, store):
    assert not list(store.list())
    assert not store.intact(ArtifactStat(digest="0" * 64, size=1, mtime_ns=1))
    assert not list(shelf.place.rglob("*"))


# --- large and small files together -------------------------------------------------------------


@pytest.mark.slow
def test_a_folder_of_large_and_small_files_comes_back_as_it_was(shelf, store, tmp_path):
    """Large files are cut and small ones put together, where they are kept as objects."""
    folder = tmp_path / "mixed"
    (folder / "small").mkdir(parents=True)
    for number in range(300):
        (folder / "small" / f"{number}.bin").write_bytes(os.urandom(number * 300))
    (folder / "empty.bin").touch()
    (folder / "large.bin").write_bytes(os.urandom(20_000_000))
    shutil.copy(folder / "large.bin", folder / "twin.bin")
    shutil.copy(folder / "small" / "200.bin", folder / "small" / "twin.bin")

    stat = store.put_path(folder)
    copy = shelf.open(elsewhere=True).path(stat.digest)

    assert stat.digest == digest_path(folder) == digest_path(copy)
    files = {file.relative_to(copy): file.read_bytes() for file in copy.rglob("*.bin")}
    assert files == {f.relative_to(folder): f.read_bytes() for f in folder.rglob("*.bin")}
    assert stat.size == sum(file.stat().st_size for file in folder.rglob("*.bin"))


def test_a_copy_that_was_changed_is_told_and_not_given_again(store, model):
    stat = store.put_path(model)
    copy = store.path(stat.digest)
    assert store.returned(stat)
    (copy / "card.md").chmod(0o644)
    (copy / "card.md").write_text("changed by a step")
    assert not store.returned(stat)
    store.put_path(model)
    assert (store.path(stat.digest) / "card.md").read_text() == "a model"
