"""A schema is written once: what a person wrote meanwhile is theirs."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from raypipe.app.schema_file import read_schema, write_schema
from raypipe.errors import StoreError
from raypipe.stages.validation import schema_to_yaml
from raypipe.values.schema import Column, Schema


def schema(name: str) -> Schema:
    return Schema(name="tiny", columns=(Column(name=name, type="string"),))


def test_a_schema_that_is_there_stays(tmp_path: Path):
    """A run that inferred one ends after a person wrote theirs."""
    file = tmp_path / "schemas" / "tiny.yaml"
    write_schema(schema("mine"), file)
    write_schema(schema("theirs"), file)
    assert file.read_text() == schema_to_yaml(schema("mine"))


def test_of_runs_that_write_it_at_once_one_wins_and_nothing_else_is_left(tmp_path: Path):
    file = tmp_path / "tiny.yaml"
    names = [f"column{n}" * 50 for n in range(16)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda name: write_schema(schema(name), file), names))
    assert read_schema(file) in [schema(name) for name in names]
    assert list(tmp_path.iterdir()) == [file]


def test_columns_of_any_script_are_kept_whatever_the_locale(tmp_path: Path):
    code = (
        "from pathlib import Path; from tests.unit.app.test_schema_file import *; "
        "file = Path('tiny.yaml'); write_schema(schema('gr\\xf6\\xdfe'), file); "
        "assert read_schema(file) == schema('gr\\xf6\\xdfe')"
    )
    plain = {
        "LC_ALL": "C",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    command = [sys.executable, "-X", "utf8=0", "-c", code]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, **plain}, stderr=subprocess.PIPE
    )
    assert done.returncode == 0, done.stderr.decode()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be written"):
        write_schema(schema("a"), tmp_path / "file" / "tiny.yaml")
