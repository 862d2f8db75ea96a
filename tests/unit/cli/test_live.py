"""While a run goes, one sees which step is at work, how far it is, and how long it will take."""

import json

import pytest

from raypipe.cli.live import Lines, Progress, closing, listening
from raypipe.engine.events import MetricLogged, RunStarted, StepEnded, StepProgress, StepStarted
from raypipe.engine.records import Reason, StepState


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def started(*steps: str) -> RunStarted:
    return RunStarted(run="r", pipeline="p", steps=steps)


def began(step: str, reason: str = "new") -> StepStarted:
    return StepStarted(step=step, reason=reason, where="inline")


def ended(step: str, action: str = "execute", failed: bool = False) -> StepEnded:
    state = StepState(name=step, action=action, reason=Reason(kind="new"))  # type: ignore[arg-type]
    return StepEnded(state=state, failed=failed)


def lines_of(*events, clock=None):
    said: list[str] = []
    listener = Lines(say=said.append, progress=Progress(clock=clock or Clock()))
    for event in events:
        listener(event)
    return said


def test_a_step_is_said_when_it_starts_and_when_it_ends():
    assert lines_of(started("train"), began("train", "code: build"), ended("train")) == [
        "▸ train  (code: build)",
        "✓ train                    0 ms  (code: build)",
    ]


def test_the_calls_of_one_step_are_one_line():
    steps = ("profile", "profile#2", "transform[0]", "transform[1]")
    events = [ended("profile", "hit"), ended("profile#2", "hit")]
    events += [began("transform[0]"), ended("transform[1]", "hit"), ended("transform[0]")]
    assert lines_of(started(*steps), *events) == [
        "· profile ×2               kept",
        "▸ transform  (new)",
        "✓ transform ×2             0 ms, 1 kept  (new)",
    ]


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (ended("a", failed=True), "✗ a                        failed"),
        (ended("a", "wait"), "‖ a                        waits for a review"),
    ],
)
def test_a_step_that_fails_or_waits_says_so(event, line):
    assert lines_of(started("a"), event) == [line]


def test_the_time_left_follows_from_the_pace():
    clock = Clock()
    progress = Progress(clock=clock)
    progress.take(started("train"))
    progress.take(began("train"))
    clock.now += 30
    stage = progress.take(StepProgress(step="train", done=3, total=10, what="epochs"))
    assert stage is not None
    progress.take(MetricLogged(step="train", name="loss", value=0.4321987, at=3))
    assert stage.left(clock.now) == pytest.approx(70)
    assert stage.shown() == "3/10 epochs, loss 0.4322"


def test_calls_that_ended_and_those_at_work_count_together():
    progress = Progress(clock=Clock())
    for event in (
        started("a[0]", "a[1]", "a[2]", "a[3]"),
        began("a[0]"),
        ended("a[0]"),
        began("a[1]"),
        StepProgress(step="a[1]", done=1, total=2, what=""),
    ):
        stage = progress.take(event)
    assert stage is not None
    assert stage.share == pytest.approx(1.5 / 4)


def test_without_a_terminal_progress_is_said_now_and_then_only():
    clock = Clock()
    said: list[str] = []
    listener = Lines(say=said.append, progress=Progress(clock=clock))
    listener(started("train"))
    listener(began("train"))
    for done in range(1, 101):
        clock.now += 1
        listener(StepProgress(step="train", done=done, total=100, what="batches"))
    assert len(said) == 1 + 10
    assert said[1] == "  train: 10/100 batches, 1:30 min left"


def test_a_step_that_was_not_announced_is_shown_all_the_same():
    assert closing_of("late") == "✓ late                     0 ms  (new)"


def closing_of(step: str) -> str:
    progress = Progress(clock=Clock())
    progress.take(began(step))
    stage = progress.take(ended(step))
    assert stage is not None
    return closing(stage)


def test_json_is_one_object_a_line(capsys):
    with listening(as_json=True) as listen:
        listen(started("a"))
        listen(ended("a"))
    objects = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["event"] for one in objects] == ["run_started", "step_ended"]
    assert objects[1]["name"] == "a"
