"""How values are written down as manifests, and read back; never pickle."""

import importlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

from raypipe.engine.digest import Tree, digest_tree
from raypipe.engine.ports import Artifacts, Codec, Encoded
from raypipe.errors import NotFound, StoreError
from raypipe.values import codec_arrays
from raypipe.values.kinds import ASIDE

Blobs = list[bytes | Path]


class TreeCodec:
    """Writes scalars, containers, records (dataclasses, pydantic models), enums, times, paths.

    Arrays, tables.

    `main_module` is the name of the module that runs as `__main__`, so that what it defines has the
    same name wherever it is read. `digest_path` is how a file or folder counts: by its content.
    """

    def __init__(self, digest_path: Callable[[Path], str], main_module: str | None = None) -> None:
        self._digest_path = digest_path
        self._main = main_module

    def encode(self, value: Any) -> Encoded:
        """Write a value down; TypeError names the type that cannot be kept and its place."""
        blobs: Blobs = []
        tree = _Writer(blobs, self._main, self._digest_path).write(value, "value")
        return Encoded(digest=digest_tree(tree), manifest=_dump(tree), blobs=tuple(blobs))

    def decode(self, manifest: bytes, artifacts: Artifacts) -> Any:
        """Read a value back."""
        return _Reader(artifacts, self._main).read(json.loads(manifest))

    def field(self, manifest: bytes, path: Sequence[str | int]) -> tuple[str, bytes]:
        """Return digest and manifest of a part of a value; StoreError if it has no such part."""
        tree = json.loads(manifest)
        for part in path:
            tree = _part(tree, part)
        return digest_tree(tree), _dump(tree) if path else manifest


def _dump(tree: Tree) -> bytes:
    return json.dumps(tree, separators=(",", ":")).encode()


def _part(tree: Tree, part: str | int) -> Tree:
    match tree["k"]:
        case "record":
            every = {**tree["f"], **tree.get("aside", {})}
            if part in every:
                found: Tree = every[part]
                return found
        case "list" | "tuple" if isinstance(part, int) and -len(tree["v"]) <= part < len(tree["v"]):
            item: Tree = tree["v"][part]
            return item
        case "dict":
            for key, item in tree["v"]:
                if key["k"] in {"str", "int"} and str(key["v"]) == str(part):
                    entry: Tree = item
                    return entry
    raise StoreError(
        f"a {tree.get('t', tree['k'])} has no part {part!r}",
        hint="look at what the step returns: its fields, keys or indices",
    )


# --- writing ------------------------------------------------------------------------------------


class _Writer:
    def __init__(self, blobs: Blobs, main: str | None, digest_path: Callable[[Path], str]) -> None:
        self.blobs = blobs
        self.main = main
        self.digest_path = digest_path
        self.open: set[int] = set()

    def write(self, value: Any, place: str) -> Tree:
        kind = type(value)
        plain = _PLAIN.get(kind)
        if plain is not None:
            return plain(value)
        if isinstance(value, dict | list | tuple | set | frozenset) or _is_record(value):
            return self._nested(value, place)
        if isinstance(value, Enum):
            return {"k": "enum", "t": self._name(kind), "v": value.name}
        if isinstance(value, Path):
            return self._path(value, place)
        if isinstance(getattr(value, "code_reference", None), str):
            return {"k": "code", "t": self._name(kind), "v": str(value)}
        found = codec_arrays.write(value, self.blobs)
        if found is None:
            raise TypeError(f"{place} is a {kind.__module__}.{kind.__qualname__}")
        return found

    def _nested(self, value: Any, place: str) -> Tree:
        if id(value) in self.open:
            raise TypeError(f"{place} holds itself")
        self.open.add(id(value))
        try:
            if isinstance(value, Mapping):
                return self._dict(value, place)
            if _is_record(value):
                return self._record(value, place)
            return self._sequence(value, place)
        finally:
            self.open.discard(id(value))

    def _dict(self, value: Mapping[Any, Any], place: str) -> Tree:
        pairs = [
            [self.write(key, f"a key of {place}"), self.write(item, f"{place}[{key!r}]")]
            for key, item in value.items()
        ]
        return {"k": "dict", "v": pairs}

    def _sequence(self, value: Any, place: str) -> Tree:
        kind = next(k for k in (list, tuple, set, frozenset) if isinstance(value, k)).__name__
        if kind == "tuple" and hasattr(value, "_fields"):
            raise TypeError(f"{place} is a named tuple; make it a dataclass")
        return {
            "k": kind,
            "v": [self.write(item, f"{place}[{index}]") for index, item in enumerate(value)],
        }

    def _record(self, value: Any, place: str) -> Tree:
        counted: Tree = {}
        aside: Tree = {}
        for name, item, is_aside in _fields_of(value):
            (aside if is_aside else counted)[name] = self.write(item, f"{place}.{name}")
        tree: Tree = {"k": "record", "t": self._name(type(value)), "f": counted}
        return {**tree, "aside": aside} if aside else tree

    def _path(self, value: Path, place: str) -> Tree:
        if not value.exists():
            raise NotFound(f"{place} is the path {str(value)!r}, which does not exist")
        self.blobs.append(value)
        kind = "folder" if value.is_dir() else "file"
        return {"k": kind, "b": self.digest_path(value)}

    def _name(self, kind: type) -> str:
        if "<locals>" in kind.__qualname__:
            raise TypeError(
                f"{kind.__qualname__} is defined inside a function; "
                "define it at the top of a module"
            )
        module = kind.__module__
        if module == "__main__" and self.main is not None:
            module = self.main
        return f"{module}:{kind.__qualname__}"


