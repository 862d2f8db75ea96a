"""Where code lies: the folders that modules are found in, and the file of each."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from raypipe.errors import PipelineError

PACKAGE = Path(__file__).parent.parent
"""raypipe's own folder."""


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


class CodePlaces:
    """Folders that modules are found in; each is listed once."""

    def __init__(self, roots: list[Path]) -> None:
        self._roots = roots
        self._places: dict[str, Path | None] = {}
        self._folders: dict[str, _Folder] = {}

    def file(self, name: str) -> Path | None:
        """Return the file of a module; a folder without `__init__.py` for itself."""
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

    def _listed(self, folder: str) -> _Folder:
        if folder not in self._folders:
            self._folders[folder] = _list(folder)
        return self._folders[folder]

    def folder(self, package: str) -> Path | None:
        """Return the folder of a package."""
        top_level, *inside = package.split(".")
        places = [*(root / top_level for root in self._roots), self._hooked(top_level)]
        folders = (place.joinpath(*inside) for place in places if place)
        return next((folder for folder in folders if folder.is_dir()), None)

    def _hooked(self, top_level: str) -> Path | None:
        if top_level not in self._places:
            self._places[top_level] = _hooked_place(top_level)
        return self._places[top_level]


def code_folders(root: Path) -> list[Path]:
    """Return the project's folders that its modules are found in, first come first.

    What is on the path, such as the folder of a script, then the root and its `src/`.
    """
    on_path = [Path(entry or ".").absolute() for entry in sys.path]
    ours = [p for p in on_path if p.is_relative_to(root) and not p.is_relative_to(sys.prefix)]
    return [p for p in dict.fromkeys([*ours, root, root / "src"]) if p.is_dir()]


def other_roots(root: Path) -> list[Path]:
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


def is_of_project(folder: Path) -> bool:
    """Say whether a folder under the root is the project's, and no environment or output."""
    other = {"__pycache__", "node_modules", "site-packages", "build", "dist"}
    hidden = folder.name.startswith(".") or folder.name in other
    return not hidden and not (folder / "pyvenv.cfg").exists()


def read_source(file: Path) -> str:
    """Return a file of Python as text; PipelineError says why it cannot be read."""
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
