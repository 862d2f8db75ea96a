"""Source files as the fingerprint reads them.

Found by module name, parsed once, kept in an index.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from raypipe.engine.fingerprint import ModuleTable, Sources, parse_module
from raypipe.engine.fingerprint.symbols import NOT_INSTALLED
from raypipe.errors import PipelineError, UsageError
from raypipe.store.faults import disk_faults

PACKAGE = Path(__file__).parent.parent
"""raypipe's own folder."""
FORMAT = 7
"""Number of the index's form, and of what parsing finds; another number is another index."""
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
        self._index = index and index / "sources.json"
        self._tables: dict[str, ModuleTable | None] = {}
        self._files: dict[str, Path] = {}
        self._seals: dict[Path, list[int]] = {}
        self._kept: dict[str, Any] | None = None
        self._fresh: dict[str, Any] = {}
        self._versions: dict[str, tuple[str, str] | None] = {}
        self._places: dict[str, Path | None] = {}

    def module(self, name: str) -> ModuleTable | None:
        """Return the table of a project module; None where it is no project's."""
        if name not in self._tables:
            found = self._find(name)
            if found is None:
                self._tables[name] = None
            else:
                self._files[name] = found
                self._tables[name] = self._table(name, found)
        return self._tables[name]

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
        self.module(name)
        file = self._files[name]
        return [] if file.is_dir() else _read(file).splitlines()

    def distribution(self, top_level: str) -> tuple[str, str] | None:
        """Return name and version of what a top-level module comes from; None for Python's own."""
        if top_level in sys.stdlib_module_names:
            return None
        if top_level not in self._versions:
            self._versions[top_level] = self._distribution(top_level)
        return self._versions[top_level]

    def _distribution(self, top_level: str) -> tuple[str, str]:
        """Return name and version; the name is kept in the index, since finding it may be slow."""
        entry = f"distribution {top_level}"
        if (name := self._read_index().get(entry)) and (version := _version(name)):
            return name, version
        found = _distribution(top_level)
        self._fresh[entry] = found[0]
        return found

    def is_stale(self) -> bool:
        """Say whether a file that was read has changed since, or is gone."""
        return any(_seal(file) != seal for file, seal in self._seals.items())

    def seals(self) -> dict[str, list[int]]:
        """Return the states of the project's files that were read, as they were then, by path."""
        ours = (file for file in self._seals if file.is_relative_to(self._root))
        return {str(file.relative_to(self._root)): self._seals[file] for file in ours}

    def save(self) -> None:
        """Write what was parsed to the index; another process' index is replaced whole."""
        if not self._fresh or self._index is None:
            return
        entries = {**self._read_index(), **self._fresh}
        text = json.dumps({"format": FORMAT, "entries": entries}, separators=(",", ":"))
        with disk_faults(f"the index {str(self._index)!r} cannot be written"):
            self._index.parent.mkdir(parents=True, exist_ok=True)
            descriptor, aside = tempfile.mkstemp(dir=self._index.parent)
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
            Path(aside).rename(self._index)
        self._kept, self._fresh = entries, {}

    # --- files

    def _find(self, name: str) -> Path | None:
        if name.partition(".")[0] == "raypipe":
            return _file_in(PACKAGE.parent, name)
        for root in self._roots:
            found = _file_in(root, name)
            if found is not None:
                return found
        top_level, _, inside = name.partition(".")
        place = self._hooked(top_level)
        if place is None or not inside:
            return place and (place if place.is_file() else _file_in(place.parent, place.name))
        return _file_in(place, inside)

    def _folder(self, package: str) -> Path | None:
        top_level, *inside = package.split(".")
        places = [*(root / top_level for root in self._roots), self._hooked(top_level)]
        folders = (place.joinpath(*inside) for place in places if place)
        return next((folder for folder in folders if folder.is_dir()), None)

    def _hooked(self, top_level: str) -> Path | None:
        if top_level not in self._places:
            self._places[top_level] = _hooked_place(top_level)
        return self._places[top_level]

    def _table(self, name: str, file: Path) -> ModuleTable:
        if file.is_dir():
            return ModuleTable(name=name, is_package=True, pieces=(), imports={}, stars=())
        seal = _seal(file)
        self._seals[file] = seal
        is_main = name == self._main
        known_as = f"{name} {file}{' as main' if is_main else ''}"
        entry = self._read_index().get(known_as)
        if entry is not None and entry["seal"] == seal:
            try:
                return ModuleTable.from_json(entry["table"])
            except (KeyError, TypeError, ValueError):
                pass
        table = parse_module(
            name,
            _read(file),
            is_package=file.name == "__init__.py",
            shown=self._shown(file),
            is_main=is_main,
        )
        if time.time_ns() - max(seal[:2]) > YOUNG:
            self._fresh[known_as] = {"seal": seal, "table": table.to_json()}
        return table

    def _shown(self, file: Path) -> str:
        return str(file.relative_to(self._root) if file.is_relative_to(self._root) else file)

    def _read_index(self) -> dict[str, Any]:
        if self._kept is None:
            self._kept = _load(self._index)
        return self._kept


def _is_of_project(folder: Path) -> bool:
    other = {"__pycache__", "node_modules", "site-packages", "build", "dist"}
    hidden = folder.name.startswith(".") or folder.name in other
    return not hidden and not (folder / "pyvenv.cfg").exists()


def _seal(file: Path) -> list[int]:
    """Return what tells that a file was written: times, inode and size; zeros if it is gone."""
    try:
        stat = file.stat()
    except OSError:
        return [0, 0, 0, 0]
    return [stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_size]


def _load(index: Path | None) -> dict[str, Any]:
    if index is None:
        return {}
    try:
        data = json.loads(index.read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        return {}
    entries = data.get("entries")
    return entries if isinstance(entries, dict) else {}


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


def _file_in(root: Path, name: str) -> Path | None:
    path = root.joinpath(*name.split("."))
    for candidate in (path / "__init__.py", path.with_name(f"{path.name}.py")):
        if candidate.is_file():
            return candidate
    has_code = path.is_dir() and name and any(path.glob("*.py"))
    return path if has_code else None


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


def _fits(sources: FileSources) -> Sources:
    return sources
