"""Source files as the fingerprint reads them.

Found by module name, parsed once, kept in an index.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from raypipe.engine.digest import digest_bytes
from raypipe.engine.fingerprint.reach import Kept
from raypipe.engine.fingerprint.symbols import NOT_INSTALLED, ModuleTable, Sources
from raypipe.errors import PipelineError, UsageError
from raypipe.store.faults import disk_faults

PACKAGE = Path(__file__).parent.parent
"""raypipe's own folder."""
FORMAT = 8
"""Number of the index's form, and of what parsing finds; another number is another index."""
NAME = "sources.json"
"""The index's file, in the folder of the home's indexes."""
UNKNOWN_VERSION = "unknown"
"""Stands for the version of a module that no distribution brought."""
YOUNG = 2_000_000_000
"""Nanoseconds: a file that changed later than this before it was read may change again unseen."""
_FROM_ANOTHER_NAME = {
    "yaml": "PyYAML",
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "bs4": "beautifulsoup4",
    "attr": "attrs",
}


class FileSources:
    """The modules of a project, of raypipe, and of editable installs, from their files."""

    def __init__(
        self,
        root: Path,
        index: Path | None,
        extra: Iterable[Path] = (),
        main: str | None = None,
    ) -> None:
        """`main` is the module that runs as `__main__`, where that is a file of the project's."""
        self._main = main
        self._roots = [*code_folders(root), *extra, *_other_roots(root)]
        self._root = root
        self._index = index and index / NAME
        self._tables: dict[str, ModuleTable | None] = {}
        self._contents: dict[str, str] = {}
        self._files: dict[str, Path | None] = {}
        self._lines: dict[str, list[str]] = {}
        self._seals: dict[str, list[int]] = {}
        self._kept: _Index | None = None
        self._fresh: dict[str, _Entry] = {}
        self._named: dict[str, str] = {}
        self._found: Any = None
        self._versions: dict[str, tuple[str, str] | None] = {}
        self._places: dict[str, Path | None] = {}
        self._folders: dict[str, _Folder] = {}

    def module(self, name: str) -> ModuleTable | None:
        """Return the table of a project module; None where it is no project's."""
        if name not in self._tables:
            found = self._file(name)
            self._tables[name] = None if found is None else self._table(name, found)
        return self._tables[name]

    def has(self, name: str) -> bool:
        """Say whether there is such a module of the project; it is not read."""
        return self._file(name) is not None

    def content(self, name: str) -> str:
        """Return the digest of what a module says; empty where it is no project's."""
        if name not in self._contents:
            file = self._file(name)
            if file is None:
                self._contents[name] = ""
            elif (entry := self._entry(name, file)) is not None:
                self._contents[name] = entry.content
            elif (table := self.module(name)) is not None and name not in self._contents:
                self._contents[name] = digest_bytes(_dump(table.to_json()[0]))
        return self._contents[name]

    def kept(self) -> Any:
        """Return what the index keeps of what was found in the code, or None."""
        return self._read_index().found

    def keep(self, found: Any) -> None:
        """Let the index keep what was found in the code."""
        self._found = found

    def _file(self, name: str) -> Path | None:
        if name not in self._files:
            self._files[name] = self._find(name)
        return self._files[name]

    def submodules(self, package: str) -> Iterable[str]:
        """Return the names of a package's modules, at any depth."""
        folder = self._folder(package)
        if folder is None:
            return []
        found = []
        for file in sorted(folder.rglob("*.py")):
            parts = file.relative_to(folder).with_suffix("").parts
            if all(part.isidentifier() for part in parts):
                parts = parts[:-1] if parts[-1] == "__init__" else parts
                found.append(".".join((package, *parts)))
        return found

    def everything(self) -> Iterable[str]:
        """Return the names of all modules under the root, but for other environments' in it."""
        for above, folders, files in os.walk(self._root):
            folders[:] = sorted(name for name in folders if _is_of_project(Path(above, name)))
            for file in sorted(files):
                path = Path(above, file).relative_to(self._root).with_suffix("")
                if file.endswith(".py") and not any("." in part for part in path.parts):
                    yield ".".join(path.parts).removesuffix(".__init__")

    def lines(self, name: str) -> list[str]:
        """Return the lines of a module's source; none for a folder without `__init__.py`."""
        if name not in self._lines:
            file = self._file(name)
            is_file = file is not None and file.suffix == ".py"
            self._lines[name] = _read(file).splitlines() if file and is_file else []
        return self._lines[name]

    def distribution(self, top_level: str) -> tuple[str, str] | None:
        """Return name and version of what a top-level module comes from; None for Python's own."""
        if top_level in sys.stdlib_module_names:
            return None
        if top_level not in self._versions:
            self._versions[top_level] = self._distribution(top_level)
        return self._versions[top_level]

    def _distribution(self, top_level: str) -> tuple[str, str]:
        """Return name and version; the name is kept in the index, since finding it may be slow."""
        name = self._read_index().distributions.get(top_level)
        if name and (version := _version(name)):
            return name, version
        found = _distribution(top_level)
        self._named[top_level] = found[0]
        return found

    def is_stale(self) -> bool:
        """Say whether a file that was read has changed since, or is gone."""
        return any(_seal(file) != seal for file, seal in self._seals.items())

    def seals(self) -> dict[str, list[int]]:
        """Return the states of the project's files that were read, as they were then, by path."""
        root = f"{self._root}{os.sep}"
        return {
            file.removeprefix(root): seal
            for file, seal in self._seals.items()
            if file.startswith(root)
        }

    def save(self) -> None:
        """Write what was found to the index; another process' index is replaced whole."""
        if self._index is None or not (self._fresh or self._named or self._found):
            return
        known = self._read_index()
        index = _Index(
            entries={**known.entries, **self._fresh},
            distributions={**known.distributions, **self._named},
            found=self._found or known.found,
        )
        _write(index, self._index)
        self._kept, self._fresh, self._named, self._found = index, {}, {}, None

    # --- files

    def _find(self, name: str) -> Path | None:
        if name.partition(".")[0] == "raypipe":
            return self._file_in(PACKAGE.parent, name)
        for root in self._roots:
            found = self._file_in(root, name)
            if found is not None:
                return found
        top_level, _, inside = name.partition(".")
        place = self._hooked(top_level)
        if place is None or not inside:
            return place and (place if place.is_file() else self._file_in(place.parent, place.name))
        return self._file_in(place, inside)

    def _file_in(self, root: Path, name: str) -> Path | None:
        """Return the file of a module in a folder; a folder without `__init__.py` for itself."""
        *above, last = name.split(".")
        path = str(root)
        for part in above:
            if part not in self._listed(path).folders:
                return None
            path = f"{path}/{part}"
        here = self._listed(path)
        if last in here.folders:
            package = self._listed(f"{path}/{last}")
            if "__init__.py" in package.files:
                return Path(path, last, "__init__.py")
        if f"{last}.py" in here.files:
            return Path(path, f"{last}.py")
        has_code = last in here.folders and self._has_code(f"{path}/{last}")
        return Path(path, last) if has_code else None

    def _has_code(self, folder: str, depth: int = 8) -> bool:
        """Say whether a folder without `__init__.py` is a package: code is somewhere in it."""
        here = self._listed(folder)
        if here.files or not depth:
            return bool(here.files)
        inner = (name for name in here.folders if name.isidentifier())
        return any(self._has_code(f"{folder}/{name}", depth - 1) for name in inner)

    def _listed(self, folder: str) -> "_Folder":
        if folder not in self._folders:
            self._folders[folder] = _list(folder)
        return self._folders[folder]

    def _folder(self, package: str) -> Path | None:
        top_level, *inside = package.split(".")
        places = [*(root / top_level for root in self._roots), self._hooked(top_level)]
        folders = (place.joinpath(*inside) for place in places if place)
        return next((folder for folder in folders if folder.is_dir()), None)

    def _hooked(self, top_level: str) -> Path | None:
        if top_level not in self._places:
            self._places[top_level] = _hooked_place(top_level)
        return self._places[top_level]

    def _entry(self, name: str, file: Path) -> "_Entry | None":
        """Return what the index keeps of a module's file as it is now."""
        if file.suffix != ".py":
            return None
        entry = self._read_index().entries.get(self._known_as(name, file))
        place = str(file)
        if place not in self._seals:
            self._seals[place] = _seal(place)
        seal = self._seals[place]
        return entry if entry is not None and entry.seal == seal else None

    def _known_as(self, name: str, file: Path) -> str:
        return f"{name} {file}{' as main' if name == self._main else ''}"

    def _table(self, name: str, file: Path) -> ModuleTable:
        if file.suffix != ".py":
            return ModuleTable(name=name, is_package=True, pieces=(), imports={}, stars=())
        entry = self._entry(name, file)
        if entry is not None:
            try:
                return ModuleTable.from_json(*json.loads(entry.table))
            except (KeyError, TypeError, ValueError):
                pass
        from raypipe.engine.fingerprint.parse import parse_module

        seal = self._seals[str(file)]
        table = parse_module(
            name,
            _read(file),
            is_package=file.name == "__init__.py",
            shown=self._shown(file),
            is_main=name == self._main,
        )
        told = table.to_json()
        self._contents[name] = digest_bytes(_dump(told[0]))
        if time.time_ns() - max(seal[:2]) > YOUNG:
            self._fresh[self._known_as(name, file)] = _Entry(
                seal=seal, content=self._contents[name], table=_dump(told), file=str(file)
            )
        return table

    def _shown(self, file: Path) -> str:
        return str(file.relative_to(self._root) if file.is_relative_to(self._root) else file)

    def _read_index(self) -> "_Index":
        if self._kept is None:
            self._kept = _load(self._index)
        return self._kept


