"""What Ray's memory monitor says, and which of the processes that are known it is about."""

import os

from raypipe.runtime.notes import Note, note_in, notes_in
from raypipe.runtime.shortage import shortage_of

SAID = """3 worker(s) were killed due to the node running low on memory. Memory on the node \
(IP: 10.0.0.2, ID: d5a4) was 9.47GB used / 23.54GB limit (0.402115)
Considered workers: [
Selected to kill: (Actor(1f87): task name=DatasetManager.__init__, required resources={}, \
pid=17314, actual memory used=0.11GB, worker ID=e6df)
Selected to kill: (Actor(7959): task name=RayTrainWorker.__init__, required resources={CPU: 1}, \
pid=17474, actual memory used=4.94GB, worker ID=921b)
(Actor(26e9): task name=RayTrainWorker.__init__, pid=17470, actual memory used=0.44GB)
]
Refer to the documentation on how to address the out of memory issue
"""
"""As Ray 2.60 has it."""


def test_the_known_process_that_held_most_is_named() -> None:
    shortage = shortage_of(RuntimeError(SAID))

    assert shortage is not None
    assert shortage.told({17470: "worker 0", 17474: "worker 1", 1: "gone"}, "a worker") == (
        "lost worker 1 (it held 4.94 GB): the node was short of memory (9.47 of 23.54 GB used), so "
        "that Ray ended processes on it"
    )
    assert shortage.told({1: "gone"}, "a worker").startswith("lost a worker: the node was short")


def test_words_that_ray_may_change_are_left_out() -> None:
    shortage = shortage_of(RuntimeError("Task was killed due to the node running low on memory."))

    assert shortage is not None
    assert shortage.told({}, "its worker") == (
        "lost its worker: the node was short of memory, so that Ray ended processes on it"
    )


def test_another_error_is_none() -> None:
    assert shortage_of(RuntimeError("the worker died unexpectedly")) is None


def test_a_note_is_written_over_and_read_by_name_and_by_process(tmp_path) -> None:
    note = Note(tmp_path / "scratch", 1)
    assert notes_in(tmp_path / "scratch") == {}
    note.write("worker 1 of 2 after epoch 10, batch 12 of 13")
    note.write("worker 1 of 2 after epoch 11, batch 1 of 13")
    note.close()

    assert note_in(tmp_path / "scratch", 1) == ("worker 1 of 2 after epoch 11, batch 1 of 13")
    assert notes_in(tmp_path / "scratch") == {os.getpid(): note_in(tmp_path / "scratch", 1)}
    assert note_in(tmp_path, 2) == ""
