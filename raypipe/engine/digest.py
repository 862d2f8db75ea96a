"""Digests: BLAKE2b-256 of bytes, and of a value's manifest in a canonical, tagged form.

A manifest is a tree of JSON: None, bool, int, float and str stand for themselves, an array for a
list, and an object says its kind under `k`. What is under `aside` or `set` is provenance: kept, but
not counted. Scalars count as they are, every other part by its own digest, so that a part of a
value has the same digest wherever it stands.
"""

import re
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from json import JSONEncoder

from raypipe.engine.records import Json

_WRITTEN = re.compile(r"[0-9a-f]{64}")
_SCALARS = frozenset({type(None), bool, int, float, str})
_UNCOUNTED = frozenset({"aside", "set"})
_dump = JSONEncoder(separators=(",", ":"), sort_keys=True, allow_nan=False).encode


def digest_bytes(data: bytes) -> str:
    """Return the BLAKE2b-256 digest of bytes, as 64 hexadecimal digits."""
    return blake2b(data, digest_size=32).hexdigest()


def is_digest(text: str) -> bool:
    """Say whether a text is written as a digest is."""
    return _WRITTEN.fullmatch(text) is not None


def digest_tree(node: Json) -> str:
    """Return the digest of a manifest's tree, or of a part of one."""
    return digest_bytes(b"tree\n" + _dump(_counted(node)).encode())


def _counted(node: Json) -> Json:
    if type(node) is list:
        return ["list", _parts(node)]
    if type(node) is not dict:
        return node
    match node["k"]:
        case "tuple" as kind:
            return [kind, _parts(node["v"])]
        case "set" | "frozenset" as kind:
            return [kind, sorted(map(_dump, _parts(node["v"])))]
        case "dict" as kind:
            return [kind, list(node["v"]), _parts(node["v"].values())]
        case "map" | "ordered" as kind:
            return [kind, [_parts(pair) for pair in node["v"]]]
        case "record" as kind:
            return [kind, node["t"], _named(node["f"])]
    return {name: part for name, part in node.items() if name not in _UNCOUNTED}


def _parts(nodes: Iterable[Json]) -> list[Json]:
    return [node if type(node) in _SCALARS else {"#": digest_tree(node)} for node in nodes]


def _named(nodes: Mapping[str, Json]) -> dict[str, Json]:
    return dict(zip(nodes, _parts(nodes.values()), strict=True))
