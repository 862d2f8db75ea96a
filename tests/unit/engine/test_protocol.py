"""Every order of the acts of two runs, of kills, stops and late awakenings, as to one result a key.

A model of `Drive`: two drivers on a flow of two steps, one act at a time, with any of them killed,
or stopped and woken up later, between any two acts. All states that can come about are visited.
That the search finds what is wrong is shown by protocols that are wrong.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pytest

STEPS = ("first", "second")
DRIVERS = (0, 1)
STOPS = 1
"""How many stops there are in all, each for so long that the claims of who is stopped lapse."""
KILLS = 2
"""How many kills there are in all; a driver that is killed is started again."""
PROTOCOL = ("look", "claim", "look again", "execute", "publish", "record", "let go")
"""What a driver does about one step, in this order; a hit goes on with the next step."""


@dataclass(frozen=True)
class Driver:
    """How far a driver is: the step that it is about, and the act that comes next."""

    step: int = 0
    act: int = 0


@dataclass(frozen=True)
class State:
    """All that there is: what lasts, what a kill takes, and how often a step was executed."""

    drivers: tuple[Driver, ...] = tuple(Driver() for _ in DRIVERS)
    published: frozenset[str] = frozenset()
    recorded: frozenset[str] = frozenset()
    claims: tuple[tuple[str, int], ...] = ()
    executions: tuple[int, ...] = tuple(0 for _ in STEPS)
    rows: tuple[int, ...] = tuple(0 for _ in STEPS)
    """How many live results each key has."""
    kills: int = 0
    stops: int = 0
    stopped: frozenset[int] = frozenset()
    doubled: frozenset[str] = frozenset()
    """Steps whose claim was taken over from one that was stopped: both may execute them."""
    fault: str = ""
    """What must not be, if it came about."""


@dataclass(frozen=True)
class Model:
    """A protocol, and what becomes of claims, and of a second record."""

    protocol: Sequence[str] = PROTOCOL
    claims_end: bool = True
    """A claim ends with the process that holds it."""
    claims_lapse: bool = True
    """A claim ends where its process is stopped, as soon as another wants it."""
    own_alone: bool = True
    """Who lets go of a claim lets go of none that another has by now."""
    first_wins: bool = True
    """A key has one live result, however late another is told of."""

    def next(self, state: State) -> Iterator[State]:
        """Yield every state that one act, one kill, one stop or one awakening can lead to."""
        yield from self.acts(state)
        for number, driver in enumerate(state.drivers):
            if driver.step == len(STEPS):
                continue
            if state.kills < KILLS:
                yield self._killed(state, number)
            if number in state.stopped:
                yield replace(state, stopped=state.stopped - {number})
            elif state.stops < STOPS:
                stopped = state.stopped | {number}
                yield replace(state, stopped=stopped, stops=state.stops + 1)

    def acts(self, state: State) -> Iterator[State]:
        """Yield every state that one act can lead to, where nothing else happens any more."""
        for number, driver in enumerate(state.drivers):
            if driver.step < len(STEPS) and number not in state.stopped:
                yield self._acted(state, number, driver)

    def _acted(self, state: State, number: int, driver: Driver) -> State:
        step = STEPS[driver.step]
        holder = dict(state.claims).get(step)
        if self.claims_lapse and holder in state.stopped:
            holder = None
        done = Driver(step=driver.step + 1)
        last = driver.act + 1 == len(self.protocol)
        on = done if last else replace(driver, act=driver.act + 1)
        match self.protocol[driver.act]:
            case "look":
                return self._moved(state, number, done if step in state.recorded else on)
            case "claim" if holder not in (None, number):
                return self._moved(state, number, replace(driver, act=0))
            case "claim":
                return self._moved(self._claimed(state, step, number), number, on)
            case "look again" if step in state.recorded:
                return self._moved(self._let_go(state, step, number), number, Driver(driver.step))
            case "execute":
                times = list(state.executions)
                times[driver.step] += 1
                fault = f"{step} was executed though it is recorded"
                in_vain = step in state.recorded and step not in state.doubled
                fault = fault if in_vain else state.fault
                return self._moved(replace(state, executions=tuple(times), fault=fault), number, on)
            case "publish":
                return self._moved(replace(state, published=state.published | {step}), number, on)
            case "record":
                fault = "" if step in state.published else f"{step} is recorded, not published"
                rows = list(state.rows)
                rows[driver.step] += not (self.first_wins and step in state.recorded)
                told = replace(state, recorded=state.recorded | {step}, rows=tuple(rows))
                return self._moved(replace(told, fault=state.fault or fault), number, on)
            case "let go":
                return self._moved(self._let_go(state, step, number), number, on)
            case _:
                return self._moved(state, number, on)

    def _killed(self, state: State, number: int) -> State:
        kept = () if self.claims_end else ((step, -1) for step, holder in state.claims)
        claims = (*(one for one in state.claims if one[1] != number), *kept)
        stopped = state.stopped - {number}
        killed = replace(state, claims=claims, kills=state.kills + 1, stopped=stopped)
        return self._moved(killed, number, Driver())

    def _claimed(self, state: State, step: str, number: int) -> State:
        """Give a claim to a driver, taken over from one that is stopped where that has it."""
        others = [(s, holder) for s, holder in state.claims if s != step]
        taken_over = any(s == step and holder != number for s, holder in state.claims)
        doubled = state.doubled | {step} if taken_over else state.doubled
        return replace(state, claims=tuple(sorted({*others, (step, number)})), doubled=doubled)

    def _moved(self, state: State, number: int, driver: Driver) -> State:
        drivers = list(state.drivers)
        drivers[number] = driver
        return replace(state, drivers=tuple(drivers))

    def _let_go(self, state: State, step: str, number: int) -> State:
        gone = [one for one in state.claims if one[0] == step]
        if self.own_alone:
            gone = [one for one in gone if one[1] == number]
        fault = state.fault
        if any(holder != number for _, holder in gone):
            fault = f"the claim on {step} of another was let go"
        claims = tuple(one for one in state.claims if one not in gone)
        return replace(state, claims=claims, fault=fault)


def is_over(state: State) -> bool:
    """Whoever is not stopped is at his end: who is stopped keeps nobody from it."""
    every = enumerate(state.drivers)
    return all(driver.step == len(STEPS) or number in state.stopped for number, driver in every)


def explore(model: Model) -> tuple[set[State], str]:
    """Return every state that can come about, and the first thing that is wrong with one."""
    seen, left = {State()}, [State()]
    while left:
        state = left.pop()
        if said := wrong(state):
            return seen, said
        for other in model.next(state):
            if other not in seen:
                seen.add(other)
                left.append(other)
    stuck = seen - leads_to_the_end(model, seen)
    return seen, f"no act leads on from {next(iter(stuck))}" if stuck else ""


def wrong(state: State) -> str:
    if state.fault:
        return state.fault
    if max(state.rows) > 1:
        return f"a key has {max(state.rows)} live results"
    ended = any(driver.step == len(STEPS) for driver in state.drivers)
    if ended and state.recorded != set(STEPS):
        return f"a run ended without {set(STEPS) - state.recorded}"
    if any(times > 1 + state.kills + state.stops for times in state.executions):
        return f"{state.executions} executions with {state.kills} kills, {state.stops} stops"
    return ""


def leads_to_the_end(model: Model, states: set[State]) -> set[State]:
    """Return the states from which acts alone lead to where both drivers are done."""
    before: dict[State, set[State]] = {}
    for state in states:
        for other in model.acts(state):
            before.setdefault(other, set()).add(state)
    found = {state for state in states if is_over(state)}
    left = list(found)
    while left:
        for state in before.get(left.pop(), ()):
            if state not in found:
                found.add(state)
                left.append(state)
    return found


def test_in_every_order_a_result_is_made_once_and_nothing_is_stuck() -> None:
    states, said = explore(Model())
    assert said == ""
    assert len(states) > 1000
    assert any(is_over(state) and state.kills == KILLS for state in states)
    assert any(is_over(state) and state.stops == STOPS and not state.stopped for state in states)
    undisturbed = {s.executions for s in states if is_over(s) and not s.kills and not s.stops}
    assert undisturbed == {(1, 1)}


def without(act: str) -> tuple[str, ...]:
    return tuple(one for one in PROTOCOL if one != act)


def swapped(one: str, other: str) -> tuple[str, ...]:
    places = {one: other, other: one}
    return tuple(places.get(act, act) for act in PROTOCOL)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Model(without("look again")), "was executed though it is recorded"),
        (Model(without("claim")), "was executed though it is recorded"),
        (Model(swapped("publish", "record")), "is recorded, not published"),
        (Model(without("record")), "a run ended without"),
        (Model(claims_end=False), "no act leads on"),
        (Model(claims_lapse=False), "no act leads on"),
        (Model(own_alone=False), "of another was let go"),
        (Model(first_wins=False), "a key has 2 live results"),
        (Model(swapped("record", "let go")), "was executed though it is recorded"),
    ],
    ids=[
        "no second look",
        "no claim",
        "recorded first",
        "no record",
        "claims stay",
        "claims of the stopped stay",
        "let go of any",
        "each record counts",
        "let go too early",
    ],
)
def test_a_protocol_that_is_wrong_is_found_out(model: Model, said: str) -> None:
    assert said in explore(model)[1]
