"""Appends records to the open segment of this process; what was appended is kept, or refused."""

import contextlib
import errno
import fcntl
import os
import socket
import threading
import time
from pathlib import Path
from typing import Literal, NoReturn
from uuid import uuid4

from raypipe.errors import StoreError
from raypipe.store.faults import hint_of
from raypipe.store.segments.frames import LARGEST_BODY, Header, frame, seed_of, write_header

Level = Literal["memory", "process", "disk"]
SYNC_EVERY = 0.1
"""Seconds between two syncs at the level `process`: what a power failure may take."""


class _Open:
    """A segment that is being written; locked for as long as it is."""

    def __init__(self, folder: Path) -> None:
        self.uuid = uuid4().hex
        self.created = time.time()
        self.began = time.monotonic()
        self.seed = seed_of(self.uuid)
        self.sequence = 0
        header = write_header(
            Header(
                uuid=self.uuid,
                pid=os.getpid(),
                host=socket.gethostname(),
                created=self.created,
            )
        )
        # Under another name until it is locked: a sealer takes what nobody holds.
        aside = folder / f"{self.uuid}.new"
        self.file = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.write(self.file, header) != len(header):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            aside.rename(folder / f"{self.uuid}.seg")
        except BaseException:
            os.close(self.file)
            aside.unlink(missing_ok=True)
            raise
        self.size = len(header)
        self.synced = 0

    def write(self, records: bytes) -> None:
        """Append whole records in one act, or none of them."""
        try:
            written = os.write(self.file, records)
            if written != len(records):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            os.ftruncate(self.file, self.size)
            raise
        self.size += written

    def sync(self) -> None:
        """Make what was written so far outlast a power failure."""
        upto = self.size
        if upto > self.synced:
            os.fdatasync(self.file)
            self.synced = max(self.synced, upto)

    def close(self) -> None:
        """Let go of the file: from now on it may be sealed."""
        os.close(self.file)


class SegmentWriter:
    """Keeps records in the segments of one process; safe for threads.

    The level says what an appended record survives: `memory` nothing, `process` the end of any
    process, `disk` a power failure too.
    """

    def __init__(
        self,
        folder: Path,
        *,
        level: Level = "process",
        seal_bytes: int = 64 << 20,
        seal_after: float = 60.0,
    ) -> None:
        self.folder = folder
        self.level = level
        self.records = 0
        """Records that were appended."""
        self.size = 0
        """Bytes of their bodies."""
        self._seal_bytes = seal_bytes
        self._seal_after = seal_after
        self._segment: _Open | None = None
        self._lock = threading.RLock()
        self._syncing = threading.Lock()
        """Taken inside the other where both are: taken crosswise, two would wait for ever."""
        self._held: list[bytes] = []
        self._done = threading.Event()
        self._keeper: threading.Thread | None = None
        self._process = os.getpid()

    def append(self, body: bytes) -> None:
        """Keep a record as the level says, or raise StoreError; then nothing of it is kept."""
        if len(body) > LARGEST_BODY:
            raise StoreError(f"a record of {len(body):,} bytes is too large for the request log")
        try:
            with self._lock:
                segment = self._current()
                record = frame(segment.seed, segment.sequence, body)
                if self.level == "memory":
                    self._held.append(record)
                else:
                    segment.write(record)
                segment.sequence += 1
                self.records += 1
                self.size += len(body)
            if self.level == "disk":
                self._sync(segment)
        except OSError as error:
            self._refuse(error)

    def rotate(self) -> None:
        """End the open segment, so that it can be sealed; the next record begins another."""
        with self._lock, self._syncing:
            segment, self._segment = self._segment, None
            if segment is not None and self._process == os.getpid():
                try:
                    self._flush(segment)
                    segment.sync()
                finally:
                    segment.close()

    def close(self) -> None:
        """End the open segment and stop looking after it."""
        self._done.set()
        with contextlib.suppress(OSError):
            self.rotate()
        if self._keeper is not None and self._process == os.getpid():
            self._keeper.join(timeout=5)

    def _current(self) -> _Open:
        if self._process != os.getpid():  # a fork: the parent's segment stays the parent's
            self._forget()
        if self._segment is not None and self._is_full(self._segment):
            self.rotate()
        if self._segment is None:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._segment = _Open(self.folder)
            self._look_after()
        return self._segment

    def _forget(self) -> None:
        if self._segment is not None:
            self._segment.close()
        self._process = os.getpid()
        self._segment, self._keeper, self._held = None, None, []
        self._syncing, self._done = threading.Lock(), threading.Event()

    def _is_full(self, segment: _Open) -> bool:
        age = time.monotonic() - segment.began
        return segment.size >= self._seal_bytes or age >= self._seal_after

    def _look_after(self) -> None:
        """Sync and end segments in the background."""
        if self._keeper is None:
            self._keeper = threading.Thread(target=self._keep, name="request-log", daemon=True)
            self._keeper.start()

    def _keep(self) -> None:
        while not self._done.wait(SYNC_EVERY):
            with contextlib.suppress(OSError):  # the next append meets the same fault, and tells
                self._tend()

    def _tend(self) -> None:
        with self._lock:
            segment = self._segment
            if segment is None:
                return
            self._flush(segment)
            full = self._is_full(segment)
        if full:
            self.rotate()
        else:
            self._sync(segment)

    def _flush(self, segment: _Open) -> None:
        if self._held:
            held, self._held = self._held, []
            segment.write(b"".join(held))

    def _sync(self, segment: _Open) -> None:
        """Sync once for all threads that wait; the lock for appending stays free meanwhile."""
        wanted = segment.size
        with self._syncing:
            if self._segment is segment and segment.synced < wanted:
                segment.sync()

    def _refuse(self, error: OSError) -> NoReturn:
        """End the segment, since what its last bytes are is not known; refuse the record."""
        with self._lock, contextlib.suppress(OSError):
            segment, self._segment = self._segment, None
            if segment is not None:
                segment.close()
        raise StoreError(
            f"the request log {str(self.folder)!r} cannot be written: {error.strerror}",
            hint=hint_of(error),
        ) from error
