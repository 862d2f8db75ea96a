"""Which node comes next: what it is given is known, and there is room."""

import pytest

from raypipe import step
from raypipe.engine.graph import build
from raypipe.engine.schedule import Schedule


@step
def load(n):
    return n


@step
def use(given, other=None):
    return given


MANY = 1_000


def scheduled(pipeline):
    schedule = Schedule()
    for node in build(pipeline, "flow", {}).nodes.values():
        schedule.add(node)
    return schedule


def ready(schedule, room=MANY):
    """Return the names of all that can be decided now."""
    found = []
    while (node := schedule.next(room)) is not None:
        found.append(node.name)
    return found


def test_a_node_comes_once_all_that_it_is_given_is_known():
    schedule = scheduled(lambda: use(load(1), use(load(2))))
    assert ready(schedule) == ["load", "load#2"]
    schedule.known("load")
    assert ready(schedule) == []
    schedule.known("load#2")
    assert ready(schedule) == ["use"]
    schedule.known("use")
    assert ready(schedule) == ["use#2"]


def test_what_is_given_twice_is_waited_for_once():
    def pipeline():
        given = load(1)
        use(given, given)

    schedule = scheduled(pipeline)
    schedule.known("load")
    assert ready(schedule) == ["load", "use"]


def test_a_condition_is_waited_for():
    schedule = scheduled(lambda: use.with_options(when=load(True))(1))
    assert ready(schedule) == ["load"]
    schedule.known("load")
    assert ready(schedule) == ["use"]


def test_without_room_nodes_wait_in_their_order():
    schedule = scheduled(lambda: [load(n) for n in range(3)] and None)
    first = schedule.next(1)
    schedule.begun(first)
    assert ready(schedule, room=1) == []
    schedule.ended(first)
    assert [node.name for node in [schedule.next(1)]] == ["load#2"]


def test_what_needs_no_call_does_not_wait_for_room():
    def pipeline():
        load(1)
        use.map([1, 2])

    schedule = scheduled(pipeline)
    schedule.begun(schedule.nodes["load"])
    assert ready(schedule, room=1) == ["use"]


@pytest.mark.parametrize("limit", [1, 2])
def test_at_once_bounds_the_calls_of_one_step_and_no_others(limit):
    def pipeline():
        for n in range(4):
            load.with_options(at_once=limit)(n)
        use(1)

    schedule = scheduled(pipeline)
    begun = []
    while (node := schedule.next(MANY)) is not None:
        begun.append(node.name)
        schedule.begun(node)
    assert begun == [*["load", "load#2"][:limit], "use"]
    schedule.ended(schedule.nodes["load"])
    assert ready(schedule)[0] == f"load#{limit + 1}"


def test_a_map_is_decided_again_when_its_items_are_known():
    schedule = scheduled(lambda: use.map([1, 2]))
    node = schedule.next(MANY)
    items = [schedule.nodes["use"].__class__(name=f"use[{n}]", kind="step", arguments={}, step=use)
             for n in range(2)]  # fmt: skip
    schedule.expand(node, items)
    assert schedule.expanded(node)
    assert ready(schedule) == ["use[0]", "use[1]"]
    schedule.known("use[0]")
    assert ready(schedule) == []
    schedule.known("use[1]")
    assert ready(schedule) == ["use"]


def test_a_map_over_a_map_waits_for_its_items_alone():
    schedule = scheduled(lambda: use.map(load.map([1, 2])))
    assert ready(schedule) == ["load"]
    schedule.expand(schedule.nodes["load"], [])
    assert ready(schedule) == ["use"]


def test_a_map_over_a_map_that_is_skipped_comes_all_the_same():
    schedule = scheduled(lambda: use.map(load.with_options(when=False).map([1, 2])))
    assert ready(schedule) == ["load"]
    schedule.known("load")
    assert ready(schedule) == ["use"]


def test_a_node_can_come_again():
    schedule = scheduled(lambda: load(1))
    assert ready(schedule) == ["load"]
    schedule.again(["load"])
    assert ready(schedule) == ["load"]
