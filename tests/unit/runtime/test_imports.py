"""A process runs what the project's sources say now, whatever bytecode lies beside them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PLAIN = "import {0}; print({0}.NUMBER)"
OURS = """
from raypipe.runtime.imports import importing_from
with importing_from([{1!r}]):
    import {0}
print({0}.NUMBER)
"""


def said(code: str, module: str, folder: Path) -> str:
    """Run code in a process that writes bytecode, as Python does by itself."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", code.format(module, str(folder))],
        capture_output=True, text=True, check=True, cwd=folder, env=kept,
    )  # fmt: skip
    return done.stdout.strip()


def write(file: Path, number: int) -> None:
    """Write a module with its time and size as of any other number of one digit."""
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"NUMBER = {number}\n")
    os.utime(file, (1_700_000_000, 1_700_000_000))


@pytest.mark.parametrize(
    ("file", "module"),
    [("mod.py", "mod"), ("pkg/__init__.py", "pkg"), ("pkg/part.py", "pkg.part")],
)
def test_an_edit_that_keeps_time_and_size_is_run(tmp_path, file, module):
    write(tmp_path / file, 1)
    assert said(OURS, module, tmp_path) == "1"
    write(tmp_path / file, 2)
    assert said(PLAIN, module, tmp_path) == "1"  # else Python has changed, and this is not needed
    assert said(OURS, module, tmp_path) == "2"


def test_bytecode_that_is_surely_of_its_source_is_used(tmp_path):
    write(tmp_path / "mod.py", 1)
    said(OURS, "mod", tmp_path)
    (bytecode,) = (tmp_path / "__pycache__").iterdir()
    later = (tmp_path / "mod.py").stat().st_ctime + 3
    os.utime(bytecode, (later, later))
    verbose = subprocess.run(
        [sys.executable, "-v", "-c", OURS.format("mod", str(tmp_path))],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    assert f"code object from {str(bytecode)!r}" in verbose.stderr
