"""Where a shard's bytes can be read: a path, a URI of pyarrow's, or one of lakeFS."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LAKEFS = "lakefs://"


def filesystem_at(location: str) -> tuple[Any, str]:
    """Return the pyarrow filesystem of a location, and the path in it."""
    if location.startswith(LAKEFS):
        from raypipe.store.lakefs_files import filesystem_of, take_apart

        place, path = take_apart(location)
        return filesystem_of(place), path
    from pyarrow.fs import FileSystem

    filesystem, path = FileSystem.from_uri(location)
    return filesystem, str(path)


@contextmanager
def open_location(location: str) -> Iterator[Any]:
    """Open a file to read; what its store says of a failure becomes StoreError."""
    filesystem, path = filesystem_at(location)
    if not location.startswith(LAKEFS):
        with filesystem.open_input_file(path) as opened:
            yield opened
        return
    from raypipe.store.lakefs_files import unreadable

    try:
        with filesystem.open_input_file(path) as opened:
            yield opened
    except FileNotFoundError:
        raise
    except OSError as error:
        raise unreadable(path, error) from None
