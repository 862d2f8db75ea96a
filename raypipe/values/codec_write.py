"""A value to the tree of its manifest, and the blobs beside it."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import is_dataclass
from enum import Enum, Flag
from pathlib import Path
from typing import Any, NoReturn

from raypipe.engine.digest import digest_tree
from raypipe.engine.records import Json
from raypipe.values import codec_arrays
from raypipe.values.codec_classes import Classes, dataclass_fields, is_model
from raypipe.values.codec_plain import WRITERS

Blobs = dict[str, bytes | Path]
"""Digest to what must be published under it."""


class Misfit(Exception):
    """A part of a value cannot be kept; every container around it adds where it is."""

    def __init__(self, complaint: str, *, missing: bool = False) -> None:
        super().__init__(complaint)
        self.complaint = complaint
        self.missing = missing
        self._place: list[str] = []

    def under(self, step: str) -> NoReturn:
        """Add one step of the way to the part, and go on up."""
        self._place.append(step)
        raise self

    def __str__(self) -> str:
        place = "".join(reversed(self._place))
        return f"{place or 'the value'} {self.complaint}"


class Writer:
    """Writes one value; `blobs` is what it leaves to be published."""

    def __init__(self, classes: Classes, digest_path: Callable[[Path], str]) -> None:
        self.blobs: Blobs = {}
        self._classes = classes
        self._digest_path = digest_path
        self._open: set[int] = set()
        self._containers: dict[type, Callable[[Any], Json]] = {
            list: self._items,
            tuple: lambda value: {"k": "tuple", "v": self._items(value)},
            dict: self._dict,
            set: lambda value: {"k": "set", "v": self._unordered(value)},
            frozenset: lambda value: {"k": "frozenset", "v": self._unordered(value)},
            OrderedDict: lambda value: {"k": "ordered", "v": self._pairs(value)},
        }

    def write(self, value: Any) -> Json:
        """Return the tree of a value."""
        kind = type(value)
        if kind is str or value is None or kind is bool:
            return value
        if (scalar := WRITERS.get(kind)) is not None:
            return scalar(value)
        if (container := self._containers.get(kind)) is not None:
            return self._nested(container, value)
        return self._other(value, kind)

    def _other(self, value: Any, kind: type) -> Json:
        if isinstance(value, Enum):
            return self._enum(value, kind)
        if is_dataclass(kind) or is_model(kind):
            return self._nested(self._record, value)
        if isinstance(value, Path):
            return self._path(value)
        if isinstance(value, str) and isinstance(getattr(value, "code_reference", None), str):
            return {"k": "code", "t": self._name(kind), "v": str(value)}
        try:
            tree = codec_arrays.write(value, self.blobs)
        except TypeError as error:
            raise Misfit(str(error)) from error
        if tree is None:
            raise Misfit(_in_words(value, kind))
        return tree

    # --- containers -----------------------------------------------------------------------------

    def _nested(self, write: Callable[[Any], Json], value: Any) -> Json:
        if id(value) in self._open:
            raise Misfit("holds itself")
        self._open.add(id(value))
        try:
            return write(value)
        finally:
            self._open.discard(id(value))

    def _items(self, value: Iterable[Any]) -> list[Json]:
        items: list[Json] = []
        try:
            for item in value:
                items.append(self.write(item))  # noqa: PERF401 - the index is wanted on failure
        except Misfit as misfit:
            misfit.under(f"[{len(items)}]")
        return items

    def _unordered(self, value: Iterable[Any]) -> list[Json]:
        """Write a set in the order of its digests, so that equal sets give equal bytes."""
        return sorted(map(self.write, value), key=digest_tree)

    def _dict(self, value: Mapping[Any, Any]) -> Json:
        if all(type(key) is str for key in value):
            return {"k": "dict", "v": self._named(value.items(), "[{!r}]")}
        return {"k": "map", "v": self._pairs(value)}

    def _pairs(self, value: Mapping[Any, Any]) -> list[Json]:
        pairs: list[Json] = []
        for key, item in value.items():
            try:
                pairs.append([self.write(key), self.write(item)])
            except Misfit as misfit:
                misfit.under(f"[{key!r}]")
        return pairs

    def _named(self, items: Iterable[tuple[str, Any]], place: str) -> dict[str, Json]:
        named: dict[str, Json] = {}
        for name, item in items:
            try:
                named[name] = self.write(item)
            except Misfit as misfit:
                misfit.under(place.format(name))
        return named

    # --- records --------------------------------------------------------------------------------

    def _record(self, value: Any) -> Json:
        return self._dataclass(value) if is_dataclass(value) else self._model(value)

    def _dataclass(self, value: Any) -> Json:
        kind: Any = type(value)
        node: dict[str, Json] = {"k": "record", "t": self._name(kind)}
        known = dataclass_fields(kind)
        counted = ((name, getattr(value, name)) for name, aside in known if not aside)
        node["f"] = self._named(counted, ".{}")
        aside = self._named(((name, getattr(value, name)) for name, a in known if a), ".{}")
        return {**node, "aside": aside} if aside else node

    def _model(self, value: Any) -> Json:
        given = {**value.__dict__, **(value.__pydantic_extra__ or {})}
        return {
            "k": "record",
            "t": self._name(type(value)),
            "f": self._named(given.items(), ".{}"),
            "set": sorted(value.__pydantic_fields_set__),
        }

    def _enum(self, value: Enum, kind: type) -> Json:
        if isinstance(value, Flag):
            return {"k": "flag", "t": self._name(kind), "v": value.value}
        return {"k": "enum", "t": self._name(kind), "v": value.name}

    def _name(self, kind: type) -> str:
        try:
            return self._classes.name(kind)
        except ValueError as error:
            raise Misfit(f"cannot be read back: {error}") from None

    # --- files ----------------------------------------------------------------------------------

    def _path(self, value: Path) -> Json:
        if not value.exists():
            raise Misfit(f"is the path {str(value)!r}, where there is nothing", missing=True)
        if not (value.is_file() or value.is_dir()):
            raise Misfit(f"is the path {str(value)!r}, which is neither a file nor a folder")
        digest = self._digest_path(value)
        self.blobs[digest] = value.absolute()
        return {"k": "folder" if value.is_dir() else "file", "b": digest}


def _in_words(value: Any, kind: type) -> str:
    name = (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
    base = next(
        (b for b in (dict, list, tuple, set, str, int, float) if isinstance(value, b)), None
    )
    hint = (
        f"; make it a {'dataclass' if hasattr(value, '_fields') else base.__name__}" if base else ""
    )
    return f"is a {name}{hint}"
