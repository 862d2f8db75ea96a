"""The inline runtime runs calls in their order, in this process, one a wait."""

import os

from raypipe.engine.ports import CallOutcome
from raypipe.runtime.inline import InlineRuntime


def first():
    return 1


def second():
    return 2


def test_a_call_runs_when_it_is_waited_for_and_not_before(call_of):
    ran = []

    def run(call):
        ran.append((call.id, os.getpid()))
        return CallOutcome(id=call.id)

    runtime = InlineRuntime(run)
    runtime.submit(call_of(first))
    runtime.submit(call_of(second))
    assert ran == []
    assert [outcome.id for outcome in runtime.wait(0)] == ["first"]
    assert ran == [("first", os.getpid())]
    assert [outcome.id for outcome in runtime.wait(0)] == ["second"]
    assert runtime.wait(0) == []


def test_waiting_for_nothing_returns_at_once():
    assert InlineRuntime(lambda call: CallOutcome(id=call.id)).wait(3600) == []


def test_a_failure_leaves_the_rest_of_the_queue(call_of):
    runtime = InlineRuntime(lambda call: CallOutcome(id=call.id, error=ValueError(call.id)))
    runtime.submit(call_of(first))
    runtime.submit(call_of(second))
    assert [str(outcome.error) for _ in range(2) for outcome in runtime.wait(0)] == [
        "first",
        "second",
    ]


def test_closing_forgets_what_was_not_run(call_of):
    runtime = InlineRuntime(lambda call: CallOutcome(id=call.id))
    runtime.submit(call_of(first))
    runtime.close()
    runtime.close()
    assert runtime.wait(0) == []
