"""What a folder of artifacts promises beyond every artifact store."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from raypipe.errors import StoreError
from raypipe.store import folder
from raypipe.store.folder import FolderArtifacts
from raypipe.values.codec import TreeCodec


@pytest.fixture
def open_store(tmp_path) -> Callable[[], FolderArtifacts]:
    return lambda: FolderArtifacts(tmp_path / "artifacts")


@pytest.fixture
def store(open_store) -> FolderArtifacts:
    return open_store()


@pytest.fixture
def model(tmp_path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "card.md").write_text("a model")
    return folder


def test_a_second_writer_leaves_what_the_first_published_where_it_is(
    store, open_store, model, monkeypatch
):
    """Else a reader of the first would look for it in the moment that it is gone."""
    late = open_store()
    looked_before = iter([False])
    monkeypatch.setattr(late, "verify", lambda digest: next(looked_before, True))

    first = store.path(store.put_path(model).digest).stat().st_ino

    assert late.path(late.put_path(model).digest).stat().st_ino == first


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


# --- what is long -------------------------------------------------------------------------------


def test_what_is_longer_than_any_manifest_is_never_read_whole(store, monkeypatch):
    monkeypatch.setattr(folder, "LARGEST_MANIFEST", 100)
    torn, whole = store.put_bytes(b"x" * 1000), store.put_bytes(b"y" * 1000)
    os.truncate(store.folder / torn.digest, 500)
    read = Path.read_bytes

    def short(path):
        assert path.stat().st_size <= 100, "it is read whole"
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", short)
    assert not store.verify(torn.digest)
    assert store.verify(whole.digest)


def test_a_manifest_may_be_as_long_as_that_and_no_longer(store, tmp_path, monkeypatch):
    codec = TreeCodec(lambda path: "")
    longest, longer = (codec.encode(list(range(count))) for count in (40, 41))
    monkeypatch.setattr(folder, "LARGEST_MANIFEST", len(longest.manifest))
    store.put_bytes(longest.manifest, longest.digest)
    assert store.verify(longest.digest)
    with pytest.raises(StoreError, match=r"has \d+ bytes, and may have \d+$"):
        store.put_bytes(longer.manifest, longer.digest)
    assert list(store.list()) == [longest.digest]
