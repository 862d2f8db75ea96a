"""While a run goes, one sees which step is at work, how far it is, and how long it will take."""

import json

import pytest

from raypipe.cli.live import Lines, Progress, closing, is_over, listening, tree
from raypipe.engine.events import (
    CodeDiffers,
    MetricLogged,
    RunStarted,
    StepEnded,
    StepExpanded,
    StepProgress,
    StepRetried,
    StepStarted,
    StepWaits,
    Warned,
)
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


# --- maps, warnings, retries --------------------------------------------------------------------


RETRY = StepRetried(step="train", cause="raised", why="no\nmore", wait=1.5, left=2)


def test_the_items_of_a_map_are_one_line_and_the_map_itself_is_none_of_them():
    events = [began("nums"), ended("nums"), StepExpanded(step="double", items=3)]
    for number in range(3):
        events += [began(f"double[{number}]"), ended(f"double[{number}]")]
    events += [ended("double", "hit"), ended("total", "hit")]
    assert lines_of(started("nums", "double", "total"), *events)[2:] == [
        "▸ double  (new)",
        "✓ double ×3                0 ms  (new)",
        "· total                    kept",
    ]


def test_a_map_over_nothing_is_over_at_once():
    events = [StepExpanded(step="double", items=0), ended("double", "hit")]
    assert lines_of(started("double"), *events) == ["· double ×0                kept"]


def test_a_step_says_how_often_it_was_tried_again_and_how_often_it_warned():
    events = [began("train"), Warned(step="train", text="slow"), RETRY, RETRY, ended("train")]
    assert lines_of(started("train"), *events)[-1] == (
        "✓ train                    0 ms  (new)  [2 retries, 1 warning]"
    )
    assert lines_of(started("train"), began("train"), RETRY)[0] == "▸ train  (new)"
    assert "! train: no; tried again in 1.5 s" in lines_of(began("train"), RETRY)


def test_a_step_that_has_no_place_yet_says_what_it_waits_for():
    waits = StepWaits(step="train", what="1 GPU, and there is none")
    assert "! train waits: 1 GPU, and there is none" in lines_of(began("train"), waits)
    (_, row) = tree(progress_of(started("train"), began("train"), waits), 100.0, 24)
    assert row.endswith("waits: 1 GPU, and there is none")


def test_a_warning_is_said_where_nobody_saw_it_yet():
    far = StepStarted(step="train", reason="new", where="ray")
    warned = Warned(step="train", text="slow")
    assert "! train: slow" in lines_of(started("train"), far, warned)
    assert "! train: slow" not in lines_of(started("train"), began("train"), warned)
    assert lines_of(Warned(step="", text="careful")) == ["! careful"]


def test_code_that_differs_is_said_in_one_line_or_with_the_steps_that_follow():
    kept = CodeDiffers(resumes="r1", uses="kept", files=("a.py", "b.py", "c.py", "d.py", "e.py"))
    (line,) = lines_of(kept)
    assert "a.py, b.py, c.py and 2 more" in line
    assert "--code now" in line
    state = StepState(name="f", action="execute", reason=Reason(kind="code", what="m:f"))
    now = CodeDiffers(resumes="r1", uses="now", files=("a.py",), steps=(state,))
    assert lines_of(now) == [
        "! today's code differs from that of run r1: a.py",
        "!   f: execute (code: m:f)",
    ]


# --- the tree -----------------------------------------------------------------------------------


def progress_of(*events, clock=None) -> Progress:
    progress = Progress(clock=clock or Clock())
    for event in events:
        progress.take(event)
    return progress


def test_a_tree_has_a_row_for_each_step_with_its_state_its_time_and_what_is_left():
    clock = Clock()
    progress = progress_of(started("load", "train", "total"), began("load"), clock=clock)
    clock.now += 2
    for event in (ended("load"), began("train")):
        progress.take(event)
    clock.now += 30
    progress.take(StepProgress(step="train", done=3, total=10, what="epochs"))
    head, *rows = tree(progress, clock.now, 24)
    assert head == "p  r  0:32  1 of 3 steps"
    assert rows[0] == "├─ ✓ load                     2.0 s  (new)"
    assert rows[1].split() == [
        "├─", rows[1].split()[1], "train", "━━━━━───────────", "0:30", "3/10", "epochs", "70", "s",
        "left",
    ]  # fmt: skip
    assert rows[2] == "└─ ○ total"


@pytest.mark.parametrize("height", [3, 5, 8, 24, 60])
def test_a_tree_fits_the_terminal_and_shows_what_is_at_work(height):
    names = [f"step{number}" for number in range(50)]
    events = [e for name in names[:20] for e in (began(name), ended(name))]
    progress = progress_of(started(*names), *events, began("step20"))
    rows = tree(progress, 100.0, height)
    assert len(rows) < height
    assert any(" step20 " in row for row in rows)
    shown = sum("step" in row.partition("…")[0] for row in rows[1:])
    hidden = [row for row in rows if "…" in row]
    if height >= 5:
        counted = [int(row.partition("… ")[2].split()[0]) for row in hidden]
        assert shown + sum(counted) == 50


def test_ten_thousand_items_are_one_row_however_they_stand():
    events = [StepExpanded(step="double", items=10_000)]
    events += [began(f"double[{number}]") for number in range(6_000)]
    events += [ended(f"double[{number}]") for number in range(5_000)]
    progress = progress_of(started("double"), *events)
    assert len(progress.stages) == 1
    (_, row) = tree(progress, 100.0, 24)
    assert "double ×10,000" in row
    assert "━━━━━━━━────────" in row
    assert "5,000/10,000" in row
    assert not is_over(progress.stages["double"])
