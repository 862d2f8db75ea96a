"""Source files as the fingerprint reads them.

Found by module name, parsed once, kept in an index.
"""

import json
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from raypipe.engine.digest import digest_bytes
from raypipe.engine.fingerprint.reach import Kept
from raypipe.engine.fingerprint.symbols import ModuleTable, Sources
from raypipe.store.distributions import distribution_of, version_of
from raypipe.store.places import CodePlaces, code_folders, is_of_project, other_roots, read_source
from raypipe.store.source_index import (
    NAME,
    IndexEntry,
    SourceIndex,
    dump,
    load_index,
    seal_of,
    write_index,
)

YOUNG = 2_000_000_000
"""Nanoseconds: a file that changed later than this before it was read may change again unseen."""


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
        self._code = CodePlaces([*code_folders(root), *extra, *other_roots(root)])
        self._root = root
        self._index = index and index / NAME
        self._tables: dict[str, ModuleTable | None] = {}
        self._contents: dict[str, str] = {}
        self._files: dict[str, Path | None] = {}
        self._lines: dict[str, list[str]] = {}
        self._seals: dict[str, list[int]] = {}
        self._kept: SourceIndex | None = None
        self._fresh: dict[str, IndexEntry] = {}
        self._named: dict[str, str] = {}
        self._found: Any = None
        self._versions: dict[str, tuple[str, str] | None] = {}

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
                self._contents[name] = digest_bytes(dump(table.to_json()[0]))
        return self._contents[name]

    def kept(self) -> Any:
        """Return what the index keeps of what was found in the code, or None."""
        return self._read_index().found

    def keep(self, found: Any) -> None:
        """Let the index keep what was found in the code."""
        self._found = found

    def _file(self, name: str) -> Path | None:
        if name not in self._files:
            self._files[name] = self._code.file(name)
        return self._files[name]

    def submodules(self, package: str) -> Iterable[str]:
        """Return the names of a package's modules, at any depth."""
        folder = self._code.folder(package)
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
            folders[:] = sorted(name for name in folders if is_of_project(Path(above, name)))
            for file in sorted(files):
                path = Path(above, file).relative_to(self._root).with_suffix("")
                if file.endswith(".py") and not any("." in part for part in path.parts):
                    yield ".".join(path.parts).removesuffix(".__init__")

    def lines(self, name: str) -> list[str]:
        """Return the lines of a module's source; none for a folder without `__init__.py`."""
        if name not in self._lines:
            file = self._file(name)
            is_file = file is not None and file.suffix == ".py"
            self._lines[name] = read_source(file).splitlines() if file and is_file else []
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
        if name and (version := version_of(name)):
            return name, version
        found = distribution_of(top_level)
        self._named[top_level] = found[0]
        return found

    def is_stale(self) -> bool:
        """Say whether a file that was read has changed since, or is gone."""
        return any(seal_of(file) != seal for file, seal in self._seals.items())

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
        index = SourceIndex(
            entries={**known.entries, **self._fresh},
            distributions={**known.distributions, **self._named},
            found=self._found or known.found,
        )
        write_index(index, self._index)
        self._kept, self._fresh, self._named, self._found = index, {}, {}, None

    def _entry(self, name: str, file: Path) -> "IndexEntry | None":
        """Return what the index keeps of a module's file as it is now."""
        if file.suffix != ".py":
            return None
        entry = self._read_index().entries.get(self._known_as(name, file))
        place = str(file)
        if place not in self._seals:
            self._seals[place] = seal_of(place)
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
            read_source(file),
            is_package=file.name == "__init__.py",
            shown=self._shown(file),
            is_main=name == self._main,
        )
        told = table.to_json()
        self._contents[name] = digest_bytes(dump(told[0]))
        if time.time_ns() - max(seal[:2]) > YOUNG:
            self._fresh[self._known_as(name, file)] = IndexEntry(
                seal=seal, content=self._contents[name], table=dump(told), file=str(file)
            )
        return table

    def _shown(self, file: Path) -> str:
        return str(file.relative_to(self._root) if file.is_relative_to(self._root) else file)

    def _read_index(self) -> "SourceIndex":
        if self._kept is None:
            self._kept = load_index(self._index)
        return self._kept


def _fits(sources: FileSources) -> tuple[Sources, Kept]:
    return sources, sources
