"""Objects in a bucket, or in any folder that pyarrow can reach: each whole or absent."""

import os
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, TypeVar

from raypipe.errors import StoreError
from raypipe.store.faults import hint_of

T = TypeVar("T")

PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds before another try at what may pass by itself; each is varied, so that many spread."""
PASSING = re.compile(
    r"NETWORK_CONNECTION|SLOW_DOWN|SERVICE_UNAVAILABLE|INTERNAL_FAILURE|REQUEST_TIMEOUT|THROTTL"
    r"|REQUEST_LIMIT_EXCEEDED|BANDWIDTH_LIMIT|curlCode|HTTP (?:status|response code:?) "
    r"(?:429|5\d\d)"
)
LATER = "look whether the endpoint answers, then run again: what was recorded is kept"
_CODE = re.compile(r"AWS Error (\w+)(?: \((HTTP status \d+)\))? during (\w+) operation")
_HINTS = {
    "ACCESS_DENIED": "look at the credentials, and at what they allow in this bucket",
    "SIGNATURE_DOES_NOT_MATCH": "the secret key is not that of the access key",
    "INVALID_ACCESS_KEY_ID": "look at the access key",
    "NO_SUCH_BUCKET": "make the bucket, or mend store.artifacts",
}


@dataclass(frozen=True, kw_only=True)
class Found:
    """What an object looks like from outside."""

    size: int
    mark: int
    """Another one for other content: made of its ETag, where the store has none of its time."""


class Bucket:
    """Keys under one prefix of a pyarrow filesystem.

    What may pass by itself, such as a lost connection, is tried again. All else is StoreError at
    once; it names bucket and key, and no credentials.
    """

    def __init__(
        self,
        filesystem: Any,
        base: str,
        *,
        pauses: tuple[float, ...] = PAUSES,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """`base` is bucket and prefix; `pauses` are those before further tries."""
        self._filesystem = filesystem
        self._base = base.strip("/") if filesystem.type_name != "local" else base.rstrip("/")
        self._pauses = pauses
        self._wait = wait
        self._writes_aside = filesystem.type_name == "local"

    @property
    def name(self) -> str:
        """Bucket and prefix."""
        return self._base

    def find(self, key: str) -> Found | None:
        """Return what an object looks like; None if it is not there."""
        return self._trying(key, lambda: self._look(key))

    def get(self, key: str) -> bytes | None:
        """Return an object's content; None if it is not there."""
        return self._trying(key, lambda: self._read(key))

    def put(self, key: str, data: bytes) -> Found:
        """Write an object, whole or not at all."""
        self._trying(key, lambda: self._write(key, data))
        found = self.find(key)
        if found is None or found.size != len(data):
            raise StoreError(
                f"object {self._named(key)} was written, and is not there whole",
                hint="look whether something else removes objects there",
            )
        return found

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is no error."""

        def act() -> None:
            with suppress(FileNotFoundError):
                self._filesystem.delete_file(self._place(key))

        self._trying(key, act)

    def list(self, folder: str) -> Iterator[tuple[str, int]]:
        """Yield name and size of each object right under a folder of keys."""
        from pyarrow.fs import FileSelector, FileType

        selector = FileSelector(self._place(folder), allow_not_found=True)
        for info in self._trying(folder, lambda: self._filesystem.get_file_info(selector)):
            if info.type == FileType.File:
                yield info.base_name, int(info.size)

    # --- one try --------------------------------------------------------------------------------

    def _look(self, key: str) -> Found | None:
        try:
            with self._filesystem.open_input_file(self._place(key)) as opened:
                told = opened.metadata() or {}
                size = opened.size()
        except FileNotFoundError:
            return None
        etag = told.get("ETag") or told.get(b"ETag")
        if etag:
            return Found(size=size, mark=mark_of(bytes(etag)))
        info = self._filesystem.get_file_info(self._place(key))
        return Found(size=size, mark=info.mtime_ns or 0)

    def _read(self, key: str) -> bytes | None:
        try:
            with self._filesystem.open_input_file(self._place(key)) as opened:
                return bytes(opened.read())
        except FileNotFoundError:
            return None

    def _write(self, key: str, data: bytes) -> None:
        """Write all of it by one call: a stream that is closed half way would be an object."""
        place = aside = self._place(key)
        if self._writes_aside:
            aside = self._place(f".tmp/{os.getpid()}-{os.urandom(8).hex()}")
            for path in (aside, place):
                self._filesystem.create_dir(path.rpartition("/")[0], recursive=True)
        try:
            with self._filesystem.open_output_stream(aside) as stream:
                stream.write(data)
            if self._writes_aside:
                self._filesystem.move(aside, place)
        except OSError:
            if self._writes_aside:
                self._discard(aside)
            raise

    def _discard(self, place: str) -> None:
        with suppress(OSError):
            self._filesystem.delete_file(place)

    def _place(self, key: str) -> str:
        return f"{self._base}/{key}"

    # --- faults ---------------------------------------------------------------------------------

    def _trying(self, key: str, act: Callable[[], T]) -> T:
        for pause in self._pauses:
            try:
                return act()
            except OSError as error:
                if not PASSING.search(str(error)):
                    raise self._told(error, key) from error
            self._wait(pause * random.uniform(0.5, 1.5))
        try:
            return act()
        except OSError as error:
            raise self._told(error, key) from error

    def _told(self, error: OSError, key: str) -> StoreError:
        found = _CODE.search(str(error))
        if found is None:
            said = error.strerror or type(error).__name__
            return StoreError(f"object {self._named(key)}: {said}", hint=hint_of(error))
        code, status, operation = found.groups()
        hint = _HINTS.get(code, "look at the bucket, and at what the credentials allow in it")
        told = f"object {self._named(key)}: {status or code} in {operation}"
        return StoreError(told, hint=LATER if PASSING.search(str(error)) else hint)

    def _named(self, key: str) -> str:
        bucket, _, prefix = self._base.partition("/")
        if self._writes_aside:
            return repr(self._place(key))
        return f"{f'{prefix}/{key}' if prefix else key!s} in bucket {bucket!r}"


def mark_of(etag: bytes) -> int:
    """Return a number that stands for an ETag, or for several, and fits a ledger's column."""
    return int.from_bytes(blake2b(etag, digest_size=8).digest()) >> 1