@dataclass(frozen=True, slots=True)
class _Folder:
    files: frozenset[str]
    """Names of those with code."""
    folders: frozenset[str]


_NO_FOLDER = _Folder(frozenset(), frozenset())


def _list(folder: str) -> _Folder:
    files, folders = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(".py") and entry.is_file():
                    files.append(entry.name)
                elif "." not in entry.name and entry.is_dir():
                    folders.append(entry.name)
    except OSError:
        return _NO_FOLDER
    return _Folder(frozenset(files), frozenset(folders))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Entry:
    """What the index keeps of one module."""

    seal: list[int]
    content: str
    """Digest of what the module says."""
    table: bytes
    file: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _Index:
    """A line of JSON that tells what there is; behind it the tables, read when they are needed."""

    entries: dict[str, _Entry] = field(default_factory=dict)
    distributions: dict[str, str] = field(default_factory=dict)
    found: Any = None

    def to_bytes(self) -> bytes:
        """Return the file; what it keeps of files that are gone is left out."""
        told, tables, start = {}, [], 0
        for known_as, entry in self.entries.items():
            if os.path.exists(entry.file):  # noqa: PTH110, quicker
                end = start + len(entry.table)
                told[known_as] = [entry.seal, entry.content, start, end, entry.file]
                tables.append(entry.table)
                start = end
        head = {
            "format": FORMAT,
            "maker": _maker(),
            "entries": told,
            "distributions": self.distributions,
            "found": self.found,
        }
        return b"\n".join([_dump(head), b"".join(tables)])


