"""A project's code as an artifact: one file for a run, a folder for a bundle.

What a run goes on with, what workers elsewhere run, and what rebuilds a model's module.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from stat import S_ISLNK, S_ISREG

from raypipe.engine.digest import digest_bytes
from raypipe.engine.ports import Artifacts
from raypipe.engine.records import ArtifactStat, Json
from raypipe.errors import StoreError, UsageError
from raypipe.store.faults import disk_faults

LEFT_OUT = frozenset({"venv", "node_modules", "__pycache__"})
"""Folders that hold no code of the project's; nor does what is hidden, which may hold secrets."""
LEDGERS = frozenset({"ledger.db", "ledger.json"})
"""Files that a home is known by."""
LARGEST_FILE = 10 * 2**20
"""Bytes; a larger file is data, not code."""
LARGEST = 200 * 2**20
"""Bytes of a whole snapshot."""
WRITTEN = (".py", ".yaml", ".yml", ".toml")
"""What files of code and settings end with; others may well be data."""
YOUNG = 2_000_000_000
"""Nanoseconds: a file that changed later than this before it was copied may change again unseen."""
TRIES = 3
"""Times that a project is copied which is written to meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A project's code as it was kept."""

    digest: str
    seals: Mapping[str, list[int]]
    """File, relative to the root, to the times, inode and size that it had when it was copied."""


class Snapshots:
    """Snapshots of one project; a project that did not change costs a look at its files' states."""

    def __init__(self, root: Path, artifacts: Artifacts, index: Path) -> None:
        """`index` is the folder where the states of files are kept between runs."""
        self._root = root
        self._artifacts = artifacts
        self._index = index / f"code-{digest_bytes(str(root).encode())[:12]}.json"

    def take(self) -> Snapshot:
        """Keep the project's code as it is now, whole; UsageError where it cannot be copied."""
        for _ in range(TRIES):
            seals = seals_of(self._root)
            if (known := self._known(seals)) is not None:
                return known
            began = time.time_ns()
            stat = self._artifacts.put_bytes(_pack(self._root, seals))
            if seals_of(self._root) == seals:
                self._note(stat, seals, began)
                return Snapshot(digest=stat.digest, seals=seals)
        raise UsageError(
            f"the project {str(self._root)!r} changes while its code is copied",
            hint="run again when nothing writes to it, or name what is no code in .gitignore",
        )

    def _known(self, seals: Mapping[str, list[int]]) -> Snapshot | None:
        """Return the snapshot of these states; None where there is none, or it is gone."""
        try:
            noted: Json = json.loads(self._index.read_text())
            stat = ArtifactStat(**noted["stat"])
            if noted["seals"] != seals or not self._artifacts.intact(stat):
                return None
        except (OSError, ValueError, KeyError, TypeError, StoreError):
            return None
        return Snapshot(digest=stat.digest, seals=seals)

    def _note(self, stat: ArtifactStat, seals: Mapping[str, list[int]], began: int) -> None:
        if any(began - max(seal[:2]) < YOUNG for seal in seals.values()):
            return
        with disk_faults(f"the index {str(self._index)!r} cannot be written"):
            self._index.parent.mkdir(parents=True, exist_ok=True)
            descriptor, aside = tempfile.mkstemp(dir=self._index.parent)
            with os.fdopen(descriptor, "w") as file:
                json.dump({"stat": asdict(stat), "seals": seals}, file, separators=(",", ":"))
            Path(aside).rename(self._index)


def seals_of(root: Path) -> dict[str, list[int]]:
    """Return what tells that a file of a project was written, by its path."""
    return {
        name: [stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_size]
        for name, stat in sorted(_found(root))
    }


def _pack(root: Path, names: Iterable[str]) -> bytes:
    """Return the files of a project as the bytes of a zip file, the same for the same content."""
    from io import BytesIO
    from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

    packed = BytesIO()
    total = 0
    with ZipFile(packed, "w", ZIP_DEFLATED, compresslevel=1) as archive:
        for name in names:
            content = _read(root / name)
            total += len(content)
            if total > LARGEST:
                raise _too_large(root)
            info = ZipInfo(_as_utf8(name))
            info.compress_type = ZIP_DEFLATED
            archive.writestr(info, content)
    return packed.getvalue()


def unpack(packed: bytes, folder: Path) -> Path:
    """Make a folder hold the files of a snapshot, and no others but what Python compiled."""
    files = contents(packed)
    there = {name for name, _ in _found(folder)} if folder.is_dir() else set()
    with disk_faults(f"the code of a run cannot be written to {str(folder)!r}"):
        folder.mkdir(parents=True, exist_ok=True)
        for name in there - files.keys():
            (folder / name).unlink()
        for name, content in files.items():
            _write(folder / name, content)
    return folder


def contents(packed: bytes) -> dict[str, bytes]:
    """Return the files of a snapshot, by their paths."""
    from io import BytesIO
    from zipfile import ZipFile

    with ZipFile(BytesIO(packed)) as archive:
        found = {_from_utf8(name): archive.read(name) for name in archive.namelist()}
    for name in found:
        if not name or name.startswith("/") or ".." in name.split("/"):
            raise StoreError(f"a snapshot of code holds {name!r}, which is no file of a project")
    return found


