"""Opening files wherever they lie, with what can be wrong about one in a sentence."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs

from raypipe.errors import UsageError


def open_at(location: str) -> tuple[Any, str]:
    """Return the file system that a path or URI means, and the path there."""
    if "://" not in location:
        return pa.fs.LocalFileSystem(), str(Path(location).absolute())
    with faults(location):
        system, path = pa.fs.FileSystem.from_uri(location)
    return system, path


def open_bytes(location: str) -> Any:
    """Open a file as a stream of bytes, unpacked where its name says that it is packed."""
    system, path = open_at(location)
    return system.open_input_stream(path, compression="detect")


@contextmanager
def faults(name: str | Path) -> Iterator[None]:
    """Turn what Arrow says of a file that it cannot read into a sentence that names the file."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{name} is not written as {error.encoding}: {error.reason} at byte {error.start:,}",
            hint="Say how it is written, such as --encoding latin-1.",
        ) from error
    except (pa.ArrowException, OSError) as error:
        said = str(error).split("\n", 1)[0].rstrip(".")
        raise UsageError(
            f"{name} cannot be read: {said}",
            hint="It may be truncated or damaged; write it again, or leave it out.",
        ) from error
