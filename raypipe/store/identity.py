"""What tells one home from others, wherever it lies; the first thing that a new home gets."""

import os
from contextlib import suppress

from raypipe.store.content import sync_folder, write_file
from raypipe.store.faults import disk_faults
from raypipe.store.paths import HomePaths


def identify(paths: HomePaths) -> str:
    """Return the identity of a home whose folder is there; the first of several makers wins."""
    with disk_faults(f"{str(paths.identity)!r} cannot be written"):
        if not paths.identity.exists():
            aside = paths.identity.with_name(f".{paths.identity.name}-{os.urandom(6).hex()}")
            write_file(aside, os.urandom(16).hex().encode())
            with suppress(FileExistsError):
                paths.identity.hardlink_to(aside)
            aside.unlink()
            sync_folder(paths.home)
        return paths.identity.read_text()
