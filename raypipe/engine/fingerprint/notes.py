"""What was found of a project's code, kept for the next process as long as it holds."""

from collections.abc import Callable, Iterable
from typing import Any

from raypipe.engine.digest import digest_bytes
from raypipe.errors import RaypipeError

Json = Any
PHASES = ("imports ", "effects ")
"""States that follow from others, which come first: what they start with, in their order."""
PACKED = 0.7
"""Share of the states that findings are told by, under which the others are thrown away."""
_UNKNOWN = "?"


class Notes:
    """Findings, each with the states of the code that it was found by.

    A state is a name, such as that of a module, with a digest of what it stood for. A finding
    holds as long as each of its states does.
    """

    def __init__(self, data: Json, state: Callable[[str], str]) -> None:
        """`data` is what `to_json` gave, or None; `state` says what a name stands for now."""
        self._state = state
        self._states: list[tuple[str, str]] = []
        self._bits: dict[tuple[str, str], int] = {}
        self._findings: dict[str, tuple[Json, int]] = {}
        self._now: dict[str, str] = {}
        self._moved: int | None = None
        self.is_changed = False
        if data is not None:
            self._states = [(name, digest) for name, digest in data["states"]]
            self._bits = {state: 1 << place for place, state in enumerate(self._states)}
            self._findings = {
                key: (found, int(bits, 16)) for key, (found, bits) in data["findings"].items()
            }

    def recall(self, key: str) -> Json:
        """Return a finding that holds, or None."""
        found = self._findings.get(key)
        if found is None or found[1] & self._all_moved():
            return None
        return found[0]

    def note(self, key: str, found: Json, told: Iterable[str], states: int = 0) -> None:
        """Keep a finding, with the names of what tells whether it holds, and states beside."""
        self._findings[key] = (found, states | self.states(told))
        self.is_changed = True

    def states(self, names: Iterable[str]) -> int:
        """Return the bits of the states of names as they are now."""
        bits = 0
        for name in names:
            state = (name, self.now(name))
            if state not in self._bits:
                self._bits[state] = 1 << len(self._states)
                self._states.append(state)
            bits |= self._bits[state]
        return bits

    def now(self, name: str) -> str:
        """Return what a name stands for now; what cannot be told is like nothing that was."""
        if name not in self._now:
            try:
                self._now[name] = self._state(name)
            except RaypipeError:
                self._now[name] = _UNKNOWN
        return self._now[name]

    def _all_moved(self) -> int:
        """Return the bits of the states that hold no more.

        Those that follow from others are asked about when it is known which of these moved.
        """
        if self._moved is None:
            self._moved = 0
            known = list(enumerate(self._states))
            for phase in range(len(PHASES) + 1):
                moved = 0
                for place, (name, digest) in known:
                    if _phase(name) == phase and (digest == _UNKNOWN or self.now(name) != digest):
                        moved |= 1 << place
                self._moved |= moved
        return self._moved

    def to_json(self) -> Json:
        """Return what holds."""
        moved = self._all_moved()
        kept = {key: found for key, found in self._findings.items() if not found[1] & moved}
        used = 0
        for _, bits in kept.values():
            used |= bits
        places = [*range(len(self._states))]
        if used.bit_count() < PACKED * len(places):
            places = [place for place in places if used >> place & 1]
            kept = {key: (found, _packed(bits, places)) for key, (found, bits) in kept.items()}
        return {
            "states": [self._states[place] for place in places],
            "findings": {key: [found, f"{bits:x}"] for key, (found, bits) in kept.items()},
        }


def _phase(name: str) -> int:
    return next((n for n, start in enumerate(PHASES, 1) if name.startswith(start)), 0)


def _packed(bits: int, places: list[int]) -> int:
    """Return bits without those at other places."""
    shown = f"{bits:b}"[::-1]
    return int("".join(shown[p] if p < len(shown) else "0" for p in reversed(places)) or "0", 2)


def digest_of(found: str) -> str:
    """Return a short digest of a text, which tells whether a state moved."""
    return digest_bytes(found.encode())[:32]
