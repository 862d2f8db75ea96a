"""Steps over a list that only a run knows, and steps that run on a condition."""

import pytest

from raypipe import step
from raypipe.engine.events import StepExpanded
from raypipe.engine.graph import build
from raypipe.engine.records import RunStatus
from raypipe.errors import PipelineError, StepFailed


@step
def numbers(n):
    return list(range(n))


@step
def square(number, by=1):
    return by * number * number


@step
def total(squares):
    return sum(squares)


def squares(n=3, by=1):
    return total(square.map(numbers(n), by=by))


def said(planned):
    return {name: (item.action, str(item.reason)) for name, item in planned.items()}


def actions(driven):
    return {planned.node.name: planned.action for planned in driven.planned}


def ran(world):
    return sorted(world.ran)


# --- maps -----------------------------------------------------------------------------------------


def test_each_item_of_a_list_that_a_step_gave_is_a_step_of_its_own(world):
    driven = world.run(squares)
    assert ran(world) == ["numbers", "square[0]", "square[1]", "square[2]", "total"]
    assert world.value(driven, "total") == 5
    names = [planned.node.name for planned in driven.planned]
    assert names == ["numbers", "square", "square[0]", "square[1]", "square[2]", "total"]
    assert StepExpanded(step="square", items=3) in world.events


def test_a_longer_list_runs_what_is_new_alone(world):
    world.run(squares, n=3)
    driven = world.run(squares, n=5)
    assert ran(world) == ["numbers", "square[3]", "square[4]", "total"]
    assert world.value(driven, "total") == 30


def test_an_item_is_found_by_its_content_wherever_it_stands(world):
    @step
    def turned(n):
        return list(reversed(range(n)))

    def pipeline():
        return total(square.map(turned(3)))

    world.run(squares)
    world.run(pipeline)
    assert ran(world) == ["total", "turned"]


def test_a_parameter_that_all_items_share_counts_for_each(world):
    world.run(squares)
    driven = world.run(squares, by=2)
    assert ran(world) == ["square[0]", "square[1]", "square[2]", "total"]
    assert world.value(driven, "total") == 10


def test_the_outputs_of_items_are_one_list_by_content(world):
    """What follows stays kept where the items give what a plain step gave."""

    @step
    def all_squares(n):
        return [number * number for number in range(n)]

    def plain():
        return total(all_squares(3))

    world.run(plain)
    world.run(squares)
    assert ran(world) == ["numbers", "square[0]", "square[1]", "square[2]"]


@pytest.mark.parametrize("items", [[], ()])
def test_an_empty_list_gives_an_empty_list(world, items):
    @step
    def nothing():
        return items

    def pipeline():
        return told(square.map(nothing()))

    driven = world.run(pipeline)
    assert ran(world) == ["nothing", "told"]
    assert world.value(driven, "told") == []


def test_a_list_that_is_known_and_a_list_of_outputs_do_as_well(world):
    def known():
        return total(square.map([2, 3]))

    def outputs():
        return total(square.map([total([1, 1]), 3]))

    assert world.value(world.run(known), "total") == 13
    assert world.value(world.run(outputs), "total#2") == 13
    assert ran(world) == ["total"]


def test_a_part_of_an_output_can_be_the_list(world):
    @step
    def parts():
        return {"few": [4], "many": (1, 2, 3)}

    def pipeline():
        given = parts()
        return total(square.map(given["few"])), total(square.map(given["many"]))

    driven = world.run(pipeline)
    assert (world.value(driven, "total"), world.value(driven, "total#2")) == (16, 14)


def test_one_item_of_the_outputs_can_be_given_on(world):
    def pipeline():
        return square(square.map(numbers(3))[2])

    driven = world.run(pipeline)
    assert world.value(driven, "square#2") == 16


def test_a_map_over_a_map_does_not_wait_for_all_of_it(world):
    def pipeline():
        return total(square.map(square.map(numbers(3))))

    world.runtime.pick = lambda waiting: waiting.pop()  # the newest first
    driven = world.run(pipeline)
    assert world.ran.index("square#2[2]") < world.ran.index("square[0]")
    assert world.value(driven, "total") == 17


