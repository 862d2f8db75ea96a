"""What a running step can ask and say, and that it may ask outside a run too."""

import json
import threading
import time
from contextvars import copy_context
from dataclasses import replace
from pathlib import Path

import pytest

import raypipe
from raypipe.engine.context import StepContext, append_event, current, within


@pytest.fixture
def context(tmp_path) -> StepContext:
    return StepContext(
        run="r1",
        step="train",
        runtime="inline",
        home=tmp_path,
        root=tmp_path,
        paths=(str(tmp_path),),
        scratch=tmp_path,
        events=tmp_path / "events.jsonl",
    )


def told(context):
    return [json.loads(line) for line in context.events.read_text().splitlines()]


# --- the current one ----------------------------------------------------------------------------


def test_the_current_context_is_that_of_the_innermost_body(context):
    inner = replace(context, step="inner")
    with within(context) as entered:
        assert entered is current() is context
        with within(inner):
            assert current() is inner
        assert current() is context
    assert current().runtime == "plain"


def test_after_a_body_that_raised_the_context_is_as_it_was(context):
    with pytest.raises(KeyError), within(context):
        raise KeyError
    assert current().runtime == "plain"


@pytest.mark.parametrize(
    ("name", "step"),
    [("", 1), ("\ud800", 1), ("a\0", 1), ("x" * 1000, 1), (3, 1), ("loss", 10**30)],
)
def test_a_metric_that_no_ledger_can_hold_is_refused_where_it_is_logged(context, name, step):
    with within(context), pytest.raises(ValueError, match="metric"):
        raypipe.log_metric(name, 0.5, step)
    assert not context.events.exists()


def test_outside_a_run_there_is_a_context_that_reports_to_nobody():
    plain = current()
    assert (plain.run, plain.step, plain.runtime) == ("", "", "plain")
    assert (plain.home, plain.root, plain.paths, plain.events) == (None, None, (), None)
    plain.progress(1, 2)
    plain.log_metric("loss", 0.5, 1)
    assert list(plain.scratch.glob("*.jsonl")) == []


def test_outside_a_run_the_folder_to_work_in_stays_the_same():
    assert current().scratch.is_dir()
    assert current().scratch == current().scratch


def test_a_thread_of_a_step_is_in_that_step_unless_several_run_here(context):
    found = []

    def look():
        found.append(current().step)

    def in_threads():
        given = copy_context()
        for target in (look, lambda: given.run(look)):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()

    with within(context):
        in_threads()
        with within(replace(context, step="another")):
            in_threads()
    in_threads()
    assert found == ["train", "train", "", "another", "", ""]


# --- what it says -------------------------------------------------------------------------------


def test_progress_and_metrics_are_lines_for_the_driver(context):
    before = time.time()
    context.progress(1, 3, "epochs")
    context.progress(2, 3)
    context.log_metric("loss", 1, 2)
    events = told(context)
    assert all(before <= event.pop("time") <= time.time() for event in events)
    assert events == [
        {"event": "progress", "done": 1, "total": 3, "what": "epochs"},
        {"event": "progress", "done": 2, "total": 3, "what": ""},
        {"event": "metric", "name": "loss", "value": 1.0, "step": 2},
    ]


def test_a_metric_is_a_float_at_a_whole_number(context):
    class Scalar:
        def __float__(self):
            return 0.25

    context.log_metric("loss", Scalar(), 3.0)
    (event,) = told(context)
    assert (event["value"], event["step"]) == (0.25, 3)
    assert type(event["step"]) is int


@pytest.mark.parametrize("value", ["low", None, [1]])
def test_a_metric_that_is_no_number_is_refused(context, value):
    with pytest.raises((TypeError, ValueError)):
        context.log_metric("loss", value, 1)
    assert not context.events.exists()


def test_the_packages_own_functions_speak_for_the_current_step(context):
    with within(context):
        raypipe.progress(1, 2, "rows")
        raypipe.log_metric("loss", 0.5, 1)
        assert raypipe.current() is context
    assert [event["event"] for event in told(context)] == ["progress", "metric"]


def test_each_event_is_one_whole_line_after_those_that_are_there(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text('{"event":"a"}\n')
    append_event(path, {"event": "b", "text": "two\nlines, Zürich"})
    first, second = path.read_text().splitlines()
    assert first == '{"event":"a"}'
    assert json.loads(second) == {"event": "b", "text": "two\nlines, Zürich"}
    assert path.read_bytes().endswith(b"\n")


def test_lines_of_several_threads_do_not_mix(tmp_path):
    path: Path = tmp_path / "events.jsonl"

    def write(who):
        for number in range(50):
            append_event(path, {"who": who, "number": number, "text": "x" * 500})

    threads = [threading.Thread(target=write, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(events) == 200
    for who in range(4):
        assert [e["number"] for e in events if e["who"] == who] == list(range(50))


def test_outside_a_run_progress_and_metrics_are_nothing_and_leave_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("raypipe.engine.context._plain", [])
    raypipe.progress(1, 2)
    raypipe.log_metric("loss", 0.5)
    assert list(tmp_path.iterdir()) == []


def test_a_driver_in_this_process_looks_now_and_then_at_what_is_said(context):
    looks = []
    with within(context, tell=lambda: looks.append(len(told(context)))):
        for done in range(100):
            raypipe.progress(done, 100)
    assert looks[0] == 1
    assert 1 <= len(looks) < 50
