"""A temporary folder goes with its process, or, where that was killed, with the next one."""

import os
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
    os.utime(place / "else", (0, 0))
    with temporary_folder("part-") as first, temporary_folder("part-") as second:
        assert first.exists()
        assert second.exists()
    assert {one.name for one in place.iterdir()} == {"part-made-now", "part-file", "else"}


def test_a_disk_that_takes_no_folder_is_named(place, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(place / "file" / "there"))
    with pytest.raises(StoreError, match="cannot be made"), temporary_folder("part-"):
        pass
