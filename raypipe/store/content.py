"""Files and folders as content: listed, digested, copied durably; modes and links do not count."""

import errno
import os
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from io import BufferedWriter
from pathlib import Path

from raypipe.engine.digest import digest_bytes
from raypipe.errors import StoreError

CHUNK = 1 << 20
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


def digest_path(path: Path) -> str:
    """Return the digest of a file's bytes, or of a folder's files by their relative paths."""
    try:
        if not path.is_dir():
            return digest_of_file(digest_file(path))
        files = dict(entries(path))
        return digest_of_folder(
            {n: None if f is None else digest_file(f) for n, f in files.items()}
        )
    except OSError as error:
        raise _unreadable(error) from error


def copy_path(source: Path, target: Path) -> str:
    """Copy a file or folder durably; return the digest of what was copied."""
    if not source.is_dir():
        return digest_of_file(_copy_file(source, target))
    target.mkdir()
    copied: dict[str, str | None] = {}
    for name, file in entries(source):
        place = target / name
        (place.parent if file else place).mkdir(parents=True, exist_ok=True)
        copied[name] = _copy_file(file, place) if file else None
    for folder, _, _ in os.walk(target):
        sync_folder(Path(folder))
    return digest_of_folder(copied)


def entries(folder: Path) -> Iterator[tuple[str, Path | None]]:
    """Yield each file of a folder by its relative path, and each empty folder without a file.

    Links are followed while they stay inside, for a copy must hold all that it is the digest of.
    """
    yield from _entries(folder, folder.resolve(), "", ())


def _entries(
    folder: Path, root: Path, prefix: str, above: tuple[Path, ...]
) -> Iterator[tuple[str, Path | None]]:
    here = folder.resolve()
    if here in above:
        raise StoreError(
            f"{prefix!r} in {root.name!r} is a link to a folder that it is in",
            hint="take the link away: a copy would have no end",
        )
    found = sorted(os.scandir(folder), key=lambda entry: entry.name)
    if not found and prefix:
        yield prefix, None
    for entry in found:
        path, name = Path(entry.path), f"{prefix}{entry.name}"
        if entry.is_symlink():
            _check_link(path, root, name)
        if entry.is_dir():
            yield from _entries(path, root, f"{name}/", (*above, here))
        elif entry.is_file():
            yield name, path
        else:
            raise StoreError(f"{name!r} in {root.name!r} is neither a file nor a folder")


def _check_link(path: Path, root: Path, name: str) -> None:
    if not path.resolve().is_relative_to(root):
        raise StoreError(
            f"{name!r} in {root.name!r} is a link that leads outside",
            hint="copy what it points to, so that the folder holds all of its content",
        )
    if not path.exists():
        raise StoreError(f"{name!r} in {root.name!r} is a link to nothing", hint="remove it")


def digest_of_file(digest: str) -> str:
    """Return the digest of a file as an artifact, from that of its bytes."""
    return digest_bytes(b"file\n" + digest.encode())


def digest_of_folder(digests: Mapping[str, str | None]) -> str:
    """Return the digest of a folder, from those of its files' bytes; None: an empty folder."""
    lines = (os.fsencode(name) + b"\0" + (digests[name] or "").encode() for name in sorted(digests))
    return digest_bytes(b"folder\n" + b"\n".join(lines))


def digest_file(file: Path) -> str:
    """Return the digest of a file's bytes."""
    digest = blake2b(digest_size=32)
    with file.open("rb") as opened:
        while chunk := opened.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _copy_file(source: Path, target: Path) -> str:
    digest = blake2b(digest_size=32)
    with source.open("rb") as reader, target.open("xb") as writer:
        while chunk := reader.read(CHUNK):
            digest.update(chunk)
            writer.write(chunk)
        seal(writer)
    return digest.hexdigest()


def write_file(target: Path, data: bytes) -> None:
    """Write a new file durably; it is read-only from then on."""
    with target.open("xb") as writer:
        writer.write(data)
        seal(writer)


def replace_file(target: Path, content: str | bytes) -> None:
    """Write a file durably, whole or not at all, in the place of the one that there may be."""
    aside = target.with_name(f".{target.name}-{os.urandom(6).hex()}")
    try:
        with aside.open("xb") as writer:
            writer.write(content.encode() if isinstance(content, str) else content)
            writer.flush()
            os.fsync(writer.fileno())
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)
    sync_folder(target.parent)


def add_file(target: Path, data: bytes) -> None:
    """Write a file durably, whole or not at all, where there is none; of several makers one wins.

    Where there is one already, it stays as it is.
    """
    aside = target.with_name(f".{target.name}-{os.urandom(6).hex()}")
    try:
        with aside.open("xb") as writer:
            writer.write(data)
            writer.flush()
            os.fsync(writer.fileno())
        _put_in_place(aside, target)
    finally:
        aside.unlink(missing_ok=True)
    sync_folder(target.parent)


def _put_in_place(aside: Path, target: Path) -> None:
    try:
        target.hardlink_to(aside)
    except FileExistsError:
        return
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if not target.exists():  # as good as can be where there are no links, as on some mounts
            aside.replace(target)


def seal(writer: BufferedWriter) -> None:
    """Make a file that was written durable, and read-only from then on."""
    writer.flush()
    os.fchmod(writer.fileno(), 0o444)
    os.fsync(writer.fileno())


def sync_folder(folder: Path) -> None:
    """Make a folder's entries durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unreadable(error: OSError) -> StoreError:
    return StoreError(
        f"{error.filename or 'a file'} cannot be read: {error.strerror}",
        hint="look at its permissions, and whether something else changes it meanwhile",
    )
