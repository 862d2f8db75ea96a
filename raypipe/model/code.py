"""Where models find the code that settings name, and code of another time beside that of now."""

import ast
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from raypipe.values.code import resolve

__all__ = ["CodeSnapshot", "resolve"]

SHARED = frozenset({"raypipe"})
"""Packages that a snapshot may hold, but that this process has one of: the loader's own."""


class CodeSnapshot:
    """A project's code as it was, imported beside modules of the same names as they are now.

    What was loaded while it is active keeps to its own modules. Not for several threads at once.
    """

    def __init__(self, folder: Path) -> None:
        self._folders = [str(place) for place in (folder, folder / "src") if place.is_dir()]
        self._names = {name for place in self._folders for name in _top_level(Path(place))} - SHARED
        self._modules: dict[str, ModuleType] = {}

    @property
    def imports_late(self) -> bool:
        """Whether functions of the modules that were loaded import others of the snapshot.

        If so, they must run while it is active; else what they need is bound to them already.
        """
        return any(_imports_late(module, self._names) for module in self._modules.values())

    @contextmanager
    def active(self) -> Iterator[None]:
        """Import the snapshot's modules in the body, and the process's own again after it."""
        others = self._take()
        sys.modules.update(self._modules)
        sys.path[:0] = self._folders
        importlib.invalidate_caches()
        try:
            yield
        finally:
            for folder in self._folders:
                sys.path.remove(folder)
            self._modules = self._take()
            sys.modules.update(others)

    def _take(self) -> dict[str, ModuleType]:
        """Take the modules of these names out of the process."""
        taken = [name for name in sys.modules if name.partition(".")[0] in self._names]
        return {name: sys.modules.pop(name) for name in taken}


def _top_level(folder: Path) -> Iterator[str]:
    for entry in folder.iterdir():
        if entry.suffix == ".py":
            yield entry.stem
        elif entry.is_dir() and entry.name.isidentifier() and any(entry.rglob("*.py")):
            yield entry.name


def _imports_late(module: ModuleType, names: set[str]) -> bool:
    """Say whether a function of a module may import one of these packages when it is called."""
    file = getattr(module, "__file__", None)
    if file is None:
        return False
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError):
        return True
    functions = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    )
    return any(_asks_for(inner, names) for node in functions for inner in ast.walk(node))


LATE = frozenset({"__import__", "import_module", "load_module", "exec_module", "exec", "eval"})
"""Names by which code is imported that the code itself does not say."""


def _asks_for(node: ast.AST, names: set[str]) -> bool:
    match node:
        case ast.Import(names=aliases):
            return any(alias.name.partition(".")[0] in names for alias in aliases)
        case ast.ImportFrom(module=module, level=level):
            return level > 0 or (module or "").partition(".")[0] in names
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in LATE
        case _:
            return False
