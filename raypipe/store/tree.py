"""A file or folder as it is kept in objects: which pieces of which objects it is made of.

A tree is written after everything that it names, and is checked by itself: its first line is the
digest of the rest, and the rest has the digest that the artifact is found by.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from raypipe.engine.digest import digest_bytes
from raypipe.store.content import digest_of_file, digest_of_folder

LONE = ""
"""Name of the one file of an artifact that is a file and no folder."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A part of an object."""

    key: str
    """Digest of the object."""
    offset: int
    size: int


@dataclass(frozen=True, kw_only=True)
class TreeFile:
    """A file: the digest of its bytes, and the pieces that they are, in order."""

    digest: str
    pieces: tuple[Piece, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(piece.size for piece in self.pieces)


@dataclass(frozen=True, kw_only=True)
class Tree:
    """A file or a folder."""

    name: str
    """The base name that it came with."""
    files: Mapping[str, TreeFile | None]
    """By relative path; None for an empty folder. A file alone is named by the empty text."""
    objects: Mapping[str, int]
    """Each object that it is made of, and its size."""

    @property
    def is_file(self) -> bool:
        """Whether it is a file and no folder."""
        return LONE in self.files

    @property
    def digest(self) -> str:
        """What the artifact is found by."""
        lone = self.files.get(LONE)
        if lone is not None:
            return digest_of_file(lone.digest)
        return digest_of_folder({n: f.digest if f else None for n, f in self.files.items()})

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files.values() if file is not None)

    def keys(self) -> Iterator[str]:
        """Yield the objects in the order in which they are read, each once in a row."""
        last = None
        for file in self.files.values():
            for piece in file.pieces if file else ():
                if piece.key != last:
                    yield (last := piece.key)


def dump_tree(tree: Tree) -> bytes:
    """Write a tree down."""
    files = {
        name: file and [file.digest, [[p.key, p.offset, p.size] for p in file.pieces]]
        for name, file in tree.files.items()
    }
    text = {"name": tree.name, "objects": dict(tree.objects), "files": files}
    body = json.dumps(text, separators=(",", ":")).encode()
    return digest_bytes(body).encode() + b"\n" + body


def parse_tree(data: bytes, digest: str) -> Tree | None:
    """Read a tree back; None if it is torn, or not that of an artifact."""
    check, _, body = data.partition(b"\n")
    if check != digest_bytes(body).encode():
        return None
    text = json.loads(body)
    tree = Tree(
        name=text["name"],
        files={name: file and _file(*file) for name, file in text["files"].items()},
        objects=text["objects"],
    )
    return tree if tree.digest == digest else None


def _file(digest: str, pieces: list[tuple[str, int, int]]) -> TreeFile:
    return TreeFile(
        digest=digest,
        pieces=tuple(Piece(key=key, offset=offset, size=size) for key, offset, size in pieces),
    )