def test_a_map_over_a_map_that_is_kept_is_kept(world):
    def pipeline():
        return total(square.map(square.map(numbers(3))))

    world.run(pipeline)
    driven = world.run(pipeline)
    assert world.ran == []
    assert set(actions(driven).values()) == {"hit"}


def test_at_once_bounds_how_many_items_are_at_work(world):
    def pipeline():
        total(square.with_options(at_once=2).map(numbers(6)))
        total(square.with_options(at_once=2).map(numbers(4), by=3))

    world.run(pipeline)
    assert world.runtime.most == 4


def test_a_runtime_is_given_no_more_than_it_has_room_for(world):
    world.runtime.room = 3
    driven = world.run(squares, n=8)
    assert world.runtime.most == 3
    assert driven.status == RunStatus.SUCCEEDED


def test_what_is_bounded_does_not_hold_up_the_rest(world):
    @step
    def other():
        return 0

    def pipeline():
        square.with_options(at_once=1).map(numbers(4))
        other()

    world.run(pipeline)
    assert world.ran.index("other") < world.ran.index("square[1]")


def test_a_batched_step_can_be_mapped_with_one_call_for_what_is_missing(world):
    @step(batch="items")
    def doubled(items, by=2):
        return [by * item for item in items]

    def pipeline(n):
        return total(doubled.map(numbers(n)))

    assert world.value(world.run(pipeline, n=3), "total") == 6
    assert ran(world) == ["doubled", "numbers", "total"]
    world.run(pipeline, n=4)
    (call,) = (call for call in world.runtime.calls[3:] if call.step == "doubled")
    assert len(call.arguments["items"]) == 1


def test_an_item_that_fails_stops_the_run_and_the_others_are_kept(world):
    @step
    def fragile(number):
        if number == 1:
            raise ValueError("one")
        return number

    def pipeline():
        return total(fragile.map(numbers(3)))

    driven = world.run(pipeline)
    assert driven.status == RunStatus.FAILED
    assert driven.failed == "fragile[1]"
    assert isinstance(driven.error, StepFailed)
    driven = world.run(pipeline)
    assert world.ran == ["fragile[1]"]


def test_forcing_a_map_forces_each_item_and_forcing_an_item_that_one(world):
    world.run(squares)
    world.run(squares, force=["square"])
    assert ran(world) == ["square[0]", "square[1]", "square[2]"]
    world.run(squares, force=["square[1]"])
    assert ran(world) == ["square[1]"]


def test_outside_a_pipeline_it_calls_the_function_for_each(world):
    assert square.map([1, 2], by=3) == [3, 12]


# --- what a plan says of maps ---------------------------------------------------------------------


def test_a_plan_says_that_a_list_is_not_known(world):
    plan = said(world.plan(squares))
    assert plan["square"] == ("open", "upstream: numbers: its list is not known")
    assert "square[0]" not in plan


def test_a_plan_says_how_many_items_are_missing_and_why_the_first_is(world):
    world.run(squares)
    assert said(world.plan(squares))["square"] == ("hit", "same: 3 items")
    world.plan(squares, by=2)
    plan = said(world.plan(squares, by=2))
    assert plan["square"][0] == "execute"
    assert plan["square"][1].startswith("parameter: square[0]: 3 of 3 items, parameter: by")
    assert plan["total"][0] == "open"


def test_a_plan_follows_a_map_over_a_map_item_by_item(world):
    def pipeline(by=1):
        return total(square.map(square.map(numbers(2)), by=by))

    world.run(pipeline)
    plan = said(world.plan(pipeline, by=5))
    assert plan["square"] == ("hit", "same: 2 items")
    assert plan["square#2[1]"][0] == "execute"


# --- what cannot be mapped ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "problem"),
    [(5, "is no list"), ("abc", "is no list"), ({"a": 1}, "is no list"), (None, "is no list")],
)
def test_what_is_no_list_is_named(world, value, problem):
    @step
    def other():
        return value

    def pipeline():
        square.map(other())

    driven = world.run(pipeline)
    assert driven.status == RunStatus.FAILED
    assert "square.map() goes over other, which is no list" in str(driven.error)


