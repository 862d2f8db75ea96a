"""One run, from its graph to where it rests: what runs, in which order, and what is recorded."""

from collections import deque
from dataclasses import replace

import pytest

from raypipe import review, step
from raypipe.engine.context import StepContext, append_event
from raypipe.engine.events import (
    MetricLogged,
    StepEnded,
    StepProgress,
    StepRetried,
    StepStarted,
    Warned,
)
from raypipe.engine.graph import lookup
from raypipe.engine.ports import CallOutcome
from raypipe.engine.records import Actor, Fingerprint, RunStatus
from raypipe.errors import PipelineError, Rejected, StepFailed, StoreError

BOB = Actor(user="bob", host="tower")


@pytest.fixture
def flow():
    """`load` → `double` → `total`, beside which `note` stands alone."""

    @step
    def load(n):
        return [n, n + 1]

    @step
    def double(numbers):
        return [2 * n for n in numbers]

    @step
    def total(numbers, by=1):
        return by * sum(numbers)

    @step
    def note(text):
        return text

    def pipeline(n=1, by=1, text="a"):
        total(double(load(n)), by=by)
        note(text)

    return pipeline


@pytest.fixture
def other(world):
    """Another process on the same ledger and artifacts."""
    other = type(world)(world.folder)
    other.artifacts = world.artifacts
    other.runs = ["not this one"] * 50  # so that its runs have names of their own
    yield other
    other.ledger.close()


def failing(times):
    """Return a step `flaky` that fails so often, then gives how often it was called."""
    calls = []

    @step
    def flaky(given=0):
        calls.append(given)
        if len(calls) <= times:
            raise ValueError(f"no {len(calls)}")
        return len(calls)

    return flaky


def actions(driven):
    return {planned.node.name: planned.action for planned in driven.planned}


def reasons(driven):
    return {planned.node.name: str(planned.reason) for planned in driven.planned}


def planned(driven, name):
    (found,) = (item for item in driven.planned if item.node.name == name)
    return found


def ended(world, failed=False):
    """Names of the steps whose end was told."""
    told = [event for event in world.events if isinstance(event, StepEnded)]
    return [event.state.name for event in told if event.failed == failed]


# --- order and results --------------------------------------------------------------------------


def test_each_step_is_given_what_its_upstream_gave(world, flow):
    driven = world.run(flow, n=3, by=10)
    assert driven.status == RunStatus.SUCCEEDED
    assert world.value(driven, "load") == [3, 4]
    assert world.value(driven, "double") == [6, 8]
    assert world.value(driven, "total") == 140
    assert (driven.error, driven.failed, driven.reviews) == (None, None, ())


@pytest.mark.parametrize("pick", [deque.popleft, deque.pop])
def test_a_step_runs_once_all_that_it_needs_is_there_whichever_ends_first(world, pick):
    @step
    def part(n):
        return n

    @step
    def both(parts, named):
        return [parts, named]

    def pipeline():
        one, two, three = part(1), part(2), part(3)
        both([one, two], {"c": three, "d": part(one)})

    world.runtime.pick = pick
    driven = world.run(pipeline)
    assert world.value(driven, "both") == [[1, 2], {"c": 3, "d": 1}]
    assert world.ran[-1] == "both"
    assert sorted(world.ran[:-1]) == ["part", "part#2", "part#3"]
    assert actions(driven) == dict.fromkeys(actions(driven), "execute") | {"part#4": "hit"}


def test_steps_that_need_nothing_of_one_another_are_handed_over_at_once(world, flow):
    handed = []
    world.runtime.pick = lambda waiting: handed.append(len(waiting)) or waiting.popleft()
    world.run(flow)
    assert handed == [2, 2, 1, 1]


def test_the_planned_steps_are_in_the_order_of_the_pipeline(world, flow):
    world.runtime.pick = deque.pop
    driven = world.run(flow)
    assert [item.node.name for item in driven.planned] == ["load", "double", "total", "note"]


def test_an_empty_pipeline_succeeds(world):
    driven = world.run(lambda: None)
    assert (driven.status, driven.planned) == (RunStatus.SUCCEEDED, ())


def test_a_part_of_an_output_is_handed_over_by_itself(world):
    @step
    def load():
        return {"rows": [5, 7], "name": "x"}

    @step
    def show(row):
        return row

    def pipeline():
        loaded = load()
        show(loaded.rows[1])
        show(loaded["name"])

    driven = world.run(pipeline)
    assert world.value(driven, "show") == 7
    assert world.value(driven, "show#2") == "x"


def test_a_step_that_a_step_calls_is_a_plain_function(world):
    @step
    def inner(n):
        return n + 1

    @step
    def outer(n):
        return inner(n)

    driven = world.run(lambda: outer(1))
    assert world.value(driven, "outer") == 2
    assert world.ran == ["outer"]


# --- what is kept -------------------------------------------------------------------------------


def test_what_is_kept_is_not_run_again(world, flow):
    first = world.run(flow)
    again = world.run(flow)
    assert world.ran == []
    assert set(actions(again).values()) == {"hit"}
    assert [item.digest for item in again.planned] == [item.digest for item in first.planned]
    assert world.attempts() == []


def test_only_what_a_change_reaches_runs_again(world, flow):
    world.run(flow)
    driven = world.run(flow, by=2)
    assert world.ran == ["total"]
    assert reasons(driven)["total"] == "parameter: by: 1 → 2"


def test_changed_code_whose_output_is_the_same_stops_at_its_own_step(world, flow):
    world.run(flow)
    world.code["load"] = "another text"
    driven = world.run(flow)
    assert world.ran == ["load"]
    assert actions(driven)["double"] == "hit"


def test_a_result_of_an_earlier_setting_is_found_again(world, flow):
    world.run(flow, n=1)
    world.run(flow, n=2)
    world.run(flow, n=1)
    assert world.ran == []


def test_another_pipeline_finds_the_same_step_of_the_same_arguments(world, flow):
    world.run(flow)
    again = world.drive(flow)
    again.planner.graph = replace(again.planner.graph, pipeline="another")
    world.ran.clear()
    again.go()
    assert world.ran == []


def test_two_calls_that_make_the_same_run_once(world):
    @step
    def load(n):
        return n

    def pipeline():
        load(1)
        load(1)

    driven = world.run(pipeline)
    assert world.ran == ["load"]
    assert actions(driven) == {"load": "execute", "load#2": "hit"}
    assert len({item.digest for item in driven.planned}) == 1


def test_a_forced_step_runs_and_what_it_gives_alike_is_used_as_before(world, flow):
    world.run(flow)
    driven = world.run(flow, force=["double"])
    assert world.ran == ["double"]
    assert reasons(driven)["double"] == "forced: double"
    assert actions(driven)["total"] == "hit"


def test_a_forced_result_takes_the_place_of_the_kept_one(world):
    flaky = failing(0)
    world.run(flaky)
    driven = world.run(flaky, force=["flaky"])
    assert world.value(driven, "flaky") == 2
    assert world.value(world.run(flaky), "flaky") == 2
    assert world.ran == []


def test_a_step_without_cache_runs_in_every_run(world):
    @step(cache=False)
    def clock():
        return 7

    @step
    def show(n):
        return n

    world.run(lambda: show(clock()))
    driven = world.run(lambda: show(clock()))
    assert world.ran == ["clock"]
    assert actions(driven) == {"clock": "execute", "show": "hit"}


def test_a_step_without_cache_replaces_what_it_gave(world):
    calls = []

    @step(cache=False)
    def clock():
        calls.append(1)
        return len(calls)

    world.run(clock)
    driven = world.run(clock)
    assert world.value(driven, "clock") == 2
    assert world.plan(clock)["clock"].result.root == planned(driven, "clock").digest


def test_an_expired_result_is_made_anew_and_kept_from_then_on(world):
    @step(expires=60)
    def fetch():
        return 7

    world.run(fetch)
    world.time += 50
    world.run(fetch)
    assert world.ran == []
    world.time += 10
    driven = world.run(fetch)
    assert world.ran == ["fetch"]
    assert reasons(driven)["fetch"] == "expired: after 60 s"
    world.time += 50
    world.run(fetch)
    assert world.ran == []


