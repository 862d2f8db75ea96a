"""A home is made by several processes at once, and is never taken for a folder of somebody's."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from raypipe.app.clean import clean
from raypipe.app.home import is_home, make_home
from raypipe.errors import StoreError

MAKER = """
import sys, time
from pathlib import Path
from raypipe.app.look import workshop_of

home, start = Path(sys.argv[1]), float(sys.argv[2])
time.sleep(max(0.0, start - time.time()))
workshop_of(home)
"""


@pytest.mark.slow
def test_processes_that_make_a_home_at_the_same_moment_all_have_it(tmp_path):
    start = time.time() + 2
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", MAKER, tmp_path / "home", str(start)],
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    said = [maker.communicate(timeout=60)[1] for maker in makers]
    assert [maker.returncode for maker in makers] == [0] * 6, said


def test_a_home_is_known_before_anything_is_in_it(tmp_path):
    make_home(tmp_path / "home")
    (tmp_path / "home" / "uses").mkdir()
    make_home(tmp_path / "home")


def test_cleaning_leaves_a_folder_alone_that_is_no_home_yet(tmp_path):
    (tmp_path / "home").mkdir()
    assert clean(tmp_path / "home", dry_run=False)["count"] == 0
    assert not list((tmp_path / "home").iterdir())
    assert not is_home(tmp_path / "home")
    make_home(tmp_path / "home")
    assert is_home(tmp_path / "home")


@pytest.mark.parametrize("name", ["work", "identity.txt", "lakefs.json"])
def test_a_folder_of_somebody_does_not_become_a_home(tmp_path: Path, name: str):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_text("x")
    with pytest.raises(StoreError, match=f"'{name}' is in it"):
        make_home(tmp_path / "mine")
    assert [one.name for one in (tmp_path / "mine").iterdir()] == [name]
