"""Where a process that runs steps finds the project's modules; it runs what they say now."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)
from typing import Any

YOUNG = 2_000_000_000
"""Nanoseconds by which bytecode must be later than its source's last change to be of that."""


@contextmanager
def importing_from(folders: Iterable[str]) -> Iterator[None]:
    """Let modules be imported from these folders in the body, first come first."""
    run_what_sources_say()
    added = [folder for folder in folders if folder not in sys.path]
    sys.path[:0] = added
    try:
        yield
    finally:
        for folder in added:
            sys.path.remove(folder)


class SourceLoader(SourceFileLoader):
    """Loads a module from its source unless its bytecode was surely made of what that says now.

    Python takes bytecode for current by the source's size and its time in whole seconds, so that
    an edit that keeps both, as of one digit by a script, would run the code of before.
    """

    def get_data(self, path: str) -> bytes:
        """Return what is in a file; OSError for bytecode that may be of an earlier source."""
        if path.endswith(".pyc") and not _is_later(path, self.path):
            raise OSError(f"{path!r} may be older than its source")
        return super().get_data(path)


@cache
def run_what_sources_say() -> None:
    """Let this process import code that is not installed by `SourceLoader` from now on."""
    sys.path_hooks.insert(0, _find_in)
    for folder in [folder for folder in sys.path_importer_cache if not _is_installed(folder)]:
        del sys.path_importer_cache[folder]


_finder_of = FileFinder.path_hook(
    (ExtensionFileLoader, EXTENSION_SUFFIXES),
    (SourceLoader, SOURCE_SUFFIXES),
    (SourcelessFileLoader, BYTECODE_SUFFIXES),
)


def _find_in(folder: str) -> Any:
    if _is_installed(folder):
        raise ImportError("Python's own finders look there")
    return _finder_of(folder)


def _is_installed(folder: str) -> bool:
    return folder.startswith((f"{sys.prefix}{os.sep}", f"{sys.base_prefix}{os.sep}"))


def _is_later(bytecode: str, source: str) -> bool:
    changed = os.stat(source).st_ctime_ns  # noqa: PTH116, quicker; unlike mtime it is never set
    return os.stat(bytecode).st_mtime_ns - changed > YOUNG  # noqa: PTH116