@pytest.mark.parametrize("items", [7, "abc", {"a": 1}, {1, 2}])
def test_a_known_value_that_is_no_list_is_refused_when_the_graph_is_made(items):
    with pytest.raises(PipelineError, match=r"square\.map\(\) goes over a list or tuple, not"):
        build(lambda: square.map(items), "flow", {})


def test_a_map_with_no_parameter_left_is_refused():
    with pytest.raises(PipelineError, match="no parameter left for the items"):
        build(lambda: square.map([1], number=1, by=2), "flow", {})


@pytest.mark.parametrize("at_once", [0, -1, 1.5, True])
def test_at_once_must_be_a_number_of_calls(at_once):
    with pytest.raises(PipelineError, match="at_once must be a whole number above 0"):
        square.with_options(at_once=at_once)


def test_an_option_that_there_is_not_is_refused_with_the_nearest():
    with pytest.raises(PipelineError, match="no option 'retrys'") as raised:
        square.with_options(retrys=2)
    assert raised.value.hint == "did you mean 'retries'?"


# --- conditions -----------------------------------------------------------------------------------


@step
def is_large(number, than=10):
    return number > than


@step
def alarm(number):
    return f"{number} is large"


@step
def told(text):
    return text


def guarded(n=5):
    number = square(n)
    return told(alarm.with_options(when=is_large(number))(number))


def test_a_step_runs_where_its_condition_is_true(world):
    driven = world.run(guarded)
    assert "alarm" in world.ran
    assert world.value(driven, "told") == "25 is large"


def test_a_step_whose_condition_is_false_is_skipped_and_gives_none(world):
    driven = world.run(guarded, n=2)
    assert "alarm" not in world.ran
    (alarmed,) = (one for one in driven.planned if one.node.name == "alarm")
    assert (alarmed.action, str(alarmed.reason)) == ("hit", "skipped: its `when` is False")
    assert world.value(driven, "told") is None
    assert driven.status == RunStatus.SUCCEEDED


def test_the_condition_is_no_part_of_the_key(world):
    def always(n=5):
        number = square(n)
        return told(alarm(number))

    world.run(always)
    world.run(guarded)
    assert ran(world) == ["is_large"]


def test_a_plan_leaves_open_what_waits_for_its_condition(world):
    world.run(guarded)
    world.code["test_map:is_large"] = "changed"
    plan = said(world.plan(guarded))
    assert plan["alarm"][0] == "open"
    assert plan["alarm"][1].startswith("upstream: is_large")


def test_a_map_can_be_conditional_as_a_whole(world):
    @step
    def yes(n):
        return n > 2

    def pipeline(n):
        return told(square.with_options(when=yes(n)).map(numbers(n)))

    assert world.value(world.run(pipeline, n=3), "told") == [0, 1, 4]
    driven = world.run(pipeline, n=2)
    assert world.value(driven, "told") is None
    assert not any(name.startswith("square") for name in world.ran)


def test_a_map_over_a_map_that_is_skipped_is_named(world):
    def pipeline():
        return square.map(square.with_options(when=False).map(numbers(2)))

    driven = world.run(pipeline)
    assert "square#2.map() goes over square, which is no list" in str(driven.error)


def test_a_batched_step_is_skipped_item_by_item(world):
    @step(batch="items")
    def doubled(items):
        return [2 * item for item in items]

    def pipeline():
        return told(doubled.with_options(when=False)([1, 2]))

    assert world.value(world.run(pipeline), "told") == [None, None]
    assert world.ran == ["told"]


def test_a_condition_that_is_no_bool_is_named(world):
    def pipeline():
        return alarm.with_options(when=square(2))(1)

    driven = world.run(pipeline)
    assert "`when` of step 'alarm' is given square, which is no bool" in str(driven.error)


def test_a_constant_that_is_no_bool_is_refused_when_the_graph_is_made():
    with pytest.raises(PipelineError, match="when is 3; it must be True, False, or what a step"):
        build(lambda: alarm.with_options(when=3)(1), "flow", {})
