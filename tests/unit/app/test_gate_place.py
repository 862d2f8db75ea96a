"""The gate's secret is made once, and nobody but its owner reads it."""

import json
import socket
import stat
import subprocess
import sys

import pytest

from raypipe.app.gate_place import gate_of, gate_token, gate_told
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


def test_a_home_without_a_watch_has_no_gate(tmp_path):
    assert gate_of(HomePaths(tmp_path)) is None


def test_the_gate_of_a_watch_that_is_up_is_found_while_it_is(tmp_path):
    paths = HomePaths(tmp_path)
    with gate_told(paths, "http://h:1"):
        with gate_told(paths, "http://h:2"):
            assert gate_of(paths) == "http://h:1"
        assert gate_of(paths) == "http://h:1"
    assert gate_of(paths) is None
    assert list(paths.watches.iterdir()) == []


def test_a_watch_that_ends_leaves_that_which_began_after_it(tmp_path):
    paths = HomePaths(tmp_path)
    first, second = gate_told(paths, "http://h:1"), gate_told(paths, "http://h:2")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert gate_of(paths) == "http://h:2"
    second.__exit__(None, None, None)


def test_what_a_killed_watch_left_is_no_gate_and_goes(tmp_path):
    paths = HomePaths(tmp_path)
    paths.watches.mkdir()
    left = {"gate": "http://h:1", "host": socket.gethostname(), "pid": 1, "started": -1, "since": 0}
    (paths.watches / "killed.json").write_text(json.dumps(left))
    (paths.watches / "elsewhere.json").write_text(json.dumps(left | {"host": "another"}))
    for number, text in enumerate(("{", "", "null", "[]", '{"gate": "http://h:3"}')):
        (paths.watches / f"torn{number}.json").write_text(text)
    assert gate_of(paths) is None
    with gate_told(paths, "http://h:2"):
        assert gate_of(paths) == "http://h:2"
        assert not (paths.watches / "killed.json").exists()
        assert (paths.watches / "elsewhere.json").exists()