def _is_record(value: Any) -> bool:
    return (is_dataclass(value) and not isinstance(value, type)) or (
        hasattr(type(value), "model_fields") and hasattr(value, "model_dump")
    )


def _fields_of(value: Any) -> list[tuple[str, Any, bool]]:
    if is_dataclass(value):
        return [
            (field.name, getattr(value, field.name), bool(field.metadata.get(ASIDE)))
            for field in fields(value)
            if field.init
        ]
    every = {**value.__dict__, **(value.__pydantic_extra__ or {})}
    return [(name, item, False) for name, item in every.items()]


_PLAIN: dict[type, Callable[[Any], Tree]] = {
    type(None): lambda value: {"k": "none"},
    bool: lambda value: {"k": "bool", "v": value},
    int: lambda value: {"k": "int", "v": value},
    float: lambda value: {"k": "float", "v": value.hex()},
    str: lambda value: {"k": "str", "v": value},
    bytes: lambda value: {"k": "bytes", "v": value.hex()},
    complex: lambda value: {"k": "complex", "v": [value.real.hex(), value.imag.hex()]},
    Decimal: lambda value: {"k": "decimal", "v": str(value)},
    datetime: lambda value: {"k": "datetime", "v": value.isoformat()},
    date: lambda value: {"k": "date", "v": value.isoformat()},
    time: lambda value: {"k": "time", "v": value.isoformat()},
    timedelta: lambda value: {
        "k": "timedelta",
        "v": [value.days, value.seconds, value.microseconds],
    },
}


# --- reading ------------------------------------------------------------------------------------


class _Reader:
    def __init__(self, artifacts: Artifacts, main: str | None) -> None:
        self.artifacts = artifacts
        self.main = main

    def read(self, tree: Tree) -> Any:
        kind = tree["k"]
        if kind in _UNPLAIN:
            return _UNPLAIN[kind](tree.get("v"))
        match kind:
            case "list" | "tuple" | "set" | "frozenset":
                made = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}[kind]
                return made(self.read(item) for item in tree["v"])
            case "dict":
                return {self.read(key): self.read(item) for key, item in tree["v"]}
            case "record":
                return self._record(tree)
            case "enum":
                return self._class(tree["t"], Enum)[tree["v"]]
            case "code":
                return self._class(tree["t"], str)(tree["v"])
            case "file" | "folder":
                return self.artifacts.path(tree["b"])
        return codec_arrays.read(tree, self.artifacts)

    def _record(self, tree: Tree) -> Any:
        kind = self._class(tree["t"], object)
        given = {
            name: self.read(item) for name, item in {**tree["f"], **tree.get("aside", {})}.items()
        }
        if hasattr(kind, "model_construct"):
            return kind(**given)
        known = {field.name for field in fields(kind) if field.init}
        if known != given.keys():
            raise StoreError(
                f"{tree['t']} was kept with the fields {', '.join(sorted(given))} "
                f"and now has {', '.join(sorted(known))}",
                hint="run what made it again",
            )
        return kind(**given)

    def _class(self, name: str, base: type) -> Any:
        """Import the class that a manifest names; it must be what a manifest may name."""
        module, _, qualname = name.partition(":")
        found: Any = sys.modules.get("__main__") if module == self.main else None
        try:
            if found is None:
                found = importlib.import_module(module)
            for part in qualname.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError) as error:
            raise StoreError(
                f"the class {name} of a kept value is not there: {error}",
                hint="run what made it again",
            ) from error
        allowed = isinstance(found, type) and (
            issubclass(found, base) if base is not object else _is_record_class(found)
        )
        if not allowed:
            raise StoreError(f"a manifest names {name}, which is no class of values")
        return found


def _is_record_class(kind: type) -> bool:
    return is_dataclass(kind) or (hasattr(kind, "model_fields") and hasattr(kind, "model_dump"))


_UNPLAIN: dict[str, Callable[[Any], Any]] = {
    "none": lambda value: None,
    "bool": bool,
    "int": int,
    "float": float.fromhex,
    "str": str,
    "bytes": bytes.fromhex,
    "complex": lambda value: complex(float.fromhex(value[0]), float.fromhex(value[1])),
    "decimal": Decimal,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "timedelta": lambda value: timedelta(*value),
}


def _fits(codec: TreeCodec) -> Codec:
    return codec
