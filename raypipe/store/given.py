"""What a run was given, as runs are found by it: each setting and parameter by its name.

Runs that were given the same share one digest, under which their values are kept once.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

LONGEST = 200
"""Letters that a name, or a value as JSON, may have to be kept."""
ANYTHING = ""
"""Kept in place of a value that is longer: a run that was given it has to be looked at."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """Names with their values as JSON: a setting and a parameter may have the same name."""

    digest: str
    """Empty where nothing was given."""
    values: tuple[tuple[str, str], ...]


def given_of(record: Mapping[str, Any]) -> Given:
    """Return what the record of a run says that it was given, its settings and its parameters.

    What is in lists and mappings is named by the way to it: `groups.0.kind`. They themselves are
    left out: they have no order, and equal no number and no text.
    """
    parameters = (record.get("parameters") or {}).get("parameters") or {}
    found = {
        (name, _kept(value))
        for name, value in (
            *_named(record.get("settings") or {}, ""),
            *((name, said(value)) for name, value in _named(parameters, "")),
        )
        if is_kept(name)
    }
    values = tuple(sorted(found))
    told = json.dumps(values).encode()
    digest = blake2b(told, digest_size=16).hexdigest() if values else ""
    return Given(digest=digest, values=values)


def is_kept(name: str) -> bool:
    """Say whether values of a name are kept."""
    return len(name) <= LONGEST and name.isprintable()


def said(value: Any) -> Any:
    """Return a parameter, which is kept as it was typed, as what it says: '0.5' is a number."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):  # no JSON, or brackets deeper than Python reads
        return value


def _kept(value: Any) -> str:
    told = json.dumps(value)
    return told if len(told) <= LONGEST else ANYTHING


def _named(data: Any, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(data, Mapping):
        items = [(str(key), value) for key, value in data.items()]
    elif isinstance(data, list | tuple):
        items = [(str(place), value) for place, value in enumerate(data)]
    else:
        yield place, data
        return
    for key, value in items:
        yield from _named(value, f"{place}.{key}" if place else key)
