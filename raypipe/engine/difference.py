"""What differs between two explanations of a step, by name: the reason that a plan gives."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from raypipe.engine.digest import digest_bytes
from raypipe.engine.records import Explanation, Fingerprint, Json, Reason

SHOWN = 64
"""Parts of a parameter that are kept as text, so that `why` can say which one differs."""
UNSET, ABSENT = digest_bytes(b"unset"), digest_bytes(b"absent")
"""What a declared variable counts as that is not set, and a declared file that is not there."""

ChangeKind = Literal["code", "package", "parameter", "input", "environment"]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing that differs between two explanations."""

    kind: ChangeKind
    what: str
    """The symbol, package, parameter, input or variable."""
    how: str
    """How it differs, in a few words."""

    def to_json(self) -> Json:
        """The change as a JSON object."""
        return {"kind": self.kind, "what": self.what, "how": self.how}


def difference(
    before: Explanation,
    now: Explanation,
    code_before: Fingerprint | None,
    code_now: Fingerprint,
    given: Mapping[str, str] | None = None,
) -> Reason:
    """Say what differs between two explanations of one step, and how much more does.

    The first of code, packages, parameters, inputs, environment. `given` says which output each
    input is: place to reference.
    """
    if before.fingerprint != now.fingerprint and code_before is None:
        return Reason(kind="code", detail="the earlier code is not known")
    found = list(changes(before, now, code_before, code_now, given))
    if not found:
        if before.fingerprint != now.fingerprint:
            return Reason(kind="code", detail="what it is widened to")
        return Reason(kind="new", detail="same key, no result")
    first = found[0]
    alike = sum(change.kind == first.kind for change in found) - 1
    more = f", and {alike} more" if alike else ""
    return Reason(kind=first.kind, what=first.what, detail=first.how + more)


def changes(
    before: Explanation,
    now: Explanation,
    code_before: Fingerprint | None,
    code_now: Fingerprint,
    given: Mapping[str, str] | None = None,
) -> Iterator[Change]:
    """Yield all that differs between two explanations, what a person changes first at the top."""
    if before.fingerprint != now.fingerprint and code_before is not None:
        for name, how in _symbol_changes(code_before.symbols, code_now.symbols):
            yield Change(kind="code", what=name, how=how)
        yield from _package_changes(code_before.packages, code_now.packages)
    for name, how in _changes(before.parameters, now.parameters):
        if name not in before.inputs and name not in now.inputs:
            yield from _parameter_changes(name, before, now, how)
    yield from _input_changes(before, now, given or {})
    for name, _ in _changes(before.environment, now.environment):
        how = _declared(name, before.environment.get(name), now.environment.get(name))
        yield Change(kind="environment", what=name, how=how)


def _symbol_changes(before: Mapping[str, str], now: Mapping[str, str]) -> Sequence[tuple[str, str]]:
    """Return what differs of the code; the order of a module only where nothing else does."""
    every = list(_changes(before, now))
    named = [one for one in every if ":<" not in one[0]]
    return sorted(named or every, key=lambda one: one[1] != "changed")


def _package_changes(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[Change]:
    for name, how in _changes(before, now):
        versions = f"{before[name]} → {now[name]}" if how == "changed" else how
        known = now.get(name) or before.get(name)
        said = versions if how == "changed" else f"{how} ({known})"
        yield Change(kind="package", what=name, how=said)


def _parameter_changes(
    name: str, before: Explanation, now: Explanation, how: str
) -> Iterator[Change]:
    """Yield the parts of a parameter that differ, as far as its parts were kept as text."""
    old, new = _parts(name, before), _parts(name, now)
    parts = list(_changes(old, new))
    if not parts:
        yield Change(kind="parameter", what=name, how=how)
    for part, said in parts:
        shown = f"{old[part]} → {new[part]}" if said == "changed" else said
        yield Change(kind="parameter", what=part, how=shown)


def _parts(name: str, explanation: Explanation) -> dict[str, str]:
    return {
        part: text
        for part, text in explanation.shown.items()
        if part == name or part.startswith((f"{name}.", f"{name}["))
    }


def _input_changes(
    before: Explanation, now: Explanation, given: Mapping[str, str]
) -> Iterator[Change]:
    """Yield the inputs that differ; of a list's items, how many."""
    everything_before = {**before.parameters, **before.inputs}
    everything_now = {**now.parameters, **now.inputs}
    lists = _lists({**before.inputs, **now.inputs})
    said: set[str] = set()
    for name, how in _changes(everything_before, everything_now):
        if name not in before.inputs and name not in now.inputs:
            continue
        base = _list_of(name)
        if base not in lists:
            yield Change(kind="input", what=name, how=_from(how, name, [given.get(name, "")]))
        elif base not in said:
            said.add(base)
            old, new = _items(base, before.inputs), _items(base, now.inputs)
            sources = [given[place] for place in new if place in given]
            how = items_differ(old, new)
            yield Change(kind="input", what=base, how=_from(how, base, sources))


def _lists(inputs: Iterable[str]) -> set[str]:
    """Return the places of lists with several items."""
    counted = Counter(base for base in map(_list_of, inputs) if base)
    return {base for base, count in counted.items() if count > 1}


def _list_of(place: str) -> str:
    """Return the place of the list that a place is an item of; "" where it is none."""
    base, bracket, index = place.rpartition("[")
    return base if bracket and index[:-1].isdigit() else ""


def _items(base: str, inputs: Mapping[str, str]) -> dict[str, str]:
    return {place: digest for place, digest in inputs.items() if _list_of(place) == base}


def _from(how: str, name: str, references: Sequence[str]) -> str:
    """Return how an input differs, and the steps whose outputs it is, unless they have its name."""
    steps = dict.fromkeys(reference.partition("[")[0] for reference in references if reference)
    if set(steps) <= {name}:
        return how
    few = list(steps)[:3]
    return f"{how}, from {', '.join(few)}{' …' if len(steps) > len(few) else ''}"


def items_differ(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Say how many items of a list differ; an item is known by its content, not by its place."""
    old, new = Counter(before.values()), Counter(now.values())
    came, went = (new - old).total(), (old - new).total()
    changed = min(came, went)
    return in_words("item", len(now), new=came - changed, changed=changed, gone=went - changed)


def in_words(noun: str, of: int, *, new: int, changed: int, gone: int) -> str:
    """Say how many of so many things are new, changed and gone: `1 of 8 shards is new`."""
    counts = {"new": new, "changed": changed, "gone": gone}
    told = {how: count for how, count in counts.items() if count}
    if not told:
        return "in another order"
    first, *others = told
    count = told[first]
    verb = "" if first == "changed" else "is " if count == 1 else "are "
    said = f"{count} {noun}{'' if count == 1 else 's'} {verb}{first}"
    if first != "gone":
        said = f"{count} of {of} {noun}{'' if of == 1 else 's'} {verb}{first}"
    return ", ".join([said, *(f"{told[how]} {how}" for how in others)])


def _declared(name: str, before: str | None, now: str | None) -> str:
    """Say how a declared variable or file differs; never its value, which may be a secret."""
    if before is None or now is None:
        return "declared now" if before is None else "no longer declared"
    if name.startswith("env:"):
        return {UNSET: "unset now"}.get(now, "set now" if before == UNSET else "changed")
    return {ABSENT: "gone"}.get(now, "new" if before == ABSENT else "changed")


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
