"""A temporary folder goes with its process, or, where that was killed, with the next one."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile

import pytest

from raypipe.errors import StoreError
from raypipe.store.temporary import temporary_folder

KILLED = """
import os
from raypipe.store.temporary import temporary_folder

with temporary_folder("part-") as folder:
    (folder / "rows").write_text("of a killed process")
    os.kill(os.getpid(), 9)
"""


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_goes_with_what_is_in_it(place):
    with temporary_folder("part-") as folder:
        (folder / "rows").write_text("1")
        assert folder.parent == place
    assert list(place.iterdir()) == []


def test_what_a_killed_process_left_goes_with_the_next_one(place):
    killed = subprocess.run([sys.executable, "-c", KILLED], env=os.environ | {"TMPDIR": str(place)})
    assert killed.returncode == -9
    assert [file.name for file in place.glob("part-*/rows")] == ["rows"]
    with temporary_folder("part-"):
        assert list(place.glob("part-*/rows")) == []


def test_what_others_use_or_just_made_stays(place):
    (place / "part-made-now").mkdir()
    (place / "part-file").write_text("no folder")
    (place / "else").mkdir()
    (place / "part-of-a-user").mkdir()
    (place / "part-of-a-user" / "rows.csv").write_text("1")
    (place / "part-empty").mkdir()
    for old in ("else", "part-of-a-user", "part-empty"):
        os.utime(place / old, (0, 0))
    with temporary_folder("part-") as first, temporary_folder("part-") as second:
        assert first.exists()
        assert second.exists()
    stays = {"part-made-now", "part-file", "part-of-a-user", "else"}
    assert {one.name for one in place.iterdir()} == stays
    assert (place / "part-of-a-user" / "rows.csv").read_text() == "1"


def test_one_that_is_removed_before_it_is_locked_is_made_again(place, monkeypatch):
    """Between making and locking it, another process may take it for abandoned."""
    lock, made = fcntl.flock, []

    def late(file: int, how: int) -> None:
        lock(file, how)
        if not made:
            made.extend(place.iterdir())
            shutil.rmtree(made[0])

    monkeypatch.setattr(fcntl, "flock", late)
    with temporary_folder("part-") as folder:
        assert folder.is_dir()
        assert folder not in made


def test_a_disk_that_takes_no_folder_is_named(place, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(place / "file" / "there"))
    with pytest.raises(StoreError, match="cannot be made"), temporary_folder("part-"):
        pass
