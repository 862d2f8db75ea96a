"""Every order of the acts by which an effect is carried out: once, whoever is killed or stopped.

A model of `attempt`: somebody enters a fact with its effect, and two carry effects out, one act at
a time. Any of them may be killed and comes again, or be stopped, for so long that his claim lapses,
and wake up later. That the search finds what is wrong is shown by protocols that are wrong.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pytest

CARRIERS = (0, 1)
KILLS = 2
STOPS = 1
PROTOCOL = ("claim", "count", "ask", "do", "record", "let go")


@dataclass(frozen=True)
class Carrier:
    act: int = 0
    """Which comes next."""


@dataclass(frozen=True)
class State:
    entered: tuple[str, ...] = ()
    """What the ledger says: the fact, and that its effect is wanted."""
    carriers: tuple[Carrier, ...] = tuple(Carrier() for _ in CARRIERS)
    claim: int | None = None
    delivered: bool = False
    done: int = 0
    """How often the target did it."""
    kills: int = 0
    stops: int = 0
    stopped: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Model:
    """How effects are entered and carried out, and what the target can do about it."""

    protocol: Sequence[str] = PROTOCOL
    one_act: bool = True
    """The fact and what it asks for are entered in one act."""
    keeps_keys: bool = True
    """The target does nothing twice under one key."""
    stops: int = STOPS

    def acts(self, state: State) -> Iterator[State]:
        if len(state.entered) < 2:
            both = ("fact", "effect")
            yield replace(state, entered=both if self.one_act else both[: len(state.entered) + 1])
        if "effect" not in state.entered:
            return
        for number in CARRIERS:
            if number not in state.stopped:
                yield from self._act(state, number)

    def next(self, state: State) -> Iterator[State]:
        yield from self.acts(state)
        if state.entered == ("fact",) and state.kills < KILLS:  # dies between the two, for good
            yield replace(state, entered=("fact", "lost"), kills=state.kills + 1)
        for number, carrier in enumerate(state.carriers):
            if number in state.stopped:
                yield replace(state, stopped=state.stopped - {number})
            elif carrier.act and state.stops < self.stops:
                stopped = state.stopped | {number}
                yield replace(state, stopped=stopped, stops=state.stops + 1)
            if carrier.act and state.kills < KILLS:
                claim = None if state.claim == number else state.claim
                killed = replace(state, claim=claim, kills=state.kills + 1)
                yield _moved(killed, number, Carrier(), stopped=state.stopped - {number})

    def _act(self, state: State, number: int) -> Iterator[State]:
        carrier = state.carriers[number]
        over = Carrier()
        act = carrier.act + 1
        on = over if act == len(self.protocol) else replace(carrier, act=act)
        match self.protocol[carrier.act]:
            case "claim" if state.delivered or state.claim not in (None, *state.stopped):
                return
            case "claim":
                yield _moved(replace(state, claim=number), number, on)
            case "count" if state.delivered:
                yield _moved(_let_go(state, number), number, over)
            case "ask" if state.done:
                done = self.protocol.index("do") + 1
                yield _moved(state, number, replace(carrier, act=done))
            case "do":
                done = 1 if self.keeps_keys else state.done + 1
                yield _moved(replace(state, done=done), number, on)
            case "record":
                yield _moved(replace(state, delivered=True), number, on)
            case "let go":
                yield _moved(_let_go(state, number), number, on)
            case _:
                yield _moved(state, number, on)


def _moved(state: State, number: int, carrier: Carrier, **changed: frozenset[int]) -> State:
    carriers = list(state.carriers)
    carriers[number] = carrier
    return replace(state, carriers=tuple(carriers), **changed)  # type: ignore[arg-type]


def _let_go(state: State, number: int) -> State:
    return replace(state, claim=None) if state.claim == number else state


def explore(model: Model, most: int) -> str:
    """Return the first thing that is wrong; the target may do it so often."""
    seen, left, before = {State()}, [State()], dict[State, set[State]]()
    while left:
        state = left.pop()
        if state.delivered and not state.done:
            return "it is recorded, and the target knows nothing"
        if state.done > most:
            return f"it was done {state.done} times"
        acts = list(model.acts(state))
        for other in acts:
            before.setdefault(other, set()).add(state)
        for other in (*acts, *model.next(state)):
            if other not in seen:
                seen.add(other)
                left.append(other)
    assert len(seen) > 20
    found = {state for state in seen if state.delivered}
    left = list(found)
    while left:
        for state in before.get(left.pop(), ()):
            if state not in found:
                found.add(state)
                left.append(state)
    return "" if found == seen else "there is a fact whose effect nobody will carry out"


def test_a_target_that_keeps_keys_does_it_once_in_every_order() -> None:
    assert explore(Model(), most=1) == ""


def test_a_target_that_can_be_asked_does_it_twice_only_for_one_who_was_stopped() -> None:
    """Between the question and the act, where nobody can know."""
    assert explore(Model(keeps_keys=False, stops=0), most=1) == ""
    assert explore(Model(keeps_keys=False), most=1 + STOPS) == ""


def without(act: str) -> tuple[str, ...]:
    return tuple(one for one in PROTOCOL if one != act)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Model(one_act=False, stops=0), "nobody will carry out"),
        (Model(("claim", "count", "ask", "record", "do", "let go")), "the target knows nothing"),
        (Model(without("ask"), keeps_keys=False, stops=0), "done 2 times"),
        (Model(without("claim"), keeps_keys=False, stops=0), "done 2 times"),
        (Model(without("record")), "nobody will carry out"),
    ],
    ids=["entered in two acts", "recorded first", "not asked", "not claimed", "not recorded"],
)
def test_a_protocol_that_is_wrong_is_found_out(model: Model, said: str) -> None:
    assert said in explore(model, most=1)
