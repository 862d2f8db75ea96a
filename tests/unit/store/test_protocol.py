"""Every order of the acts that a claim in a folder is made of: two never hold a key at once.

A model of `FileClaims`, one call of the system at a time: two who want a key for themselves, one
who shares it, and one who held it and stands still, but may wake up and let go at any moment. Any
of them may be killed. That the search finds what is wrong is shown by protocols that are wrong.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

STOPPED = "stopped"
"""The holder of before, who does not move: everybody has seen that for long."""
ALONE = ("one", "other")
SHARES = "sharer"
EVERYBODY = (*ALONE, SHARES, STOPPED)
KILLS = 1
DONE = "done"
HOLDS = "holds"


@dataclass(frozen=True)
class State:
    """The folder of a key, and the call of the system that each process comes to next."""

    next: tuple[tuple[str, str], ...]
    folder: frozenset[str] | None = frozenset({STOPPED})
    """Whose entries are in it; None where there is no folder."""
    listed: tuple[tuple[str, frozenset[str]], ...] = ()
    """What a process saw in the folder, and has not looked at yet."""
    gone: frozenset[str] = frozenset()
    """Who was killed."""

    def of(self, who: str) -> str:
        return dict(self.next)[who]


START = State(
    next=(("one", "list"), ("other", "list"), (SHARES, "make"), (STOPPED, "remove")),
)


def on(state: State, who: str, then: str, **changed: object) -> State:
    following = tuple((name, then if name == who else act) for name, act in state.next)
    return replace(state, next=following, **changed)  # type: ignore[arg-type]


def see(state: State, who: str, entries: frozenset[str]) -> State:
    listed = {**dict(state.listed), who: entries}
    return replace(state, listed=tuple(sorted((n, e) for n, e in listed.items() if e)))


@dataclass(frozen=True)
class Protocol:
    """How a claim is taken, taken over and let go; what is not said otherwise is as it is."""

    puts_whole: bool = True
    """A folder is moved into place with its entry, not made and then filled."""
    removes: str = "entry"
    """What a take-over removes: the entry that lapsed, or the folder, whatever is in it by now."""
    lets_go_of: str = "entry"
    """What is removed by who lets go."""
    sharers_look: bool = True
    """Who shares looks once his own entry is there."""

    def acts(self, state: State) -> Iterator[State]:
        for who in EVERYBODY:
            if who not in state.gone and state.of(who) != DONE:
                yield from self.act(state, who)

    def act(self, state: State, who: str) -> Iterator[State]:
        """Yield what a process's next call leads to."""
        folder = state.folder
        match state.of(who):
            case "list":
                found = (folder or frozenset()) - {who}
                yield on(see(state, who, found), who, "look" if found else "put")
            case "look":
                yield self._look(state, who)
            case "put" if folder:
                yield on(state, who, "list")
            case "put" if self.puts_whole:
                yield on(state, who, HOLDS, folder=frozenset({who}))
            case "put":
                yield on(state, who, "fill", folder=frozenset())
            case "fill":
                yield on(state, who, HOLDS, folder=(folder or frozenset()) | {who})
            case "make":
                yield on(state, who, "join", folder=folder or frozenset())
            case "join" if folder is None:
                yield on(state, who, "make")
            case "join":
                then = "check" if self.sharers_look else HOLDS
                yield on(state, who, then, folder=folder | {who})
            case "check" if any(name in ALONE for name in (folder or ()) if name not in state.gone):
                yield on(state, who, "withdraw")
            case "check":
                yield on(state, who, HOLDS)
            case "withdraw":
                yield on(state, who, "make", folder=None if folder is None else folder - {who})
            case "holds":
                yield on(state, who, "remove")
            case "remove" if self.lets_go_of == "folder":
                yield on(state, who, DONE, folder=None)
            case "remove":
                yield on(state, who, "tidy", folder=None if folder is None else folder - {who})
            case "tidy":
                yield on(state, who, DONE, folder=None if folder == frozenset() else folder)

    def _look(self, state: State, who: str) -> State:
        """Look at one of those whose entries were seen: go on without him, or come back later."""
        seen = dict(state.listed)[who]
        other = min(seen)
        if other != STOPPED and other not in state.gone:
            return on(see(state, who, frozenset()), who, "list")
        after = see(state, who, seen - {other})
        after = on(after, who, "look" if seen - {other} else "put")
        if self.removes == "folder" or state.folder is None:
            return replace(after, folder=None)
        return replace(after, folder=state.folder - {other})


def killed(state: State) -> Iterator[State]:
    if len(state.gone) < KILLS:
        for who in EVERYBODY:
            if state.of(who) != DONE:
                yield replace(state, gone=state.gone | {who})


def wrong(state: State) -> str:
    held = {w for w in EVERYBODY if state.of(w) in {HOLDS, "remove"} and w not in state.gone}
    alone = held & set(ALONE)
    if len(alone) > 1:
        return "two hold it for themselves"
    return "one holds it for himself, and another shares it" if alone and SHARES in held else ""


def explore(protocol: Protocol) -> tuple[set[State], str]:
    """Return every state that can come about, and the first thing that is wrong with one."""
    seen, left, before = {START}, [START], dict[State, set[State]]()
    while left:
        state = left.pop()
        if said := wrong(state):
            return seen, said
        acts = list(protocol.acts(state))
        for other in acts:
            before.setdefault(other, set()).add(state)
        for other in (*acts, *killed(state)):
            if other not in seen:
                seen.add(other)
                left.append(other)
    ends = {s for s in seen if all(s.of(w) == DONE or w in s.gone for w in EVERYBODY)}
    found, left = set(ends), list(ends)
    while left:
        for state in before.get(left.pop(), ()):
            if state not in found:
                found.add(state)
                left.append(state)
    return seen, "" if found == seen else f"no act leads on from {next(iter(seen - found))}"


def test_in_every_order_one_holds_a_key_and_nobody_waits_for_ever() -> None:
    states, said = explore(Protocol())
    assert said == ""
    assert len(states) > 1000
    ends = [state for state in states if all(act == DONE for _, act in state.next)]
    assert {state.folder for state in ends} == {None}


@pytest.mark.parametrize(
    ("protocol", "said"),
    [
        (Protocol(puts_whole=False), "two hold it for themselves"),
        (Protocol(removes="folder"), "two hold it for themselves"),
        (Protocol(lets_go_of="folder"), "one holds it for himself, and another shares it"),
        (Protocol(sharers_look=False), "one holds it for himself, and another shares it"),
    ],
    ids=["made then filled", "taken over whole", "let go whole", "shared unseen"],
)
def test_a_protocol_that_is_wrong_is_found_out(protocol: Protocol, said: str) -> None:
    assert said in explore(protocol)[1]
