"""What is tried again, how often, and after how long."""

import pytest

from raypipe.engine.retry import PACES, again
from raypipe.engine.step import StepOptions
from raypipe.errors import ClusterError, StepFailed, StoreError, UsageError, ValidationStopped


def raised(*classes: str) -> StepFailed:
    return StepFailed("no", cause="raised", kind=classes[0], classes=classes)


def failed(cause) -> StepFailed:
    return StepFailed("no", cause=cause, kind="TimeoutError" if cause == "timeout" else "")


@pytest.mark.parametrize(
    "error",
    [raised("OSError"), failed("timeout"), failed("lost"), StoreError("no"), ClusterError("no")],
)
def test_a_failure_is_tried_again_as_often_as_the_step_allows(error):
    options = StepOptions(retries=2)
    left = [again(n, error, options, 0.5) for n in (1, 2, 3)]
    assert [one and one.left for one in left] == [1, 0, None]


@pytest.mark.parametrize(
    "error", [ValidationStopped("no"), UsageError("no"), failed("said"), RuntimeError("no")]
)
def test_what_was_said_on_purpose_is_never_tried_again(error):
    assert again(1, error, StepOptions(retries=9), 0.5) is None


def test_a_node_that_is_lost_is_made_up_for_though_nobody_asked():
    error = failed("node")
    assert [again(n, error, StepOptions(), 0.5) is not None for n in (1, 2, 3)] == [
        True,
        True,
        False,
    ]
    assert again(1, failed("lost"), StepOptions(), 0.5) is None


@pytest.mark.parametrize("listed", ["OSError", "builtins.OSError", ConnectionError])
def test_only_listed_exceptions_and_those_below_them_are_tried_again(listed):
    options = StepOptions(retries=1, retry_on=(listed,))
    names = ("ConnectionError", "builtins.ConnectionError", "OSError", "builtins.OSError")
    assert again(1, raised(*names), options, 0.5) is not None
    assert again(1, raised("ValueError", "builtins.ValueError"), options, 0.5) is None


def test_a_timeout_is_a_timeout_error_and_a_lost_worker_is_none_of_the_list():
    options = StepOptions(retries=1, retry_on=(ValueError,))
    assert again(1, failed("timeout"), options, 0.5) is None
    assert again(1, failed("lost"), options, 0.5) is not None
    assert again(1, failed("timeout"), StepOptions(retries=1, retry_on=("TimeoutError",)), 0.5)


@pytest.mark.parametrize("cause", ["raised", "timeout", "lost", "node"])
def test_pauses_are_drawn_from_a_range_that_doubles_up_to_a_bound(cause):
    options = StepOptions(retries=99)
    longest = [again(n, failed_as(cause), options, 1.0).wait for n in range(1, 30)]
    assert longest[0] == PACES[cause].first
    assert longest[1] == 2 * longest[0]
    assert longest[-1] == PACES[cause].most
    assert again(5, failed_as(cause), options, 0.0).wait == 0
    assert again(2, failed_as(cause), options, 0.25).wait == longest[1] / 4


def failed_as(cause) -> StepFailed:
    return raised("OSError") if cause == "raised" else failed(cause)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"retry_on": OSError}, "retry_on must be a tuple"),
        ({"retry_on": "OSError"}, "retry_on must be a tuple"),
        ({"retry_on": (int,)}, "must be an exception's class"),
        ({"retry_on": (3,)}, "must be an exception's class"),
    ],
)
def test_a_list_that_names_no_exceptions_is_refused(wrong, said):
    assert said in StepOptions(**wrong).faults()[0]