@pytest.mark.parametrize("before", [None, 1000])
def test_what_is_kept_obeys_a_shorter_time_that_its_step_is_given_later(world, before):
    @step(expires=before)
    def fetch():
        return 7

    world.run(fetch)
    world.time += 50
    shorter = fetch.with_options(expires=40)
    driven = world.run(shorter)
    assert world.ran == ["fetch"]
    assert reasons(driven)["fetch"] == "expired: after 40 s"
    assert actions(world.run(shorter)) == {"fetch": "hit"}
    assert actions(world.run(fetch)) == {"fetch": "hit"}


def test_a_torn_artifact_is_made_anew_and_what_follows_is_kept(world, flow):
    first = world.run(flow)
    del world.artifacts.kept[planned(first, "double").digest]
    driven = world.run(flow)
    assert world.ran == ["double"]
    assert reasons(driven)["double"] == "lost artifact: gone or torn"
    assert planned(driven, "double").digest == planned(first, "double").digest
    assert set(actions(world.run(flow)).values()) == {"hit"}


def test_a_torn_artifact_that_comes_out_otherwise_is_followed_by_its_like(world):
    flaky = failing(0)

    @step
    def show(n):
        return n

    def pipeline():
        show(flaky())

    first = world.run(pipeline)
    world.artifacts.kept.clear()
    driven = world.run(pipeline)
    assert world.ran == ["flaky", "show"]
    assert world.value(driven, "show") == 2
    assert planned(driven, "flaky").digest != planned(first, "flaky").digest


def test_large_literals_are_published_before_the_step_runs(world):
    large = b"x" * 1_000_000

    @step
    def size(data, parts):
        return [len(data), len(parts["a"])]

    @step
    def load():
        return 1

    driven = world.run(lambda: size(large, {"a": large[1:], "b": load()}))
    assert world.value(driven, "size") == [1_000_000, 999_999]


# --- failures -----------------------------------------------------------------------------------


def test_a_failure_stops_what_depends_on_it_and_names_the_step(world):
    flaky = failing(9)

    @step
    def after(given):
        return given

    driven = world.run(lambda: after(after(flaky())))
    assert driven.status == RunStatus.FAILED
    assert driven.failed == "flaky"
    assert isinstance(driven.error, StepFailed)
    assert str(driven.error) == "no 1"
    assert actions(driven) == {"flaky": "execute", "after": "open", "after#2": "open"}
    assert reasons(driven)["after"].startswith("upstream: flaky")
    assert world.ran == ["flaky"]


def test_after_a_failure_what_is_under_way_ends_and_is_kept_and_nothing_is_begun(world, flow):
    flaky = failing(9)

    def pipeline():
        flaky()
        flow()

    driven = world.run(pipeline)
    assert driven.failed == "flaky"
    assert world.ran == ["flaky", "load", "note"]
    assert world.attempts() == [("flaky", "failed"), ("load", "succeeded"), ("note", "succeeded")]
    assert actions(driven)["double"] == "execute"
    world.run(flow)
    assert world.ran == ["double", "total"]


def test_a_run_goes_on_where_the_one_that_failed_stopped(world, flow):
    flaky = failing(1)

    def pipeline():
        flow()
        flaky()

    assert world.run(pipeline).status == RunStatus.FAILED
    driven = world.run(pipeline)
    assert driven.status == RunStatus.SUCCEEDED
    assert world.ran == ["flaky", "total"]


def test_of_several_failures_the_first_is_told(world):
    @step
    def one():
        raise ValueError("first")

    @step
    def two():
        raise ValueError("second")

    def pipeline():
        two()
        one()

    world.runtime.pick = deque.pop
    driven = world.run(pipeline)
    assert (driven.failed, str(driven.error)) == ("one", "first")
    assert world.attempts() == [("two", "failed"), ("one", "failed")]
    assert ended(world, failed=True) == ["one", "two"]


def test_the_error_names_the_step_as_it_is_called_in_the_run(world):
    @step
    def load(n):
        if n > 1:
            raise ValueError("too many")
        return n

    def pipeline():
        load(1)
        load(2)

    driven = world.run(pipeline)
    assert driven.failed == "load#2"
    assert driven.error.step == "load#2"


def test_a_failed_step_keeps_its_folder_until_it_succeeds(world):
    flaky = failing(1)
    world.run(flaky)
    (call,) = world.runtime.calls
    (call.scratch / "half").write_text("done")
    assert call.scratch.is_dir()
    world.run(flaky)
    assert world.runtime.calls[-1].scratch == call.scratch
    assert not call.scratch.exists()


def test_attempts_under_way_are_cancelled_when_the_run_is_interrupted(world):
    @step
    def stops():
        raise KeyboardInterrupt

    @step
    def waits():
        return 1

    def pipeline():
        stops()
        waits()

    with pytest.raises(KeyboardInterrupt):
        world.drive(pipeline).go()
    assert world.attempts() == [("stops", "cancelled"), ("waits", "cancelled")]
    assert world.held == set()


# --- attempts -----------------------------------------------------------------------------------


def retrying(times, **options):
    """Return a step `flaky` that may be tried again, and fails so often."""
    calls = []

    @step(**options)
    def flaky():
        calls.append(1)
        if len(calls) <= times:
            raise ValueError(f"no {len(calls)}")
        return len(calls)

    return flaky


def test_each_retry_is_an_attempt_of_its_own_and_told(world):
    assert world.run(retrying(2, retries=2)).status == RunStatus.SUCCEEDED
    rows = world.ledger.executions(world.runs[-1])
    assert [(row.attempt, row.status) for row in rows] == [
        (1, "failed"),
        (2, "failed"),
        (3, "succeeded"),
    ]
    assert [row.error and row.error["message"] for row in rows] == ["no 1", "no 2", None]
    told = [event for event in world.events if isinstance(event, StepRetried)]
    assert [(one.step, one.cause, one.why, one.left) for one in told] == [
        ("flaky", "raised", "no 1", 1),
        ("flaky", "raised", "no 2", 0),
    ]


def test_a_step_whose_attempts_are_used_up_has_failed_with_the_last_error(world):
    driven = world.run(retrying(9, retries=1))
    assert driven.status == RunStatus.FAILED
    assert str(driven.error) == "no 2"
    assert world.attempts() == [("flaky", "failed"), ("flaky", "failed")]


def test_retries_of_an_earlier_run_are_not_counted_again(world):
    flaky = retrying(3, retries=1)
    assert world.run(flaky).status == RunStatus.FAILED
    assert world.run(flaky).status == RunStatus.SUCCEEDED
    assert world.attempts() == [("flaky", "failed"), ("flaky", "succeeded")]


def test_a_pause_between_attempts_holds_nothing_else_up(world):
    @step
    def quick():
        return 1

    flaky = retrying(1, retries=1)

    def pipeline():
        flaky()
        quick()

    def later():
        world.time += 0.05

    world.while_pausing = later
    drive = world.drive(pipeline)
    drive.chance = lambda: 1.0
    assert drive.go().status == RunStatus.SUCCEEDED
    assert world.ran[-3:] == ["flaky", "quick", "flaky"]
    assert len(world.pauses) >= 9  # half a second


def test_what_rests_takes_no_room(world):
    """With room for one call, as inline, another step runs in the pause."""
    flaky = retrying(1, retries=1)
    world.runtime.room = 1

    @step
    def other(n):
        return n

    def pipeline():
        flaky()
        other(1)

    def later():
        world.time += 0.05

    world.while_pausing = later
    drive = world.drive(pipeline)
    drive.chance = lambda: 1.0
    assert drive.go().status == RunStatus.SUCCEEDED
    assert world.ran == ["flaky", "other", "flaky"]


def test_what_rests_when_the_run_fails_is_not_tried_again(world):
    bad = failing(9)
    flaky = retrying(9, retries=5)

    def pipeline():
        flaky()
        bad()

    drive = world.drive(pipeline)
    drive.chance = lambda: 1.0
    driven = drive.go()
    assert (driven.status, driven.failed) == (RunStatus.FAILED, "flaky#2")
    assert world.attempts() == [("flaky", "failed"), ("flaky#2", "failed")]
    assert world.held == set()


