"""The tree of a manifest back to its value; only classes of values are imported for it."""

from collections import OrderedDict
from collections.abc import Mapping
from enum import Enum, Flag
from typing import Any

from raypipe.engine.ports import Artifacts
from raypipe.engine.records import Json
from raypipe.errors import StoreError
from raypipe.values import codec_arrays
from raypipe.values.codec_classes import Classes, dataclass_fields, is_model, is_record
from raypipe.values.codec_plain import READERS


class Reader:
    """Reads values whose blobs are among some artifacts."""

    def __init__(self, artifacts: Artifacts, classes: Classes) -> None:
        self._artifacts = artifacts
        self._classes = classes

    def read(self, node: Json) -> Any:
        """Return the value of a tree."""
        if type(node) is list:
            return [self.read(item) for item in node]
        if type(node) is not dict:
            return node
        if (scalar := READERS.get(node["k"])) is not None:
            return scalar(node)
        return self._other(node)

    def _other(self, node: dict[str, Json]) -> Any:
        match node["k"]:
            case "record":
                return self._record(node)
            case "dict":
                return self._named(node["v"])
            case "tuple":
                return tuple(map(self.read, node["v"]))
            case "map":
                return {self.read(key): self.read(item) for key, item in node["v"]}
            case "ordered":
                return OrderedDict((self.read(key), self.read(item)) for key, item in node["v"])
            case "set":
                return set(map(self.read, node["v"]))
            case "frozenset":
                return frozenset(map(self.read, node["v"]))
            case "file" | "folder":
                return self._artifacts.path(node["b"])
            case "enum" | "flag" | "code":
                return self._named_scalar(node)
        return codec_arrays.read(node, self._artifacts)

    def _named(self, nodes: Mapping[str, Json]) -> dict[str, Any]:
        return {name: self.read(item) for name, item in nodes.items()}

    def _named_scalar(self, node: dict[str, Json]) -> Any:
        base: type = {"enum": Enum, "flag": Flag, "code": str}[node["k"]]
        kind = self._classes.find(node["t"], lambda found: issubclass(found, base))
        try:
            return kind[node["v"]] if base is Enum else kind(node["v"])
        except (KeyError, ValueError) as error:
            raise StoreError(
                f"{node['t']} has no {node['v']!r} any more",
                hint="run what made the value again",
            ) from error

    def _record(self, node: dict[str, Json]) -> Any:
        kind = self._classes.find(node["t"], is_record)
        given = self._named({**node["f"], **node.get("aside", {})})
        if is_model(kind):
            return _make_model(kind, node, given)
        known = {name for name, _ in dataclass_fields(kind)}
        _check_fields(node["t"], known, given)
        try:
            return kind(**given)
        except Exception as error:
            raise StoreError(
                f"{node['t']} cannot be made from what was kept: {type(error).__name__}: {error}",
                hint="run what made the value again",
            ) from error


def _make_model(kind: Any, node: dict[str, Json], given: dict[str, Any]) -> Any:
    """Make a pydantic model as it was; checks that change what they are given do not run again."""
    known = set(kind.model_fields)
    extra = set(given) - known if kind.model_config.get("extra") == "allow" else set()
    _check_fields(node["t"], known | extra, given)
    return kind.model_construct(_fields_set=set(node["set"]), **given)


def _check_fields(name: str, known: set[str], given: Mapping[str, Any]) -> None:
    if known != given.keys():
        raise StoreError(
            f"{name} was kept with the fields {', '.join(sorted(given))} "
            f"and now has {', '.join(sorted(known))}",
            hint="run what made the value again",
        )
