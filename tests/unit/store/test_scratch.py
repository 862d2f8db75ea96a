"""Scratch folders: one a key, kept through a crash, with events that are read as they come."""

import pytest

from raypipe.engine.context import append_event
from raypipe.store.scratch import EVENTS, FolderScratch

KEY, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def scratch(tmp_path) -> FolderScratch:
    return FolderScratch(tmp_path / "home" / "work")


def test_the_folder_of_a_key_keeps_what_is_in_it(scratch, tmp_path):
    (scratch.make((KEY,)) / "checkpoint").write_text("half way")
    again = FolderScratch(tmp_path / "home" / "work").make((KEY,))
    assert (again / "checkpoint").read_text() == "half way"


def test_each_key_and_each_batch_has_a_folder_of_its_own(scratch):
    asked = [(KEY,), (OTHER,), (KEY, OTHER), (OTHER, KEY)]
    assert len({scratch.make(keys) for keys in asked}) == len(asked)


def test_the_same_batch_has_the_same_folder(scratch):
    assert scratch.make((KEY, OTHER)) == scratch.make((KEY, OTHER))


def test_a_folder_without_events_has_none(scratch):
    assert scratch.events(scratch.make((KEY,)), 0) == ([], 0)


def test_events_are_read_once_each_in_their_order(scratch):
    folder = scratch.make((KEY,))
    read, at = [], 0
    for number in range(5):
        append_event(folder / EVENTS, {"n": number})
        append_event(folder / EVENTS, {"n": number + 0.5})
        events, at = scratch.events(folder, at)
        read.append([event["n"] for event in events])
    assert read == [[n, n + 0.5] for n in range(5)]
    assert scratch.events(folder, at) == ([], at)


def test_a_torn_last_line_is_left_for_later(scratch):
    folder = scratch.make((KEY,))
    with (folder / EVENTS).open("w") as file:
        file.write('{"n": 1}\n{"n"')
        file.flush()
        events, at = scratch.events(folder, 0)
        assert events == [{"n": 1}]
        file.write(": 2}\n")
        file.flush()
        assert scratch.events(folder, at)[0] == [{"n": 2}]


def test_a_line_that_a_crash_left_torn_hides_no_other(scratch):
    """A later attempt appends to it."""
    folder = scratch.make((KEY,))
    (folder / EVENTS).write_text('{"n": 1}\n{"n"')
    append_event(folder / EVENTS, {"n": 2})
    append_event(folder / EVENTS, {"n": 3})
    events, at = scratch.events(folder, 0)
    assert {"n": 1} in events
    assert {"n": 3} in events
    assert at == (folder / EVENTS).stat().st_size


@pytest.mark.parametrize("text", ["two\nlines", "a\rb", "a\u2028b", "ü€"])
def test_any_text_comes_back_as_it_was(scratch, text):
    folder = scratch.make((KEY,))
    append_event(folder / EVENTS, {"what": text})
    assert scratch.events(folder, 0)[0] == [{"what": text}]


def test_a_dropped_folder_is_gone_and_dropping_it_again_is_fine(scratch):
    folder = scratch.make((KEY,))
    (folder / "sub").mkdir()
    (folder / "sub" / "file").write_text("x")
    kept = scratch.make((OTHER,))
    scratch.drop(folder)
    scratch.drop(folder)
    assert not folder.exists()
    assert kept.is_dir()
    assert list(scratch.make((KEY,)).iterdir()) == []
