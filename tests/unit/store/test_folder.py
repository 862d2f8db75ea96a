"""What a folder of artifacts promises beyond every artifact store."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from raypipe.store.folder import FolderArtifacts


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
