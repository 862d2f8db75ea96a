"""A finding is recalled as long as what it was told by stands, and never after."""

import json

import pytest

from raypipe.engine.fingerprint.notes import Notes
from raypipe.errors import PipelineError


class World:
    """What each name stands for."""

    def __init__(self, **states: str) -> None:
        self.states = states

    def __call__(self, name: str) -> str:
        if name not in self.states:
            raise PipelineError(name)
        return self.states[name]


def later(notes: Notes, world: World) -> Notes:
    return Notes(json.loads(json.dumps(notes.to_json())), world)


def test_a_finding_is_recalled_while_its_states_hold() -> None:
    world = World(a="1", b="1", c="1")
    notes = Notes(None, world)
    notes.note("ab", [1], ["a", "b"])
    notes.note("c", [2], ["c"])
    assert (notes.recall("ab"), notes.recall("c"), notes.recall("d")) == ([1], [2], None)

    moved = later(notes, World(a="1", b="2", c="1"))
    assert (moved.recall("ab"), moved.recall("c")) == (None, [2])


def test_what_cannot_be_told_holds_for_nothing() -> None:
    notes = Notes(None, World())
    notes.note("a", 1, ["a"])
    assert notes.recall("a") is None
    assert later(notes, World()).recall("a") is None
    assert later(notes, World(a="1")).recall("a") is None


def test_what_no_longer_holds_is_thrown_away() -> None:
    notes = Notes(None, World(a="1", b="1"))
    for name in "ab":
        notes.note(name, name, [name])
    kept = later(notes, World(a="1", b="2")).to_json()
    assert kept["findings"].keys() == {"a"}
    assert kept["states"] == [("a", "1")]
    assert Notes(kept, World(a="1")).recall("a") == "a"


@pytest.mark.parametrize("places", [(0,), (1, 3), (0, 1, 2, 3, 4), (4,)])
def test_findings_keep_their_own_states_when_others_are_thrown_away(places) -> None:
    world = World(**{f"s{n}": "1" for n in range(5)})
    notes = Notes(None, world)
    for place in range(5):
        notes.note(f"f{place}", place, [f"s{place}"])
    notes.note("all", 9, [f"s{place}" for place in places])
    moved = {f"s{n}": "1" if n in places else "2" for n in range(5)}
    again = later(later(notes, World(**moved)), World(**moved))
    assert again.recall("all") == 9
    for place in places:
        assert again.recall(f"f{place}") == place
        others = later(again, World(**{**moved, f"s{place}": "3"}))
        assert others.recall("all") is None


def test_states_that_follow_from_others_are_asked_for_when_those_are_known() -> None:
    asked: list[str] = []

    def state(name: str) -> str:
        asked.append(name)
        return "1"

    notes = Notes(None, state)
    notes.note("x", 1, ["effects a", "imports a", "a"])
    asked.clear()
    assert Notes(notes.to_json(), state).recall("x") == 1
    assert sorted(asked, key=["a", "imports a", "effects a"].index) == asked
