"""Digests: BLAKE2b-256 of bytes, and of a value's manifest in a canonical, tagged form.

A manifest is a tree of JSON objects. Each node says its kind under `k`. Parts under `aside` are
provenance: kept, but not counted. The digest of a node is made of the digests of its parts, so that
a part of a value has the same digest wherever it stands.
"""

import json
from hashlib import blake2b
from typing import Any

Tree = dict[str, Any]


def digest_bytes(data: bytes) -> str:
    """Return the BLAKE2b-256 digest of bytes, as 64 hexadecimal digits."""
    return blake2b(data, digest_size=32).hexdigest()


def digest_tree(node: Tree) -> str:
    """Return the digest of a manifest's tree, or of a part of one."""
    return digest_bytes(json.dumps(_counted(node), separators=(",", ":")).encode())


def _counted(node: Tree) -> list[Any]:
    kind = node["k"]
    match kind:
        case "list" | "tuple":
            return [kind, [digest_tree(item) for item in node["v"]]]
        case "set" | "frozenset":
            return [kind, sorted(digest_tree(item) for item in node["v"])]
        case "dict":
            pairs = [[digest_tree(key), digest_tree(item)] for key, item in node["v"]]
            return [kind, sorted(pairs)]
        case "record":
            fields = sorted([name, digest_tree(item)] for name, item in node["f"].items())
            return [kind, node["t"], fields]
        case _:
            plain = sorted(
                (name, part) for name, part in node.items() if name not in {"k", "aside"}
            )
            return [kind, plain]
