"""A project's code as an artifact.

What workers elsewhere run, and what rebuilds a model's module.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from raypipe.engine.ports import Artifacts
from raypipe.errors import UsageError

LEFT_OUT = frozenset({"venv", "node_modules", "__pycache__"})
"""Folders that hold no code of the project's; nor does what is hidden, which may hold secrets."""
LARGEST_FILE = 10 * 2**20
"""Bytes; a larger file is data, not code."""
LARGEST = 200 * 2**20
"""Bytes of a whole snapshot."""


def snapshot_project(root: Path, artifacts: Artifacts) -> str:
    """Keep a copy of the project's code; return its digest. What git ignores stays out."""
    with tempfile.TemporaryDirectory(prefix="raypipe-") as temporary:
        folder = Path(temporary, "code")
        folder.mkdir()
        total = 0
        for file in sorted(code_files(root)):
            total += file.stat().st_size
            if total > LARGEST:
                raise UsageError(
                    f"the project {str(root)!r} has more than {LARGEST >> 20} MiB of code",
                    hint="keep data out of the project's folder, or name it in .gitignore",
                )
            copy = folder / file.relative_to(root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copyfile(file, copy)
            except OSError as error:
                raise UsageError(
                    f"the project's file {str(file)!r} cannot be read: {error.strerror}",
                    hint="make it readable, or name it in .gitignore",
                ) from error
        return artifacts.put_path(folder).digest


def code_files(root: Path) -> Iterator[Path]:
    """Yield the files of a project that may be code.

    What git knows or does not ignore, else all of them; a link counts as the file it leads to.
    """
    listed = _listed_by_git(root)
    for file in _walk(root) if listed is None else listed:
        if _is_code(file) and _belongs(file, root):
            yield file


def _belongs(file: Path, root: Path) -> bool:
    if any(map(_left_out, file.relative_to(root).parts)):
        return False
    if not file.is_symlink():
        return True
    target, inside = file.resolve(), root.resolve()
    return target.is_relative_to(inside) and _belongs(target, inside)


def _left_out(name: str) -> bool:
    return name in LEFT_OUT or name.startswith(".")


def _is_code(file: Path) -> bool:
    return file.is_file() and file.stat().st_size <= LARGEST_FILE


def _listed_by_git(root: Path) -> list[Path] | None:
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "ls-files", "-coz", "--exclude-standard"]
    try:
        output = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return [root / name for name in os.fsdecode(output).split("\0") if name]


def _walk(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if _left_out(entry.name):
            continue
        if entry.is_dir() and not entry.is_symlink():
            if not (entry / "pyvenv.cfg").exists():
                yield from _walk(entry)
        else:
            yield entry