def gone_from(index: Path) -> int:
    """Return how many modules the index in a folder keeps whose files are gone."""
    return sum(not os.path.exists(one.file) for one in _load(index / NAME).entries.values())  # noqa: PTH110, quicker


def drop_gone(index: Path) -> int:
    """Drop them from the index, which is replaced whole; return how many there were."""
    count = gone_from(index)
    if count:
        _write(_load(index / NAME), index / NAME)
    return count


def _write(index: _Index, place: Path) -> None:
    with disk_faults(f"the index {str(place)!r} cannot be written"):
        place.parent.mkdir(parents=True, exist_ok=True)
        descriptor, aside = tempfile.mkstemp(dir=place.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(index.to_bytes())
        Path(aside).rename(place)


def _is_of_project(folder: Path) -> bool:
    other = {"__pycache__", "node_modules", "site-packages", "build", "dist"}
    hidden = folder.name.startswith(".") or folder.name in other
    return not hidden and not (folder / "pyvenv.cfg").exists()


def _seal(file: Path | str) -> list[int]:
    """Return what tells that a file was written: times, inode and size; zeros if it is gone."""
    try:
        stat = os.stat(file)  # noqa: PTH116, quicker
    except OSError:
        return [0, 0, 0, 0]
    return [stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_size]


@cache
def _maker() -> list[Any]:
    """Return what tells that other code made an index: this Python, and raypipe's own files."""
    files = [*(PACKAGE / "engine" / "fingerprint").glob("*.py"), Path(__file__)]
    return [list(sys.version_info[:3]), sorted(_seal(file)[::3] for file in files)]


def _load(index: Path | None) -> _Index:
    if index is None:
        return _Index()
    try:
        head, _, tables = index.read_bytes().partition(b"\n")
        data = json.loads(head)
        if data["format"] != FORMAT or data["maker"] != _maker():
            return _Index()
        entries = {
            known_as: _Entry(seal=seal, content=content, table=tables[start:end], file=file)
            for known_as, (seal, content, start, end, file) in data["entries"].items()
        }
        return _Index(
            entries=entries, distributions=dict(data["distributions"]), found=data["found"]
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return _Index()


def _dump(data: Any) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()


def _read(file: Path) -> str:
    import tokenize

    try:
        with tokenize.open(file) as opened:
            return opened.read()
    except OSError as error:
        raise PipelineError(
            f"{file} cannot be read: {error.strerror}", hint="make it readable, or remove it"
        ) from error
    except (SyntaxError, UnicodeDecodeError) as error:
        raise PipelineError(
            f"{file.name} cannot be read: {error}", hint="save it as UTF-8"
        ) from error


def code_folders(root: Path) -> list[Path]:
    """Return the project's folders that its modules are found in, first come first.

    What is on the path, such as the folder of a script, then the root and its `src/`.
    """
    on_path = [Path(entry or ".").absolute() for entry in sys.path]
    ours = [p for p in on_path if p.is_relative_to(root) and not p.is_relative_to(sys.prefix)]
    return [p for p in dict.fromkeys([*ours, root, root / "src"]) if p.is_dir()]


def _other_roots(root: Path) -> list[Path]:
    """Return the folders on the path that hold code of other projects.

    Not Python's own, not site-packages.
    """
    own = {Path(sys.prefix), Path(sys.base_prefix), PACKAGE.parent}
    folders = []
    for entry in sys.path:
        folder = Path(entry or ".").absolute()
        inside = "site-packages" in folder.parts or "dist-packages" in folder.parts
        if inside or not folder.is_dir() or any(folder.is_relative_to(place) for place in own):
            continue
        if not folder.is_relative_to(root):
            folders.append(folder)
    return folders


def _hooked_place(top_level: str) -> Path | None:
    """Return the folder or file of a module that an editable install finds by an import hook.

    Such an install puts no folder on the path.
    """
    if top_level in sys.stdlib_module_names:
        return None
    for finder in sys.meta_path:
        name = getattr(finder, "__name__", type(finder).__name__)
        if "Editable" not in name and "Redirecting" not in name:
            continue
        spec = finder.find_spec(top_level, None)
        if spec is None:
            continue
        if spec.submodule_search_locations:
            return Path(next(iter(spec.submodule_search_locations)))
        if spec.origin is not None and spec.origin.endswith(".py"):
            return Path(spec.origin)
    return None


def _distribution(top_level: str) -> tuple[str, str]:
    from importlib.metadata import packages_distributions

    for name in (_FROM_ANOTHER_NAME.get(top_level, top_level), top_level.replace("_", "-")):
        if version := _version(name):
            return name.lower(), version
    for name in packages_distributions().get(top_level, []):
        return name.lower(), _version(name) or UNKNOWN_VERSION
    return top_level.lower(), UNKNOWN_VERSION if find_spec(top_level) else NOT_INSTALLED


def _version(distribution: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


# --- projects -----------------------------------------------------------------------------------


def project_root(file: Path) -> Path:
    """Return the folder of the nearest pyproject.toml at or above a file's folder.

    Else that folder.
    """
    folder = file.absolute().parent
    for candidate in (folder, *folder.parents):
        if (candidate / "pyproject.toml").is_file():
            return candidate
    return folder


def project_name(root: Path) -> str | None:
    """Return what pyproject.toml calls a project; None where it says nothing, or is not there."""
    import tomllib

    try:
        text = (root / "pyproject.toml").read_text("utf-8")
        name = tomllib.loads(text).get("project", {}).get("name")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError) as error:
        raise UsageError(
            f"{str(root / 'pyproject.toml')!r} cannot be read: {error}",
            hint="mend it: the project's name is taken from it",
        ) from error
    return name if isinstance(name, str) and name else None


def module_name(file: Path, root: Path) -> str:
    """Return the name of a file as a module, relative to the project root."""
    path = file.absolute()
    for base in (root / "src", root):
        if path.is_relative_to(base):
            parts = path.relative_to(base).with_suffix("").parts
            return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)
    return path.stem


def _fits(sources: FileSources) -> tuple[Sources, Kept]:
    return sources, sources