def differing_files(root: Path, packed: bytes) -> list[str]:
    """Return the code and settings whose content is not that of a snapshot, by their paths."""
    then = {n: content for n, content in contents(packed).items() if n.endswith(WRITTEN)}
    now = {name for name, _ in _found(root) if name.endswith(WRITTEN)}
    return sorted(n for n in {*now, *then} if n not in now or _read(root / n) != then.get(n))


def _write(file: Path, content: bytes) -> None:
    """Write a file aside and move it into place, unless it is there as it should be."""
    if file.is_file() and file.read_bytes() == content:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, aside = tempfile.mkstemp(dir=file.parent)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(content)
    Path(aside).replace(file)


def _as_utf8(name: str) -> str:
    """Return a file's name as a zip file takes it: any bytes, those that are no text escaped."""
    return os.fsencode(name.replace("\\", "\\\\")).decode("utf-8", "backslashreplace")


def _from_utf8(name: str) -> str:
    def letter(found: re.Match[str]) -> str:
        return "\\" if found[1] == "\\" else os.fsdecode(bytes.fromhex(found[2]))

    return re.sub(r"\\(\\|x([0-9a-f]{2}))", letter, name)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: OSError) -> UsageError:
    return UsageError(
        f"the project's file {str(file)!r} cannot be read: {error.strerror}",
        hint="make it readable, or name it in .gitignore",
    )


def _too_large(root: Path) -> UsageError:
    return UsageError(
        f"the project {str(root)!r} has more than {LARGEST >> 20} MiB of code",
        hint="keep data out of the project's folder, or name it in .gitignore",
    )


def snapshot_project(root: Path, artifacts: Artifacts) -> str:
    """Keep a copy of the project's code; return its digest. What git ignores stays out."""
    with tempfile.TemporaryDirectory(prefix="raypipe-") as temporary:
        folder = Path(temporary, "code")
        folder.mkdir()
        total = 0
        for name, stat in sorted(_found(root)):
            total += stat.st_size
            if total > LARGEST:
                raise _too_large(root)
            copy = folder / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copyfile(root / name, copy)
            except OSError as error:
                raise _unreadable(root / name, error) from error
        return artifacts.put_path(folder).digest


def code_files(root: Path) -> Iterator[Path]:
    """Yield the files of a project that may be code.

    What git knows or does not ignore, else all of them; a link counts as the file it leads to.
    """
    for name, _ in _found(root):
        yield root / name


def _found(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the files that may be code, by their paths from the root, with their states."""
    listed = _listed_by_git(root)
    for name in _outside_homes([*_walk(root, "")] if listed is None else listed):
        try:
            stat = os.lstat(f"{root}/{name}")
            if S_ISLNK(stat.st_mode):
                stat = os.stat(f"{root}/{name}")  # noqa: PTH116 - many files, and Path is slow
                belongs = _leads_inside(root / name, root)
            else:
                belongs = not any(map(_left_out, name.split("/")))
        except OSError:  # it went while this looked, or leads nowhere
            continue
        if belongs and S_ISREG(stat.st_mode) and stat.st_size <= LARGEST_FILE:
            yield name, stat


def _outside_homes(names: list[str]) -> Iterator[str]:
    """Yield the files that are in no home.

    A ledger must never be opened but by SQLite: closing it again would let go of the locks that
    this process has on it, and another process would take away what it writes.
    """
    folders = (name.rpartition("/")[0] for name in names if name.rpartition("/")[2] in LEDGERS)
    homes = tuple(f"{folder}/" if folder else "ledger." for folder in folders)
    return (name for name in names if not name.startswith(homes))


def _leads_inside(link: Path, root: Path) -> bool:
    """Say whether a link, and what it leads to, belong to the project."""
    target, inside = link.resolve(), root.resolve()
    if not target.is_relative_to(inside):
        return False
    parts = (*link.relative_to(root).parts, *target.relative_to(inside).parts)
    return not any(map(_left_out, parts))


def _left_out(name: str) -> bool:
    return name in LEFT_OUT or name.startswith(".")


def _listed_by_git(root: Path) -> list[str] | None:
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "ls-files", "-coz", "--exclude-standard"]
    try:
        output = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return [name for name in os.fsdecode(output).split("\0") if name]


def _walk(root: Path, prefix: str) -> Iterator[str]:
    try:
        with os.scandir(f"{root}/{prefix}") as entries:
            found = [entry for entry in entries if not _left_out(entry.name)]
    except FileNotFoundError:  # it went while this looked
        return
    if prefix and LEDGERS & {entry.name for entry in found}:  # a home, where much comes and goes
        return
    for entry in found:
        name = f"{prefix}{entry.name}"
        if not entry.is_dir(follow_symlinks=False):
            yield name
        elif not os.path.exists(f"{root}/{name}/pyvenv.cfg"):  # noqa: PTH110 - see above
            yield from _walk(root, f"{name}/")
