"""How long a run takes is said from how long the same steps took before."""

import pytest

from raypipe import step
from raypipe.engine.estimate import estimate
from raypipe.engine.plan import Planned
from raypipe.engine.records import Result


@pytest.fixture
def flow():
    @step
    def load(n):
        return [n]

    @step
    def left(rows):
        return rows

    @step
    def right(rows):
        return rows

    @step
    def join(a, b):
        return a + b

    def pipeline(n=1):
        rows = load(n)
        return join(left(rows), right(rows))

    return pipeline


TOOK = {"load": [2.0], "left": [10.0, 1.0, 3.0], "right": [4.0], "join": [1.0]}


def of(world, pipeline, *, took=TOOK, parallel=False, **given):
    planned: tuple[Planned, ...] = world.planner(pipeline, **given).plan()
    return estimate(planned, lambda name: took.get(name, []), parallel=parallel)


def test_inline_the_steps_add_up_and_what_is_open_may_be_executed(world, flow):
    assert of(world, flow).seconds == 2.0 + 3.0 + 4.0 + 1.0
    world.run(flow)
    found = of(world, flow, force=["load"])
    assert (found.seconds, found.most) == (2.0, 2.0 + 3.0 + 4.0 + 1.0)
    assert found.steps["left"] == 3.0  # the median
    assert found.unknown == ()


def test_side_by_side_the_longest_way_counts(world, flow):
    assert of(world, flow, parallel=True).most == 2.0 + 4.0 + 1.0


def test_what_is_kept_takes_no_time(world, flow):
    world.run(flow)
    found = of(world, flow)
    assert (found.seconds, found.most, found.steps) == (0.0, 0.0, {})


def test_steps_that_were_never_executed_are_named(world, flow):
    found = of(world, flow, took={"load": [1.0]})
    assert found.unknown == ("left", "right", "join")
    assert found.most == 1.0


def test_an_item_that_is_new_takes_as_long_as_its_fellows_and_a_batch_is_one_call(world):
    @step(batch="items")
    def each(items):
        return items

    @step
    def after(parts):
        return parts

    def pipeline():
        return after(each([1, 2, 3]))

    took = {"each[0]": [2.0], "each[1]": [4.0], "after": [1.0]}
    found = of(world, pipeline, took=took, parallel=True)
    assert found.steps["each[2]"] == 3.0
    assert found.most == 2.0 + 4.0 + 3.0 + 1.0


@pytest.mark.parametrize(("at_once", "seconds"), [(None, 5.0), (1, 13.0), (2, 8.0), (9, 5.0)])
def test_no_more_than_at_once_go_on_beside_one_another(world, at_once, seconds):
    @step
    def items():
        return [1, 2, 3, 4]

    @step(at_once=at_once)
    def each(item):
        return item

    @step
    def after(parts):
        return parts

    def pipeline():
        return after(each.map(items()))

    took = {"each[0]": [2.0], "each[1]": [3.0], "each[2]": [3.0], "each[3]": [4.0]}
    world.run(pipeline)
    forced = [*took, "after"]
    found = of(world, pipeline, took={**took, "after": [1.0]}, parallel=True, force=forced)
    assert found.most == seconds


def test_the_ledger_gives_the_last_seconds_of_a_step(world, flow):
    world.run(flow, n=1)
    world.run(flow, n=2)
    assert world.ledger.step_seconds("mine", "flow", "load") == (1.0, 1.0)
    assert world.ledger.step_seconds("mine", "flow", "load", limit=1) == (1.0,)
    assert world.ledger.step_seconds("mine", "another", "load") == ()
    kept = world.plan(flow, n=2)["load"].result
    assert isinstance(kept, Result)
    assert world.ledger.result_of(kept.key) == kept
