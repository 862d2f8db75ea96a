"""A project's code as an artifact.

What workers elsewhere run, and what rebuilds a model's module.
"""

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
            shutil.copyfile(file, copy)
        return artifacts.put_path(folder).digest


def code_files(root: Path) -> Iterator[Path]:
    """Yield the files of a project that may be code.

    What git knows or does not ignore, else all of them.
    """
    listed = _listed_by_git(root)
    for file in _walk(root) if listed is None else listed:
        if not any(map(_left_out, file.relative_to(root).parts)) and _is_code(file):
            yield file


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
    return [root / name for name in output.decode().split("\0") if name]


def _walk(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if _left_out(entry.name) or entry.is_symlink():
            continue
        if entry.is_dir():
            if not (entry / "pyvenv.cfg").exists():
                yield from _walk(entry)
        else:
            yield entry