def test_a_run_that_is_stopped_ends_its_attempts_and_lets_go(world, flow):
    stopped = []

    def stop_after_the_first():
        stopped.extend(event for event in world.events if isinstance(event, StepEnded))
        return bool(stopped)

    drive = world.drive(flow)
    drive.stopped = stop_after_the_first
    with pytest.raises(KeyboardInterrupt):
        drive.go()
    assert world.attempts() == [("load", "succeeded"), ("note", "cancelled")]
    assert world.held == set()


def test_a_step_that_cannot_be_ended_is_recorded_before_its_process_ends(world):
    @step
    def stuck():
        world.running.give_up(StepFailed("it does not heed its timeout"))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        world.drive(stuck).go()
    assert world.attempts() == [("stuck", "failed")]
    status, error = world.ledger.standing(world.runs[-1])
    assert (status, error["message"]) == (RunStatus.FAILED, "it does not heed its timeout")


def test_a_failed_attempt_is_kept_with_its_error_reason_and_host(world):
    driven = world.run(failing(9))
    (row,) = world.ledger.executions(world.runs[-1])
    assert row.error == {"kind": "StepFailed", "message": "no 1"}
    assert (row.step, row.attempt, row.host) == ("flaky", 1, "laptop")
    assert row.reason == "new"
    assert row.key == planned(driven, "flaky").key


# --- what is recorded ---------------------------------------------------------------------------


def test_a_result_is_recorded_with_its_explanation_and_its_code(world, flow):
    driven = world.run(flow, n=3)
    item = planned(driven, "double")
    result = world.ledger.live_results([item.key], world.time)[item.key]
    assert (result.step, result.run, result.root) == ("double", world.runs[0], item.digest)
    assert (result.seconds, result.created, result.expires) == (1.0, world.time, None)
    assert [artifact.digest for artifact in result.artifacts] == [item.digest]
    assert result.explanation == item.explanation
    assert result.explanation.inputs == {"numbers": planned(driven, "load").digest}
    assert world.ledger.fingerprint(result.explanation.fingerprint) == item.fingerprint


def test_the_first_of_two_results_of_a_key_stays(world, other):
    flaky = failing(0)

    @step
    def show(n):
        return n

    def slow(given):
        other.run(flaky)
        return flaky()

    drive = world.drive(lambda: show(flaky()))
    submit = world.runtime.submit

    def submit_slowly(call):
        submit(replace(call, function=slow) if call.step == "flaky" else call)

    world.runtime.submit = submit_slowly
    driven = drive.go()
    assert world.value(driven, "flaky") == 1
    assert world.value(driven, "show") == 1
    assert planned(driven, "flaky").result.run == other.runs[-1]


def test_metrics_and_progress_are_told_and_metrics_are_kept(world):
    @step
    def train():
        events = world.running.events
        append_event(events, {"event": "progress", "done": 1, "total": 2, "what": "epochs"})
        for at, loss in enumerate((0.5, 0.25)):
            append_event(
                events, {"event": "metric", "name": "loss", "value": loss, "step": at, "time": 7.0}
            )
        return 1

    world.run(train)
    told = [event for event in world.events if isinstance(event, StepProgress | MetricLogged)]
    assert told == [
        StepProgress(step="train", done=1, total=2, what="epochs"),
        MetricLogged(step="train", name="loss", value=0.5, at=0),
        MetricLogged(step="train", name="loss", value=0.25, at=1),
    ]
    kept = world.ledger.metrics(world.runs[-1], "train")
    assert [(metric.name, metric.step, metric.value) for metric in kept] == [
        ("loss", 0, 0.5),
        ("loss", 1, 0.25),
    ]


def test_a_step_that_says_what_the_engine_does_not_know_is_passed_over(world):
    @step
    def talks():
        append_event(world.running.events, {"event": "sings"})
        with world.running.events.open("a") as file:
            file.write('{"event": "prog')
        return 1

    assert world.run(talks).status == RunStatus.SUCCEEDED


def test_events_tell_the_run_from_its_start_to_its_end(world, flow):
    world.run(flow)
    world.run(flow, n=1, by=2)
    assert [event.to_json() for event in world.events if not isinstance(event, StepEnded)] == [
        {
            "event": "run_started",
            "run": world.runs[-1],
            "pipeline": "flow",
            "steps": ("load", "double", "total", "note"),
        },
        {
            "event": "step_started",
            "step": "total",
            "reason": "parameter: by: 1 → 2",
            "where": "inline",
        },
        {"event": "run_ended", "run": world.runs[-1], "status": "succeeded"},
    ]
    assert ended(world) == ["load", "note", "double", "total"]
    states = {e.state.name: e.state for e in world.events if isinstance(e, StepEnded)}
    assert (states["total"].action, states["total"].seconds) == ("execute", 1.0)
    assert states["total"].digest is not None


# --- options ------------------------------------------------------------------------------------


def test_a_driver_step_runs_in_the_drivers_process(world):
    @step(driver=True)
    def light():
        return 1

    @step
    def heavy(n):
        return n

    world.run(lambda: heavy(light()))
    assert [call.step for call in world.driver.calls] == ["light"]
    assert [call.step for call in world.runtime.calls] == ["heavy"]
    started = [event for event in world.events if isinstance(event, StepStarted)]
    assert [(event.step, event.where) for event in started] == [
        ("light", "driver"),
        ("heavy", "inline"),
    ]


def test_a_call_carries_the_options_of_its_step(world):
    @step(num_cpus=2, num_gpus=1, memory=1e9, resources={"tpu": 3}, timeout=5)
    def heavy():
        return 1

    @step
    def light():
        return 1

    def pipeline():
        heavy()
        light()

    driven = world.run(pipeline)
    call, plain = world.runtime.calls
    assert call.resources == {"num_cpus": 2, "num_gpus": 1, "memory": 1e9, "tpu": 3}
    assert call.timeout == 5
    assert call.target == heavy.target
    assert call.id == planned(driven, "heavy").key
    assert plain.resources == {"num_cpus": 1, "num_gpus": 0}
    assert (plain.timeout, plain.batch) == (None, None)


def test_what_is_uncounted_is_handed_over_and_does_not_count(world):
    @step
    def load(n):
        return n

    @step(uncounted=("hint", "note"))
    def show(value, hint, note):
        return [value, hint, note]

    def pipeline(n, note):
        show(1, load(n), note)

    first = world.run(pipeline, n=5, note="a")
    assert world.value(first, "show") == [1, 5, "a"]
    driven = world.run(pipeline, n=6, note="b")
    assert world.ran == ["load"]
    assert world.value(driven, "show") == [1, 5, "a"]


def test_what_is_uncounted_is_recorded_for_lineage(world):
    @step
    def load(n):
        return [n, {"part": n + 1}]

    @step(uncounted=("hint", "more", "note"))
    def show(value, hint, more, note):
        return value

    def pipeline(n):
        loaded = load(n)
        show(1, loaded[0], {"of": [loaded[1]["part"]]}, "a note")

    def aside(driven):
        made = next(one for one in driven.planned if one.node.name == "show").result
        return world.ledger.result_of(made.key).explanation.aside

    def digest(value):
        return world.codec.encode(value).digest

    first = world.run(pipeline, n=5)
    assert aside(first) == {"hint": digest(5), "more.of[0]": digest(6)}
    kept = world.run(pipeline, n=7)
    assert aside(kept) == aside(first)  # what it was made of, not what it would be given now


# --- batches ------------------------------------------------------------------------------------


@pytest.fixture
def squares():
    """`square` over a list, which `total` sums."""

    @step(batch="numbers")
    def square(numbers, plus=0):
        return [n * n + plus for n in numbers]

    @step
    def total(squares):
        return sum(squares)

    return lambda numbers, plus=0: total(square(numbers, plus))


def test_a_batch_is_one_call_that_keeps_each_item_by_itself(world, squares):
    driven = world.run(squares, numbers=[1, 2, 3])
    assert world.ran == ["square", "total"]
    assert [world.value(driven, f"square[{n}]") for n in range(3)] == [1, 4, 9]
    assert world.value(driven, "total") == 14
    assert [planned(driven, f"square[{n}]").seconds for n in range(3)] == [1 / 3] * 3
    assert world.attempts()[:3] == [(f"square[{n}]", "succeeded") for n in range(3)]


