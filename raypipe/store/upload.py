"""Files cut into parts, and small ones put together, a few parts in memory at a time."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path
from typing import Self

from raypipe.engine.digest import digest_bytes
from raypipe.store.content import entries
from raypipe.store.tree import LONE, Piece, Tree, TreeFile

PART = 8 << 20
"""Bytes of a part of a large file; S3 takes it by one request, so that none is left half done."""
SMALL = 1 << 20
"""Bytes from which on a file has parts of its own, which other artifacts may share."""
AHEAD = 4
"""Parts that are on their way at the same time."""


class Upload:
    """One file or folder on its way; `put` is given each part under its digest, in threads."""

    def __init__(self, name: str, put: Callable[[str, bytes], None]) -> None:
        self._name = name
        self._put = put
        self._pool = ThreadPoolExecutor(AHEAD)
        self._sent: deque[Future[None]] = deque()
        self._objects: dict[str, int] = {}
        self._pack = bytearray()
        self._packed: list[tuple[list[Piece], int, int]] = []
        """Where in the pack each small file is, and whose pieces that will be."""
        self._small: dict[str, list[Piece]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def of(self, path: Path) -> Tree:
        """Put all parts of a file or folder; return what it is made of once they are there."""
        found = entries(path) if path.is_dir() else [(LONE, path)]
        files = {name: None if file is None else self._file(file) for name, file in found}
        self._flush()
        while self._sent:
            self._sent.popleft().result()
        return Tree(
            name=self._name,
            files={
                name: one and TreeFile(digest=one[0], pieces=tuple(one[1]))
                for name, one in files.items()
            },
            objects=self._objects,
        )

    def _file(self, file: Path) -> tuple[str, list[Piece]]:
        """Take a file; its pieces are complete when the last part was sent."""
        digest = blake2b(digest_size=32)
        pieces: list[Piece] = []
        with file.open("rb") as opened:
            data = opened.read(PART)
            if len(data) < SMALL:
                return self._take_small(data)
            while data:
                digest.update(data)
                pieces.append(Piece(key=self._send(data), offset=0, size=len(data)))
                data = opened.read(PART)
        return digest.hexdigest(), pieces

    def _take_small(self, data: bytes) -> tuple[str, list[Piece]]:
        digest = digest_bytes(data)
        if digest not in self._small:
            pieces = self._small[digest] = []
            if data:
                self._packed.append((pieces, len(self._pack), len(data)))
                self._pack += data
            if len(self._pack) >= PART:
                self._flush()
        return digest, self._small[digest]

    def _flush(self) -> None:
        if self._pack:
            key = self._send(bytes(self._pack))
            for pieces, offset, size in self._packed:
                pieces.append(Piece(key=key, offset=offset, size=size))
            self._pack.clear()
            self._packed.clear()

    def _send(self, data: bytes) -> str:
        key = digest_bytes(data)
        if key not in self._objects:
            self._objects[key] = len(data)
            if len(self._sent) >= AHEAD:
                self._sent.popleft().result()
            self._sent.append(self._pool.submit(self._put, key, data))
        return key
