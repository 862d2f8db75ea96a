"""How values are written down as manifests, and read back; never pickle."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raypipe.engine.digest import digest_tree
from raypipe.engine.ports import Argument, Artifacts, Codec, Encoded
from raypipe.engine.records import Json
from raypipe.errors import NotFound, PipelineError, StoreError
from raypipe.values.codec_classes import Classes
from raypipe.values.codec_read import Reader
from raypipe.values.codec_write import Misfit, Writer

_dump = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class TreeCodec:
    """Writes scalars, containers, records, enums, times, paths, arrays, tables and tensors.

    A record is a dataclass or a pydantic model. A value's digest depends on its content and the
    names of its classes alone: a file's name and fields that are `aside()` are kept but do not
    count. A dict's order is content: what reads it may well depend on it.
    """

    def __init__(self, digest_path: Callable[[Path], str], main_module: str | None = None) -> None:
        """`digest_path` is how a file or folder counts; `main_module` names a script's file.

        What the script, `__main__` where it runs, defines then has one name wherever it is read.
        """
        self._digest_path = digest_path
        self._classes = Classes(main_module)

    def encode(self, value: Any) -> Encoded:
        """Write a value down; TypeError names the type that cannot be kept and its place."""
        writer = Writer(self._classes, self._digest_path)
        try:
            tree = writer.write(value)
        except Misfit as misfit:
            kind = NotFound if misfit.missing else TypeError
            raise kind(str(misfit)) from None
        except RecursionError:
            raise TypeError("the value is nested too deeply to be kept") from None
        return Encoded(
            digest=digest_tree(tree),
            manifest=_dump(tree).encode(),
            blobs=tuple(writer.blobs.values()),
        )

    def decode(self, manifest: bytes, artifacts: Artifacts) -> Any:
        """Read a value back; StoreError where its class or a blob is not what it was."""
        return Reader(artifacts, self._classes).read(_parse(manifest))

    def field(self, manifest: bytes, path: Sequence[str | int]) -> tuple[str, bytes]:
        """Return digest and manifest of a part of a value; StoreError if it has no such part."""
        tree = _parse(manifest)
        for part in path:
            tree = _part(tree, part)
        return digest_tree(tree), _dump(tree).encode() if path else manifest

    def items(self, manifest: bytes) -> list[tuple[str, bytes]] | None:
        """Return digest and manifest of each item of a list or tuple; None for another value."""
        match _parse(manifest):
            case list() as items:
                pass
            case {"k": "tuple", "v": items}:
                pass
            case _:
                return None
        return [(digest_tree(item), _dump(item).encode()) for item in items]

    def gather(self, parts: Argument) -> tuple[str, bytes]:
        """Return digest and manifest of a list, tuple or dict of values, nested as they are."""
        tree = self._gathered(parts)
        return digest_tree(tree), _dump(tree).encode()

    def _gathered(self, parts: Argument) -> Json:
        match parts:
            case bytes():
                return _parse(parts)
            case list():
                return [self._gathered(part) for part in parts]
            case tuple():
                return {"k": "tuple", "v": [self._gathered(part) for part in parts]}
        if all(type(key) is str for key in parts):
            return {"k": "dict", "v": {key: self._gathered(part) for key, part in parts.items()}}
        keys = (_parse(self.encode(key).manifest) for key in parts)
        return {
            "k": "map",
            "v": [[*pair] for pair in zip(keys, map(self._gathered, parts.values()), strict=True)],
        }

    def classes(self, manifest: bytes) -> frozenset[str]:
        """Return `module:qualname` of each class whose values count in a value.

        And what its code references name.
        """
        if b'"t":' not in manifest:
            return frozenset()
        return frozenset(_classes(_parse(manifest)))

    def blobs(self, manifest: bytes) -> frozenset[str]:
        """Return the digests of the artifacts that a value is made of, beside its manifest."""
        if b'"b":' not in manifest:
            return frozenset()
        return frozenset(_blobs(_parse(manifest)))


def _parse(manifest: bytes) -> Json:
    try:
        return json.loads(manifest)
    except ValueError as error:
        raise StoreError(
            f"a manifest is torn: {error}", hint="run again: what is lost is made anew"
        ) from error


def _part(tree: Json, part: str | int) -> Json:
    try:
        return _parts_of(tree)[part]
    except (KeyError, IndexError, TypeError):
        raise PipelineError(
            f"a {_kind_of(tree)} has no part {part!r}",
            hint="look at what the step returns: its fields, keys or indices",
        ) from None


def _classes(tree: Json) -> Iterator[str]:
    """Yield the classes of a tree; a dict's own keys stand under its `v`, and are no tags."""
    if isinstance(tree, list):
        for item in tree:
            yield from _classes(item)
    elif isinstance(tree, dict):
        if tree["k"] in {"record", "enum", "flag", "code"}:
            yield tree["t"]
        if tree["k"] == "code":
            yield tree["v"]
        for part in (tree.get("f"), tree.get("v")):
            yield from _classes([*part.values()] if isinstance(part, dict) else part)


def _blobs(tree: Json, *, names: bool = False) -> Iterator[str]:
    """Yield what is named under a `b`; `names` says that an object's keys are a user's own."""
    if isinstance(tree, list):
        for item in tree:
            yield from _blobs(item)
    elif isinstance(tree, dict):
        for key, part in tree.items():
            if key == "b" and isinstance(part, str) and not names:
                yield part
            else:
                own = not names and key in {"v", "f", "aside"} and tree.get("k") in _NAMED
                yield from _blobs(part, names=own)


_NAMED = frozenset({"dict", "record"})
"""Kinds of node whose parts have names."""


def _parts_of(tree: Json) -> Any:
    """Return what a part of a tree is looked up in: by name, by key, or by index."""
    if isinstance(tree, list):
        return tree
    match tree:
        case {"k": "record", "f": fields}:
            return {**fields, **tree.get("aside", {})}
        case {"k": "tuple" | "dict", "v": parts}:
            return parts
        case {"k": "map" | "ordered", "v": pairs}:
            return {key: part for key, part in pairs if isinstance(key, str | int)}
    return {}


def _kind_of(tree: Json) -> str:
    if isinstance(tree, dict):
        return str(tree.get("t", tree["k"]))
    return type(tree).__name__


if TYPE_CHECKING:
    _fits: Codec = TreeCodec(str)