def test_a_batch_calls_for_what_is_missing_alone(world, squares):
    world.run(squares, numbers=[1, 2, 3])
    driven = world.run(squares, numbers=[5, 2, 3, 4])
    assert world.ran == ["square", "total"]
    assert len(world.runtime.calls[-2].arguments["numbers"]) == 2
    assert [world.value(driven, f"square[{n}]") for n in range(4)] == [25, 4, 9, 16]
    assert [item.action for item in driven.planned[:4]] == ["execute", "hit", "hit", "execute"]


def test_a_batch_whose_shared_parameter_changes_runs_whole(world, squares):
    world.run(squares, numbers=[1, 2])
    driven = world.run(squares, numbers=[1, 2], plus=1)
    assert [world.value(driven, f"square[{n}]") for n in range(2)] == [2, 5]


def test_items_of_a_batch_that_are_the_same_are_made_once(world, squares):
    driven = world.run(squares, numbers=[3, 3, 2])
    assert len(world.runtime.calls[0].arguments["numbers"]) == 2
    assert [world.value(driven, f"square[{n}]") for n in range(3)] == [9, 9, 4]
    assert world.value(driven, "total") == 22


def test_an_empty_batch_calls_nothing(world, squares):
    driven = world.run(squares, numbers=[])
    assert world.ran == ["total"]
    assert world.value(driven, "total") == 0


def test_a_batch_is_forced_by_its_name_or_by_one_item(world, squares):
    world.run(squares, numbers=[1, 2, 3])
    world.run(squares, force=["square"], numbers=[1, 2, 3])
    assert len(world.runtime.calls[-1].arguments["numbers"]) == 3
    world.run(squares, force=["square[1]"], numbers=[1, 2, 3])
    assert len(world.runtime.calls[-1].arguments["numbers"]) == 1
    assert world.ran == ["square"]


@pytest.mark.parametrize("pick", [deque.popleft, deque.pop])
def test_a_batch_over_outputs_waits_for_all_of_them_and_is_one_call(world, pick):
    @step
    def load(n):
        return n

    @step(batch="numbers")
    def square(numbers):
        return [n * n for n in numbers]

    world.runtime.pick = pick
    driven = world.run(lambda: square([load(n) for n in (1, 2, 3)]))
    assert [world.value(driven, f"square[{n}]") for n in range(3)] == [1, 4, 9]
    assert world.ran.count("square") == 1
    assert world.ran[-1] == "square"


def test_a_batch_that_cannot_be_whole_in_this_run_runs_without_what_waits(world):
    @step
    def load(n):
        return n

    @step
    def pick(n, decision):
        return n

    @step(batch="numbers")
    def square(numbers):
        return [n * n for n in numbers]

    def pipeline():
        first, second = load(1), load(2)
        square([first, pick(second, review(second))])

    driven = world.run(pipeline)
    assert driven.status == RunStatus.WAITING
    assert actions(driven)["square[0]"] == "execute"
    assert world.value(driven, "square[0]") == 1
    assert actions(driven)["square[1]"] == "open"


def test_a_batch_that_fails_keeps_nothing(world):
    @step(batch="numbers")
    def square(numbers):
        raise ValueError("no")

    driven = world.run(lambda: square([1, 2]))
    assert driven.failed == "square[0]"
    assert world.attempts() == [("square[0]", "failed"), ("square[1]", "failed")]
    assert world.ledger.live_results([item.key for item in driven.planned], world.time) == {}


# --- batches whose items are handed in ----------------------------------------------------------


@pytest.fixture
def handing(world):
    """`square`, which hands in what it is given up to an item where it does `then`; `total`."""

    def make(then=lambda place: None, at_once=True):
        @step(batch="numbers")
        def square(numbers):
            for place, n in enumerate(numbers):
                then(place)
                world.hand_in(place, n * n, at_once=at_once)
            return [n * n for n in numbers]

        @step
        def total(squares):
            return sum(squares)

        return lambda numbers: total(square(numbers))

    return make


def stop_at(item, error):
    """Return what raises once an item is reached."""

    def then(place):
        if place == item:
            raise error

    return then


def kept(world, pipeline, **given):
    """Values of the items that are live in the ledger, by their place."""
    keys = {item.key: name for name, item in world.plan(pipeline, **given).items()}
    live = world.ledger.live_results([key for key in keys if key], world.time)
    return {
        keys[key]: world.codec.decode(world.artifacts.read(result.root), world.artifacts)
        for key, result in live.items()
    }


def test_what_is_handed_in_is_recorded_while_the_call_goes_on(world, handing):
    seen = []

    def look(place):
        live = kept(world, pipeline, numbers=[3, 4])
        seen.append((live, world.attempts(), ended(world)))

    pipeline = handing(look)
    driven = world.run(pipeline, numbers=[3, 4])
    running = [("square[0]", "running"), ("square[1]", "running")]
    assert seen == [
        ({}, running, []),
        ({"square[0]": 9}, [("square[0]", "succeeded"), running[1]], ["square[0]"]),
    ]
    assert driven.status == RunStatus.SUCCEEDED
    assert world.value(driven, "total") == 25
    assert [planned(driven, f"square[{n}]").seconds for n in range(2)] == [0.5, 0.5]


@pytest.mark.parametrize("at_once", [True, False])
def test_what_is_handed_in_is_ended_and_told_once(world, handing, at_once):
    driven = world.run(handing(at_once=at_once), numbers=[3, 4])
    assert world.value(driven, "total") == 25
    assert world.attempts() == [
        ("square[0]", "succeeded"),
        ("square[1]", "succeeded"),
        ("total", "succeeded"),
    ]
    assert ended(world) == ["square[0]", "square[1]", "total"]
    assert not world.runtime.calls[0].scratch.exists()


@pytest.mark.parametrize("at_once", [True, False])
def test_a_call_that_fails_loses_what_was_not_handed_in_alone(world, handing, at_once):
    driven = world.run(handing(stop_at(2, ValueError("no")), at_once), numbers=[1, 2, 3, 4])
    assert driven.status == RunStatus.FAILED
    assert (driven.failed, driven.error.step) == ("square[2]", "square[2]")
    assert world.attempts() == [
        ("square[0]", "succeeded"),
        ("square[1]", "succeeded"),
        ("square[2]", "failed"),
        ("square[3]", "failed"),
    ]
    assert (ended(world), ended(world, failed=True)) == (
        ["square[0]", "square[1]"],
        ["square[2]", "square[3]"],
    )
    again = world.run(handing(), numbers=[1, 2, 3, 4])
    assert len(world.runtime.calls[-2].arguments["numbers"]) == 2
    assert world.value(again, "total") == 30
    assert actions(again)["square[1]"] == "hit"


