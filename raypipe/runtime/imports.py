"""Where a process that runs steps finds the project's modules."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


@contextmanager
def importing_from(folders: Iterable[str]) -> Iterator[None]:
    """Let modules be imported from these folders in the body, first come first."""
    added = [folder for folder in folders if folder not in sys.path]
    sys.path[:0] = added
    try:
        yield
    finally:
        for folder in added:
            sys.path.remove(folder)
