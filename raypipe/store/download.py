"""The files of a tree read back from its parts: each checked, a few parts in memory at a time."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from hashlib import blake2b
from pathlib import Path

from raypipe.store.content import seal
from raypipe.store.tree import Tree, TreeFile
from raypipe.store.upload import AHEAD

Get = Callable[[str], bytes]
"""From a part's digest to its content; StoreError if it is gone or torn."""


class Torn(Exception):
    """A file is not what its tree says."""


def write_tree(tree: Tree, folder: Path, get: Get) -> None:
    """Write the file or folder of a tree into a folder; Torn if a file is not what it was."""
    top = folder / tree.name
    if not tree.is_file:
        top.mkdir()
    for name, contents in _files(tree, get):
        place = top / name if name else top
        (place if contents is None else place.parent).mkdir(parents=True, exist_ok=True)
        if contents is not None:
            with place.open("xb") as file:
                for data in contents:
                    file.write(data)
                seal(file)


def check_tree(tree: Tree, get: Get) -> None:
    """Read all files of a tree; Torn if one is not what it was."""
    for _, contents in _files(tree, get):
        for _ in contents or ():
            pass


def _files(tree: Tree, get: Get) -> Iterator[tuple[str, Iterator[bytes] | None]]:
    """Yield each file by its path, with its content, which is to be read before the next one."""
    with closing(_ahead(tree.keys(), get)) as parts:
        reader = _Reader(parts)
        for name, file in tree.files.items():
            yield name, None if file is None else reader.contents(file)


class _Reader:
    """Takes parts in the order in which a tree's files need them."""

    def __init__(self, parts: Iterator[tuple[str, bytes]]) -> None:
        self._parts = parts
        self._key, self._data = "", b""

    def contents(self, file: TreeFile) -> Iterator[bytes]:
        digest = blake2b(digest_size=32)
        for piece in file.pieces:
            if piece.key != self._key:
                self._key, self._data = next(self._parts)
            data = self._data[piece.offset : piece.offset + piece.size]
            digest.update(data)
            yield data
        if digest.hexdigest() != file.digest:
            raise Torn


def _ahead(keys: Iterable[str], get: Get) -> Generator[tuple[str, bytes], None, None]:
    """Yield each part in order while the next ones are on their way."""
    waiting: deque[tuple[str, Future[bytes]]] = deque()
    with ThreadPoolExecutor(AHEAD) as pool:
        for key in keys:
            waiting.append((key, pool.submit(get, key)))
            if len(waiting) == AHEAD:
                first, data = waiting.popleft()
                yield first, data.result()
        while waiting:
            first, data = waiting.popleft()
            yield first, data.result()
