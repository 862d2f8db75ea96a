"""The gate's secret is made once, and nobody but its owner reads it."""

import os
import stat
import subprocess
import sys

import pytest

from raypipe.app.gate_place import gate_of, gate_token
from raypipe.errors import StoreError
from raypipe.store.paths import HomePaths

MAKER = """
import sys
from pathlib import Path
from raypipe.app.gate_place import gate_token
from raypipe.store.paths import HomePaths
print(gate_token(HomePaths(Path(sys.argv[1]))))
"""


def test_it_is_made_once_for_its_owner_alone(tmp_path):
    paths = HomePaths(tmp_path)
    token = gate_token(paths)
    assert gate_token(paths) == token
    assert stat.S_IMODE(paths.gate_token.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["gate_token"]


def test_processes_that_make_it_at_once_have_the_same(tmp_path):
    command = [sys.executable, "-c", MAKER, str(tmp_path)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert len({process.communicate()[0] for process in started}) == 1


def test_one_that_others_can_read_is_refused(tmp_path):
    paths = HomePaths(tmp_path)
    token = gate_token(paths)
    paths.gate_token.chmod(0o640)
    with pytest.raises(StoreError, match="can be read by others") as no:
        gate_token(paths)
    assert token not in str(no.value)


@pytest.mark.parametrize("text", ["", "abc", "x" * 20 + "\n" + "y" * 20])
def test_one_that_is_torn_is_refused(tmp_path, text):
    """An empty secret would let everybody ask."""
    paths = HomePaths(tmp_path)
    paths.gate_token.touch(mode=0o600)
    paths.gate_token.write_text(text)
    with pytest.raises(StoreError, match="holds no token"):
        gate_token(paths)


@pytest.mark.parametrize("text", [None, "{", '{"gate": "http://h:1", "pid": 1, "started": -1}'])
def test_a_watch_that_is_gone_has_no_gate(tmp_path, text):
    paths = HomePaths(tmp_path)
    if text is not None:
        paths.watch.write_text(text)
    assert gate_of(paths) is None


def test_the_gate_of_a_watch_that_is_up_is_found(tmp_path):
    from raypipe.runtime.processes import start_time

    paths = HomePaths(tmp_path)
    me = os.getpid()
    paths.watch.write_text(f'{{"gate": "http://h:1", "pid": {me}, "started": {start_time(me)}}}')
    assert gate_of(paths) == "http://h:1"
