"""What tells one home from others, wherever it lies; the first thing that a new home gets."""

import os

from raypipe.store.content import add_file
from raypipe.store.faults import disk_faults
from raypipe.store.paths import HomePaths


def identify(paths: HomePaths) -> str:
    """Return the identity of a home whose folder is there; the first of several makers wins."""
    with disk_faults(f"{str(paths.identity)!r} cannot be written"):
        if not paths.identity.exists():
            add_file(paths.identity, os.urandom(16).hex().encode())
        return paths.identity.read_text()