def test_a_call_that_is_interrupted_keeps_what_was_handed_in(world, handing):
    pipeline = handing(stop_at(1, KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        world.drive(pipeline, numbers=[1, 2]).go()
    assert world.attempts() == [("square[0]", "succeeded"), ("square[1]", "cancelled")]
    assert world.held == set()
    assert kept(world, pipeline, numbers=[1, 2]) == {"square[0]": 1}


def test_a_call_that_fails_with_all_handed_in_has_made_them_all(world):
    @step(batch="numbers")
    def square(numbers):
        for place, n in enumerate(numbers):
            world.hand_in(place, n * n)
        raise ValueError("while it tidied up")

    driven = world.run(lambda: square([1, 2]))
    assert driven.status == RunStatus.SUCCEEDED
    assert [world.value(driven, f"square[{n}]") for n in range(2)] == [1, 4]


def test_the_first_that_is_handed_in_for_an_item_counts(world):
    @step(batch="numbers")
    def square(numbers):
        world.hand_in(0, "first", at_once=False)
        world.hand_in(0, "second", at_once=False)
        return ["third", "of the other"]

    driven = world.run(lambda: square([1, 2]))
    assert world.value(driven, "square[0]") == "first"
    assert world.value(driven, "square[1]") == "of the other"
    assert ended(world) == ["square[0]", "square[1]"]
    assert planned(driven, "square[1]").seconds == 0.5  # its part of the call's one second


def test_items_stay_claimed_until_their_call_ends(world, handing):
    """Else a second call of the same key, forced or uncached, would be at work beside it."""
    held = []
    driven = world.run(handing(lambda _: held.append(set(world.held))), numbers=[1, 2])
    every = {planned(driven, f"square[{n}]").key for n in range(2)}
    assert held == [every, every]


def test_what_is_handed_in_after_the_code_changed_is_not_kept(world, handing):
    def edit(place):
        if place == 1:
            world.code["square"] = "another text"

    driven = world.run(handing(edit), numbers=[1, 2, 3])
    assert (driven.failed, driven.error.kind) == ("square[1]", "CodeChanged")
    assert world.attempts() == [
        ("square[0]", "succeeded"),
        ("square[1]", "failed"),
        ("square[2]", "failed"),
    ]


def test_what_an_earlier_run_handed_in_is_not_taken_for_this_ones(world, handing):
    def hands_in_for_another(place):
        world.running = replace(world.running, run="an earlier run")

    pipeline = handing(hands_in_for_another)
    driven = world.run(pipeline, numbers=[1, 2])
    assert driven.status == RunStatus.SUCCEEDED
    assert ended(world) == ["square[0]", "square[1]", "total"]
    assert planned(driven, "square[0]").seconds == 0.5  # half of what the call took
    assert kept(world, pipeline, numbers=[1, 2]) == {"square[0]": 1, "square[1]": 4, "total": 5}


def test_a_retry_begins_no_new_attempt_at_what_was_handed_in(world):
    @step(batch="numbers", retries=1)
    def square(numbers):
        if not world.attempts()[1:] or len(world.attempts()) == 2:
            world.hand_in(0, 1)
            raise ValueError("no")
        return [n * n for n in numbers]

    driven = world.run(lambda: square([1, 2]))
    assert driven.status == RunStatus.SUCCEEDED
    assert world.attempts() == [
        ("square[0]", "succeeded"),
        ("square[1]", "failed"),
        ("square[1]", "succeeded"),
    ]


def test_a_store_that_fails_for_a_moment_costs_no_item(world, handing):
    read = world.artifacts.read

    def fail_once(digest):
        world.artifacts.read = read
        raise StoreError("the disk is away")

    def then(place):
        if place == 0:
            world.artifacts.read = fail_once

    driven = world.run(handing(then), numbers=[1, 2])
    assert world.value(driven, "total") == 5
    assert sorted(ended(world)) == ["square[0]", "square[1]", "total"]
    assert set(world.attempts()) == {
        ("square[0]", "succeeded"),
        ("square[1]", "succeeded"),
        ("total", "succeeded"),
    }


def test_a_forced_item_takes_the_place_of_the_kept_one(world):
    values = iter(["old", "other", "new"])

    @step(batch="numbers")
    def draw(numbers):
        drawn = [next(values) for _ in numbers]
        for place, value in enumerate(drawn):
            world.hand_in(place, value)
        return drawn

    world.run(draw, numbers=[1, 2])
    driven = world.run(draw, force=["draw[0]"], numbers=[1, 2])
    assert [world.value(driven, f"draw[{n}]") for n in range(2)] == ["new", "other"]
    assert world.value(world.run(draw, numbers=[1, 2]), "draw[0]") == "new"
    assert world.ran == []


def test_what_a_step_warns_of_is_told_unless_another_run_said_it(world, handing):
    def say(place):
        for run in (world.runs[-1], "another"):
            event = {"event": "warning", "run": run, "text": f"{run} is slow"}
            append_event(world.running.events, event)

    world.run(handing(say), numbers=[1])
    told = [e for e in world.events if isinstance(e, Warned)]
    assert told == [Warned(step="square", text=f"{world.runs[-1]} is slow")]


def test_progress_is_told_of_what_is_not_handed_in_yet(world, handing):
    def say(place):
        event = {"event": "progress", "done": place, "total": 2, "what": "numbers"}
        append_event(world.running.events, event)

    world.run(handing(say), numbers=[1, 2])
    told = [(e.step, e.done) for e in world.events if isinstance(e, StepProgress)]
    assert told == [("square", 0), ("square", 1)]


@pytest.mark.parametrize(
    ("of", "step_name"),
    [({"item": 1}, "square[1]"), ({}, "square"), ({"item": 7}, "square"), ({"item": -1}, "square")],
)
def test_a_point_of_a_curve_is_of_its_item(world, of, step_name):
    @step(batch="numbers")
    def square(numbers):
        point = {"event": "metric", "name": "loss", "value": 0.5, "step": 3, "time": 7.0}
        append_event(world.running.events, {**point, **of})
        return numbers

    world.run(lambda: square([1, 2]))
    told = [event for event in world.events if isinstance(event, MetricLogged)]
    assert told == [MetricLogged(step=step_name, name="loss", value=0.5, at=3)]
    for name in ("square", "square[0]", "square[1]"):
        points = [metric.step for metric in world.ledger.metrics(world.runs[-1], name)]
        assert points == ([3] if name == step_name else [])


# --- batches that are told what is kept ---------------------------------------------------------


@pytest.fixture
def told(world):
    """`draw` over items, which notes what it is told of the others; what it was told."""
    heard = []

    @step(batch="items", kept="known")
    def draw(items, known=()):
        heard.append(known)
        return [f"drawn {item}" for item in items]

    return draw, heard


def test_a_batch_is_told_what_is_kept_of_its_fellows_in_their_order(world, told):
    draw, heard = told
    world.run(draw, items=[2, 4])
    world.run(draw, items=[4, 1, 2, 3])
    assert heard == [[], [(4, "drawn 4"), (2, "drawn 2")]]


def test_what_is_kept_does_not_count(world, told):
    draw, heard = told
    world.run(draw, items=[1])
    world.run(draw, items=[1, 2])
    world.run(draw, items=[2, 1])
    assert world.ran == []
    assert len(heard) == 2


def test_what_an_item_was_told_of_its_fellows_is_recorded_for_lineage(world, told):
    draw, _ = told
    world.run(draw, items=[2, 4])
    driven = world.run(draw, items=[4, 1, 2])
    results = {one.node.name: one.result for one in driven.planned}
    roots = [results[f"draw[{n}]"].root for n in (0, 2)]
    aside = world.ledger.result_of(results["draw[1]"].key).explanation.aside
    assert aside == {"known[0]": roots[0], "known[1]": roots[1]}


def test_what_is_forced_is_not_told_of_itself(world, told):
    draw, heard = told
    world.run(draw, items=[1, 2])
    world.run(draw, force=["draw[0]"], items=[1, 2])
    world.run(draw, force=["draw"], items=[1, 2])
    assert heard[1:] == [[(2, "drawn 2")], []]


def test_two_batches_of_a_step_are_no_fellows(world, told):
    draw, heard = told

    def pipeline():
        draw([1])
        draw([2, 3])

    world.run(lambda: draw([1]))
    world.run(pipeline)
    assert heard[1:] == [[]]


def test_a_batch_that_was_held_up_is_told_what_was_made_meanwhile(world, told):
    draw, heard = told
    world.elsewhere.add(world.plan(draw, items=[1, 2])["draw[1]"].key)
    world.while_pausing = world.elsewhere.clear
    world.run(draw, items=[1, 2])
    assert heard == [[], [(1, "drawn 1")]]


def test_fellows_whose_items_are_large_are_told_though_the_blobs_are_gone(world):
    sizes = []

    @step(batch="items", kept="known")
    def size(items, known=()):
        sizes.append([len(item) for item, _ in known])
        return [len(item) for item in items]

    large = b"x" * 1_000_000
    world.run(size, items=[large])
    for digest in [d for d, data in world.artifacts.kept.items() if len(data) >= len(large)]:
        world.artifacts.remove(digest)
    driven = world.run(size, items=[large, b"small"])
    assert driven.status == RunStatus.SUCCEEDED
    assert sizes == [[], [1_000_000]]


def test_a_torn_value_of_a_fellow_is_made_anew_in_the_same_call(world, monkeypatch):
    torn = set()

    @step(batch="items", kept="known")
    def draw(items, known=()):
        if torn & set(known):
            raise StoreError("torn")
        return items

    def fails(call):
        try:
            return run_call(call)
        except StoreError as error:
            return CallOutcome(id=call.id, error=error)

    run_call = world.runtime._run
    monkeypatch.setattr(world.runtime, "_run", fails)
    first = planned(world.run(draw, items=[1]), "draw[0]").digest
    torn.add((1, 1))
    monkeypatch.setattr(world.artifacts, "verify", lambda digest: digest != first)
    driven = world.run(draw, items=[1, 2])
    assert actions(driven) == {"draw[0]": "execute", "draw[1]": "execute"}


# --- lookups ------------------------------------------------------------------------------------


def test_a_lookup_is_asked_with_digests_and_gives_what_is_kept(world):
    kept = world.codec.encode("the champion")
    world.artifacts.put_bytes(kept.manifest, kept.digest)
    asked = []
    world.lookups["champion"] = lambda digests: asked.append(digests) or kept.digest

    @step
    def train():
        return 7

    @step
    def compare(champion):
        return champion

    def pipeline():
        compare(lookup("champion", candidate=train(), split="test"))

    driven = world.run(pipeline)
    assert world.value(driven, "compare") == "the champion"
    assert asked == [
        {"candidate": planned(driven, "train").digest, "split": world.codec.encode("test").digest}
    ]
    assert [item.node.name for item in driven.planned] == ["train", "compare"]
    assert world.events[0].steps == ("train", "compare")
    assert "champion" not in ended(world)


def test_results_that_a_lookup_lists_are_recorded_one_by_one_for_lineage(world):
    """No step made the list of them: by its digest nobody could tell where it comes from."""
    kept = world.codec.encode(("a", "b"))
    world.artifacts.put_bytes(kept.manifest, kept.digest)
    world.lookups["earlier"] = lambda digests: kept.digest

    @step(uncounted=("earlier",))
    def learn(earlier):
        return earlier

    (made,) = (one.result for one in world.run(lambda: learn(lookup("earlier"))).planned)
    aside = world.ledger.result_of(made.key).explanation.aside
    assert aside == {f"earlier[{n}]": world.codec.encode(v).digest for n, v in enumerate("ab")}


def test_a_lookup_that_finds_nothing_gives_none(world):
    world.lookups["champion"] = lambda digests: None

    @step
    def compare(champion):
        return repr(champion)

    driven = world.run(lambda: compare(lookup("champion")))
    assert world.value(driven, "compare") == "None"


def test_what_follows_a_lookup_runs_again_once_it_finds_another(world):
    found = {"digest": None}
    world.lookups["champion"] = lambda digests: found["digest"]

    @step
    def compare(champion):
        return champion

    def pipeline():
        compare(lookup("champion"))

    world.run(pipeline)
    world.run(pipeline)
    assert world.ran == []
    kept = world.codec.encode("new")
    found["digest"] = world.artifacts.put_bytes(kept.manifest, kept.digest).digest
    driven = world.run(pipeline)
    assert reasons(driven)["compare"] == "input: champion: changed"
    assert world.value(driven, "compare") == "new"


# --- claims -------------------------------------------------------------------------------------


def test_what_another_process_makes_is_waited_for_and_used(world, other, flow):
    world.elsewhere.add(world.plan(flow)["load"].key)

    def the_other_ends():
        other.run(flow)
        world.elsewhere.clear()

    world.while_pausing = the_other_ends
    driven = world.run(flow)
    assert driven.status == RunStatus.SUCCEEDED
    assert world.ran == ["note"]
    assert world.pauses == [0.05]
    assert other.ran == ["load", "double", "total"]
    assert actions(driven)["total"] == "hit"


def test_what_another_process_gave_up_is_made_here(world, flow):
    world.elsewhere.add(world.plan(flow)["load"].key)
    world.while_pausing = lambda: len(world.pauses) == 3 and world.elsewhere.clear()
    driven = world.run(flow)
    assert driven.status == RunStatus.SUCCEEDED
    assert world.ran == ["note", "load", "double", "total"]
    assert world.pauses == [0.05] * 3


def test_while_another_process_makes_one_thing_the_rest_goes_on(world, flow):
    world.elsewhere.add(world.plan(flow)["note"].key)
    world.while_pausing = world.elsewhere.clear
    world.run(flow)
    assert world.ran == ["load", "double", "total", "note"]
    assert world.pauses == [0.05]


def test_a_batch_goes_on_without_the_item_that_another_process_makes(world, squares):
    world.elsewhere.add(world.plan(squares, numbers=[1, 2, 3])["square[1]"].key)
    world.while_pausing = world.elsewhere.clear
    driven = world.run(squares, numbers=[1, 2, 3])
    assert world.ran == ["square", "square", "total"]
    sizes = [len(call.arguments["numbers"]) for call in world.runtime.calls[:2]]
    assert sizes == [2, 1]
    assert world.value(driven, "total") == 14


def test_what_was_recorded_just_before_the_claim_is_used(world, other, flow):
    drive = world.drive(flow)
    claim = drive.ports.claim

    def late(key):
        other.run(flow)
        return claim(key)

    drive.ports = replace(drive.ports, claim=late)
    driven = drive.go()
    assert world.ran == []
    assert set(actions(driven).values()) == {"hit"}
    assert world.held == set()


def test_what_is_forced_runs_although_it_was_recorded_just_before_the_claim(world, other, flow):
    world.run(flow)
    drive = world.drive(flow, force=["note"])
    claim = drive.ports.claim

    def late(key):
        other.run(flow, force=["note"])
        return claim(key)

    drive.ports = replace(drive.ports, claim=late)
    world.ran.clear()
    drive.go()
    assert other.ran == ["note"]
    assert world.ran == ["note"]


def test_a_claim_is_held_until_the_result_is_recorded_and_no_longer(world):
    held = []

    @step
    def load():
        held.append(set(world.held))
        return 1

    @step
    def show(n):
        held.append(set(world.held))
        return n

    driven = world.run(lambda: show(load()))
    assert held == [{item.key} for item in driven.planned]


def test_a_step_that_failed_is_claimed_no_more_while_others_end(world):
    flaky = failing(9)
    held = []

    @step
    def slow():
        held.append(set(world.held))
        return 1

    def pipeline():
        flaky()
        slow()

    driven = world.run(pipeline)
    assert held == [{planned(driven, "slow").key}]


def test_after_a_failure_another_process_is_not_waited_for(world):
    flaky = failing(9)

    @step
    def slow():
        return 1

    def pipeline():
        slow()
        flaky()

    world.elsewhere.add(world.plan(pipeline)["slow"].key)
    driven = world.run(pipeline)
    assert driven.failed == "flaky"
    assert world.pauses == []
    assert actions(driven) == {"slow": "execute", "flaky": "execute"}
    assert world.attempts() == [("flaky", "failed")]


# --- reviews ------------------------------------------------------------------------------------


@pytest.fixture
def reviewed():
    """`report`, which a person decides on before `publish` runs; `note` stands alone."""

    @step
    def report(n):
        return {"score": n}

    @step
    def publish(report, decision):
        return [report["score"], decision.by, decision.note]

    @step
    def note():
        return 1

    def pipeline(n=1):
        made = report(n)
        publish(made, review(made))
        note()

    return pipeline


def test_a_review_waits_and_all_else_is_done(world, reviewed):
    driven = world.run(reviewed)
    assert driven.status == RunStatus.WAITING
    assert world.ran == ["report", "note"]
    assert actions(driven) == {
        "report": "execute",
        "review": "wait",
        "publish": "open",
        "note": "execute",
    }
    (asked,) = driven.reviews
    assert reasons(driven)["review"] == f"review: {asked.id}: not decided"
    assert asked.evidence == planned(driven, "report").digest
    assert (asked.step, asked.run, asked.status) == ("review", world.runs[-1], "open")
    assert world.ledger.list_reviews() == [asked]


def test_a_run_that_waits_asks_no_second_time(world, reviewed):
    (asked,) = world.run(reviewed).reviews
    driven = world.run(reviewed)
    assert world.ran == []
    assert driven.reviews == (asked,)
    assert world.ledger.list_reviews() == [asked]


def test_a_withdrawn_review_is_asked_for_again_where_its_evidence_comes_again(world, reviewed):
    (first,) = world.run(reviewed, n=1).reviews
    (second,) = world.run(reviewed, n=2).reviews
    assert world.ledger.get_review(first.id).status == "withdrawn"
    driven = world.run(reviewed, n=1)
    (again,) = driven.reviews
    assert (driven.status, again.id, again.status) == (RunStatus.WAITING, first.id, "open")
    assert reasons(driven)["review"] == f"review: {first.id}: not decided"
    assert world.ledger.get_review(second.id).newer == first.id
    world.ledger.decide_review(first.id, "approved", BOB, "")
    assert world.run(reviewed, n=1).status == RunStatus.SUCCEEDED


def test_an_approved_review_lets_what_follows_run(world, reviewed):
    (asked,) = world.run(reviewed).reviews
    world.ledger.decide_review(asked.id, "approved", BOB, "looks fine")
    driven = world.run(reviewed)
    assert driven.status == RunStatus.SUCCEEDED
    assert world.ran == ["publish"]
    assert world.value(driven, "publish") == [1, "bob", "looks fine"]
    assert reasons(driven)["review"] == "approved: by bob: looks fine"
    assert driven.reviews == ()


@pytest.mark.parametrize(("n", "status"), [(1, "succeeded"), (5, "waiting")])
def test_nobody_is_asked_where_a_step_says_that_it_is_not_worth_it(world, n, status):
    @step
    def report(n):
        return {"score": n, "worth": n > 3}

    @step
    def publish(report, decision):
        return decision is None

    def pipeline(n):
        made = report(n)
        publish(made, review(made, when=made["worth"]))

    driven = world.run(pipeline, n=n)
    assert driven.status == status
    assert bool(driven.reviews) == bool(world.ledger.list_reviews()) == (status == "waiting")
    if status == "succeeded":
        assert world.value(driven, "publish") is True
        world.run(pipeline, n=n)
        assert world.ran == []


def test_another_evidence_is_asked_for_anew(world, reviewed):
    (first,) = world.run(reviewed, n=1).reviews
    world.ledger.decide_review(first.id, "approved", BOB, "")
    driven = world.run(reviewed, n=2)
    assert driven.status == RunStatus.WAITING
    assert driven.reviews[0].id != first.id


def test_a_rejected_review_ends_the_run(world, reviewed):
    (asked,) = world.run(reviewed).reviews
    world.ledger.decide_review(asked.id, "rejected", BOB, "too low")
    driven = world.run(reviewed)
    assert driven.status == RunStatus.REJECTED
    assert driven.failed == "review"
    assert isinstance(driven.error, Rejected)
    assert str(driven.error) == "review was rejected by bob: too low"
    assert world.ran == []
    assert ended(world, failed=True) == ["review"]
    assert actions(driven)["publish"] == "open"


def test_after_a_rejection_no_batch_is_begun(world, reviewed):
    (asked,) = world.run(reviewed).reviews
    world.ledger.decide_review(asked.id, "rejected", BOB, "")

    @step(batch="numbers")
    def square(numbers):
        return [n * n for n in numbers]

    def pipeline():
        square([1, 2])
        reviewed()

    driven = world.run(pipeline)
    assert driven.status == RunStatus.REJECTED
    assert world.ran == []
    assert actions(driven)["square[0]"] == "execute"


def test_a_rejection_without_a_note_says_who(world, reviewed):
    (asked,) = world.run(reviewed).reviews
    world.ledger.decide_review(asked.id, "rejected", replace(BOB, name="Bob B."), "")
    assert str(world.run(reviewed).error) == "review was rejected by Bob B."


def test_a_failure_beside_an_open_review_fails_the_run(world, reviewed):
    flaky = failing(9)

    def pipeline():
        reviewed()
        flaky()

    driven = world.run(pipeline)
    assert world.ran == ["report", "note", "flaky"]
    assert driven.status == RunStatus.FAILED
    assert [asked.step for asked in driven.reviews] == ["review"]


def test_of_a_failure_and_a_rejection_the_first_is_told(world, reviewed):
    (asked,) = world.run(reviewed).reviews
    world.ledger.decide_review(asked.id, "rejected", BOB, "")
    flaky = failing(9)

    def pipeline():
        flaky()
        reviewed()

    driven = world.run(pipeline)
    assert (driven.status, driven.failed) == (RunStatus.REJECTED, "review")
    assert world.attempts() == [("flaky", "failed")]
    assert ended(world, failed=True) == ["review", "flaky"]


# --- what goes wrong while it runs --------------------------------------------------------------


def test_what_ran_beside_a_change_of_its_code_is_not_kept(world, flow):
    drive = world.drive(flow)
    run = world.runtime._run

    def edited(call):
        if call.step == "double":
            world.code["double"] = "edited meanwhile"
        return run(call)

    world.runtime._run = edited
    driven = drive.go()
    assert driven.status == "failed"
    assert driven.failed == "double"
    assert "changed while it ran: its result is not kept" in str(driven.error)
    assert ("double", "failed") in world.attempts()
    world.runtime._run = run
    assert world.run(flow).status == "succeeded"
    assert "double" in world.ran
    assert "load" not in world.ran


def test_code_that_cannot_be_read_after_it_ran_is_other_code(world, flow):
    drive = world.drive(flow)

    def reread(target, also):
        raise PipelineError("flow.py, line 3: half an edit")

    drive.planner.ports = replace(drive.planner.ports, reread=reread)
    driven = drive.go()
    assert driven.status == "failed"
    assert "changed while it ran" in str(driven.error)
    assert {status for _, status in world.attempts()} == {"failed"}


def test_what_a_step_depends_on_may_not_change_while_it_runs(world):
    @step(depends_on=("env:A",))
    def load():
        world.environment["env:A"] = "another"
        return 1

    assert "changed while it ran" in str(world.run(load).error)
    assert world.run(load).status == "succeeded"


def test_a_part_that_is_not_there_fails_the_step_that_asks_for_it(world):
    @step
    def load():
        return {"rows": 1}

    @step
    def use(row):
        return row

    @step
    def beside():
        return 1

    def pipeline():
        use(load().nope)
        beside()

    driven = world.run(pipeline)
    assert driven.status == "failed"
    assert driven.failed == "use"
    assert "step 'use', parameter 'row' is given load.nope" in str(driven.error)
    assert world.attempts() == [("load", "succeeded"), ("beside", "succeeded")]


def test_an_earlier_failure_is_told_before_a_part_that_is_not_there(world):
    @step
    def load():
        return {"rows": 1}

    @step
    def broken():
        raise ValueError("broken")

    @step
    def use(row):
        return row

    def pipeline():
        broken()
        use(load().nope)

    driven = world.run(pipeline)
    assert driven.failed == "broken"
    assert [item.action for item in driven.planned] == ["execute", "execute", "open"]


def test_an_item_held_for_its_fellows_does_not_stop_its_like(world):
    """An item is claimed and held; its like waits for that claim; a fellow waits for both."""

    @step
    def load(n):
        return n

    @step(batch="items")
    def each(items, by=1):
        return [by * item for item in items]

    @step
    def join(parts):
        return parts

    def pipeline():
        one = load(1)
        first = each([one, 5])
        second = each([one, load(join(first)[0])])
        join(second)

    assert world.run(pipeline).status == "succeeded"


def test_each_item_of_a_batch_that_fails_is_told(world):
    @step(batch="items")
    def each(items):
        raise ValueError("broken")

    world.run(lambda: each([1, 2]))
    ended = [event.state.name for event in world.events if isinstance(event, StepEnded)]
    assert ended == ["each[0]", "each[1]"]


def test_an_attempt_whose_result_cannot_be_recorded_failed(world, monkeypatch):
    @step
    def load():
        return 1

    def record(*args, **kwargs):
        raise StoreError("the disk is full")

    monkeypatch.setattr(world.ledger, "record", record)
    driven = world.run(load)
    assert str(driven.error) == "the disk is full"
    assert world.attempts() == [("load", "failed")]


class Bits:
    """Blobs of which some are rotten: they look whole, and who reads them is told."""

    def __init__(self, world, monkeypatch):
        self.world = world
        self.rotten = set()
        self.last = False
        """What is made anew is as rotten as before."""
        publish, run = world.runtime.publish, world.runtime._run

        def published(value):
            found = publish(value)
            if not self.last:
                self.rotten.discard(found.root)
            return found

        def ran(call):
            try:
                return run(call)
            except StoreError as error:
                return CallOutcome(id=call.id, error=error)

        monkeypatch.setattr(world.runtime, "publish", published)
        monkeypatch.setattr(world.runtime, "_run", ran)
        monkeypatch.setattr(world.runtime, "_value", self.value)
        monkeypatch.setattr(world.artifacts, "verify", lambda digest: digest not in self.rotten)

    def value(self, argument):
        for digest in self.rotten:
            if isinstance(argument, bytes) and self.world.artifacts.kept[digest] == argument:
                raise StoreError(f"{digest[:12]} is torn")
        if isinstance(argument, list | tuple):
            return type(argument)(map(self.value, argument))
        return self.world.codec.decode(argument, self.world.artifacts)

    def rot(self, driven, *names):
        self.rotten |= {planned(driven, name).digest for name in names}


@pytest.fixture
def bits(world, monkeypatch):
    return Bits(world, monkeypatch)


def test_what_is_torn_though_it_looked_whole_is_made_anew_by_who_meets_it(world, flow, bits):
    bits.rot(world.run(flow, n=1), "double")
    driven = world.run(flow, n=1, by=3)
    assert driven.status == "succeeded"
    assert world.ran == ["total", "double", "total"]
    assert world.value(driven, "total") == 18
    assert reasons(driven)["double"] == "lost artifact: gone or torn"
    assert world.attempts() == [
        ("total", "failed"), ("double", "succeeded"), ("total", "succeeded"),
    ]  # fmt: skip
    (warned,) = (event for event in world.events if isinstance(event, Warned))
    assert warned.text.startswith("step 'total' cannot read what it is given: ")
    begun = [event.step for event in world.events if isinstance(event, StepStarted)]
    assert begun == ["total", "double"]
    assert set(actions(world.run(flow, n=1, by=3)).values()) == {"hit"}


def test_what_made_the_torn_may_be_given_something_torn_itself(world, flow, bits):
    bits.rot(world.run(flow, n=1), "load", "double")
    driven = world.run(flow, n=1, by=3)
    assert world.ran == ["total", "double", "load", "double", "total"]
    assert world.value(driven, "total") == 18


def test_what_is_torn_again_fails_the_run_and_the_next_one_makes_it_anew(world, flow, bits):
    bits.rot(world.run(flow, n=1), "double")
    bits.last = True
    driven = world.run(flow, n=1, by=3)
    assert driven.status == "failed"
    assert driven.failed == "total"
    assert world.ran == ["total", "double", "total"]
    bits.rotten.clear()
    assert world.run(flow, n=1, by=3).status == "succeeded"
    assert world.ran == ["double", "total"]


def test_two_steps_that_meet_the_same_torn_value_wait_for_it_together(world, bits):
    @step
    def load():
        return 1

    @step
    def left(value, by=1):
        return value * by

    @step
    def right(value, by=1):
        return value + by

    def pipeline(by=1):
        value = load()
        left(value, by)
        right(value, by)

    bits.rot(world.run(pipeline), "load")
    driven = world.run(pipeline, by=2)
    assert driven.status == "succeeded"
    assert world.ran.count("load") == 1
    assert (world.value(driven, "left"), world.value(driven, "right")) == (2, 3)


def test_a_torn_item_of_a_map_is_made_anew_alone(world, bits):
    @step
    def double(n):
        return 2 * n

    @step
    def total(numbers, by=1):
        return by * sum(numbers)

    def pipeline(by=1):
        total(double.map([1, 2, 3]), by)

    bits.rot(world.run(pipeline), "double[1]")
    decode = bits.value

    def value(argument):
        if bits.rotten and world.ran[-1] == "total":
            raise StoreError("torn")
        return decode(argument)

    world.runtime._value = value
    driven = world.run(pipeline, by=2)
    assert driven.status == "succeeded", driven.error
    assert world.ran == ["total", "double[1]", "total"]
    assert world.value(driven, "total") == 24


def test_what_another_run_made_anew_meanwhile_is_taken_as_it_is(world, flow, bits):
    driven = world.run(flow, n=1)
    bits.rot(driven, "double")
    torn = planned(driven, "double").result
    live_results = world.ledger.live_results

    def mended_meanwhile(keys, now):
        if keys == [torn.key] and "total" in world.ran:
            bits.rotten.clear()
            world.ledger.live_results = live_results
            world.ledger.supersede(torn.key, "lost artifact")
            parts = {"symbols": {}, "packages": {}, "digest": torn.explanation.fingerprint}
            world.ledger.record(replace(torn, run=world.runs[-1]), Fingerprint(**parts))
        return live_results(keys, now)

    world.ledger.live_results = mended_meanwhile
    driven = world.run(flow, n=1, by=3)
    assert driven.status == "succeeded"
    assert world.ran == ["total", "total"]
    assert actions(driven)["double"] == "hit"


def test_what_a_run_gives_is_read_before_it_is_said_to_have_succeeded(world, flow, bits):
    @step
    def load():
        return 1

    bits.rot(world.run(load), "load")
    drive = world.drive(load)
    drive.read_outputs = lambda: [bits.value(world.artifacts.kept[d]) for d in bits.rotten]
    world.ran.clear()
    assert drive.go().status == "succeeded"
    assert world.ran == ["load"]


def test_what_a_run_gives_and_cannot_be_read_fails_it(world, flow):
    def fails():
        raise StoreError("torn for good")

    drive = world.drive(flow)
    drive.read_outputs = fails
    driven = drive.go()
    assert driven.status == "failed"
    assert str(driven.error) == "torn for good"


def test_a_review_that_is_decided_while_it_is_asked_for_goes_on(world, monkeypatch):
    @step
    def load():
        return 1

    @step
    def after(decision):
        return decision.by

    def pipeline():
        after(review(load()))

    asking = world.ledger.open_review

    def decided_meanwhile(asked, *effects):
        opened = asking(asked, *effects)
        return world.ledger.decide_review(opened.id, "approved", BOB, "")

    monkeypatch.setattr(world.ledger, "open_review", decided_meanwhile)
    assert world.run(pipeline).status == "succeeded"


def test_what_many_steps_tell_is_not_read_at_each_turn(world, monkeypatch):
    """With a thousand steps at work, reading all of it each time one ends would take the most."""

    @step
    def load(n):
        return n

    def pipeline():
        for n in range(30):
            load(n)

    drive = world.drive(pipeline)
    looked = []
    events = drive.ports.scratch.events
    monkeypatch.setattr(
        type(drive.ports.scratch),
        "events",
        lambda self, *given: looked.append(given) or events(*given),
    )
    assert drive.go().status == "succeeded"
    assert len(looked) <= 2 * 30


@pytest.mark.parametrize("days", [3, -3])
def test_a_clock_that_jumps_by_days_in_mid_run_changes_nothing_of_it(world, days):
    """What is told of progress goes on, results stay in use, and a second run finds them."""

    @step
    def one() -> int:
        world.time += days * 86_400
        return 1

    @step(expires=3600.0)
    def two(value: int) -> int:
        world.time += days * 86_400
        return value + 1

    def pipeline():
        return two(one())

    assert world.run(pipeline).status == "succeeded"
    assert [status for _, status in world.attempts()] == ["succeeded", "succeeded"]
    driven = world.run(pipeline)
    assert driven.status == "succeeded"
    assert (world.ran, world.value(driven, "two")) == ([], 2)


def test_a_step_says_for_how_long_what_it_gave_is_kept(world):
    asked = []

    @step(expires=3600.0)
    def ask(place: str) -> int:
        asked.append(place)
        if place == "away":
            here = StepContext(
                run=world.runs[-1],
                step="ask",
                runtime="inline",
                home=None,
                root=None,
                paths=(),
                scratch=world.running.scratch,
                events=world.running.events,
            )
            here.expire(60)
        return len(asked)

    def pipeline(place="there"):
        return ask(place)

    for place, later, times in (("there", 61, 1), ("away", 50, 1), ("away", 61, 2)):
        asked.clear()
        driven = world.run(pipeline, place=place, force=["ask"])
        result = planned(driven, "ask").result
        assert result.expires == result.created + (60 if place == "away" else 3600)
        world.time += later
        world.run(pipeline, place=place)
        assert len(asked) == times
