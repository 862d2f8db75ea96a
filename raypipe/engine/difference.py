"""What differs between two explanations of a step, by name: the reason that a plan gives."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from raypipe.engine.records import Explanation, Fingerprint, Reason

SHOWN = 64
"""Parts of a parameter that are kept as text, so that `why` can say which one differs."""


def difference(
    before: Explanation, now: Explanation, code_before: Fingerprint | None, code_now: Fingerprint
) -> Reason:
    """Say what differs between two explanations of one step.

    The first of code, parameter, input, environment.
    """
    if before.fingerprint != now.fingerprint:
        return _code_difference(code_before, code_now)
    given_before = {**before.parameters, **before.inputs}
    given_now = {**now.parameters, **now.inputs}
    for name, how in _changes(given_before, given_now):
        if name in now.inputs or name in before.inputs:
            return Reason(kind="input", what=name, detail=how)
        return _parameter_difference(name, before, now, how)
    for name, how in _changes(before.environment, now.environment):
        return Reason(kind="environment", what=name, detail=how)
    return Reason(kind="new", detail="same key, no result")


def _parameter_difference(name: str, before: Explanation, now: Explanation, how: str) -> Reason:
    """Say which part of a parameter differs, as far as its parts were kept as text."""
    old, new = _parts(name, before), _parts(name, now)
    parts = list(_changes(old, new))
    if not parts:
        return Reason(kind="parameter", what=name, detail=how)
    part, how = parts[0]
    said = f"{old[part]} → {new[part]}" if part in old and part in new else how
    more = f", and {len(parts) - 1} more" if len(parts) > 1 else ""
    return Reason(kind="parameter", what=part, detail=said + more)


def _parts(name: str, explanation: Explanation) -> dict[str, str]:
    return {
        part: text
        for part, text in explanation.shown.items()
        if part == name or part.startswith((f"{name}.", f"{name}["))
    }


def _code_difference(before: Fingerprint | None, now: Fingerprint) -> Reason:
    if before is None:
        return Reason(kind="code", detail="the earlier code is not known")
    changed = list(_changes(before.symbols, now.symbols))
    if not changed:
        changed = list(_changes(before.packages, now.packages))
    if not changed:
        return Reason(kind="code", detail="what it is widened to")
    changed.sort(key=lambda change: change[1] != "changed")
    more = f", and {len(changed) - 1} more" if len(changed) > 1 else ""
    return Reason(kind="code", what=changed[0][0], detail=changed[0][1] + more)


def _changes(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in sorted({*before, *now}):
        if name not in before:
            yield name, "added"
        elif name not in now:
            yield name, "removed"
        elif before[name] != now[name]:
            yield name, "changed"


def shown_parts(name: str, value: Any) -> dict[str, str]:
    """Return short texts of a parameter's parts, for people; of one without parts, its own."""
    found = dict(islice(_texts(name, value), SHOWN + 1))
    return found if len(found) <= SHOWN else {name: _short(value)}


def _texts(place: str, value: Any) -> Iterator[tuple[str, str]]:
    held: Any = None
    if isinstance(value, dict):
        held = {key: item for key, item in value.items() if isinstance(key, str)}
    elif hasattr(value, "model_fields_set") or hasattr(value, "__dataclass_fields__"):
        held = getattr(value, "__dict__", None)
    if not held:
        yield place, _short(value)
        return
    for key, item in held.items():
        yield from _texts(f"{place}.{key}", item)


def _short(value: Any) -> str:
    if isinstance(value, str):
        value = value[:80]
    few = isinstance(value, Sequence) and len(value) <= 8
    plain = isinstance(value, int | float | bool | str | None)
    text = repr(value) if plain or few else type(value).__name__
    return text if len(text) <= 60 else text[:57] + "…"
