"""Where a shard's bytes can be read: a path, a URI of pyarrow's, or one of lakeFS."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from raypipe.errors import StoreError

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
    except OSError as error:
        if "AWS Error" not in str(error):  # not the server's: the file is damaged, say
            raise
        raise unreadable(path, error) from None


def footer_of(location: str) -> Any:
    """Return what the footer of a Parquet file says of it; StoreError where it is damaged or gone.

    Its columns are `.schema.to_arrow_schema()`.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with open_location(location) as file:
            return parquet.read_metadata(file)
    except (pa.ArrowException, OSError) as error:
        said = str(error).split("\n", 1)[0]
        raise StoreError(
            f"{location} cannot be read: its footer is damaged or is not there ({said})",
            hint="undo the commit that brought it, `raypipe data revert`, or read an earlier one",
        ) from error
