"""One call of a step: tried as often as it may be, within its time, told in the user's words."""

import contextvars
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from raypipe.engine.context import current
from raypipe.engine.ports import CallOutcome
from raypipe.errors import (
    PipelineError,
    StepFailed,
    UsageError,
    ValidationStopped,
)
from raypipe.runtime.execute import execute, find_function
from raypipe.runtime.printed import log_file


@pytest.fixture
def run(call_of, codec, artifacts) -> Callable[..., CallOutcome]:
    """Runs a function as a step."""
    return lambda function, **given: execute(call_of(function, **given), codec, artifacts, "inline")


def value(outcome, codec, artifacts, index=0):
    assert outcome.error is None, outcome.error
    return codec.decode(artifacts.read(outcome.outputs[index].root), artifacts)


def failing(times: int, error: BaseException) -> tuple[Callable[[], int], list[int]]:
    attempts: list[int] = []

    def flaky() -> int:
        attempts.append(len(attempts) + 1)
        if len(attempts) <= times:
            raise error
        return len(attempts)

    return flaky, attempts


# --- values and context -------------------------------------------------------------------------


def test_arguments_are_read_and_the_output_is_published(run, codec, artifacts):
    def add(a, b):
        return {"sum": a + b}

    outcome = run(add, a=1, b=2)
    assert value(outcome, codec, artifacts) == {"sum": 3}
    assert outcome.outputs[0].root == codec.encode({"sum": 3}).digest
    assert all(map(artifacts.intact, outcome.outputs[0].artifacts))


def test_lists_and_dicts_of_manifests_are_read_part_by_part(run, codec, artifacts):
    def show(parts):
        return repr(parts)

    one, two = (codec.encode(n).manifest for n in (1, 2))
    outcome = run(show, _arguments={"parts": {"a": [one, two], "b": two}})
    assert value(outcome, codec, artifacts) == "{'a': [1, 2], 'b': 2}"


def test_a_folder_that_was_returned_is_published_with_the_manifest(run, codec, artifacts):
    def write():
        folder = current().scratch / "out"
        folder.mkdir()
        (folder / "a.txt").write_text("a")
        return folder

    outcome = run(write)
    assert (value(outcome, codec, artifacts) / "a.txt").read_text() == "a"
    assert len(outcome.outputs[0].artifacts) == 2


def test_a_step_knows_its_run_and_reports_to_the_driver(run, codec, artifacts, tmp_path):
    def ask():
        context = current()
        context.progress(1, 2, "rows")
        return [context.run, context.step, context.runtime, str(context.root)]

    outcome = run(ask)
    assert value(outcome, codec, artifacts) == ["r1", "ask", "inline", str(tmp_path)]
    assert current().runtime == "plain"


def test_a_step_can_import_from_the_projects_folders_and_the_path_is_as_before(
    run, codec, artifacts, tmp_path
):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "only_in_the_library.py").write_text("X = 7\n")
    before = list(sys.path)

    def use():
        import only_in_the_library

        return only_in_the_library.X

    assert value(run(use, _folders=("lib",)), codec, artifacts) == 7
    assert sys.path == before
    del sys.modules["only_in_the_library"]


# --- failures -----------------------------------------------------------------------------------


def test_a_failure_shows_the_users_frames_alone(run):
    def helper():
        raise KeyError("column")

    def load():
        return helper()

    error = run(load).error
    assert isinstance(error, StepFailed)
    assert (error.step, error.kind) == ("load", "KeyError")
    assert str(error) == "step 'load' raised KeyError: 'column'"
    assert error.frames.count("File ") == 2
    assert "return helper()" in error.frames
    assert "raise KeyError" in error.frames
    assert "execute.py" not in error.frames.replace(__file__, "")


def test_a_failure_of_the_import_shows_the_users_line(call_of, codec, artifacts, tmp_path):
    (tmp_path / "breaks_when_imported.py").write_text("x = 1\ny = x / 0\n")
    call = call_of(len, _function=None, _target="breaks_when_imported:f")
    error = execute(call, codec, artifacts, "ray").error
    assert isinstance(error, StepFailed)
    assert error.kind == "ZeroDivisionError"
    assert "line 2" in error.frames
    assert "importlib" not in error.frames


@pytest.mark.parametrize("code", [0, 1, "stopped here"])
def test_a_step_that_exits_the_process_has_failed(run, code):
    def load():
        sys.exit(code)

    error = run(load).error
    assert isinstance(error, StepFailed)
    assert error.kind == "SystemExit"
    assert str(code) in str(error)


def test_ctrl_c_goes_through(run):
    def load():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(load)


def test_what_raypipe_raises_on_purpose_stays_what_it_is(run):
    said = ValidationStopped("a column is missing", hint="look at the schema")

    def load():
        raise said

    assert run(load).error is said


@pytest.mark.parametrize(
    ("made", "kind"),
    [
        (threading.Lock, "lock"),
        (lambda: {"a": [1, object()]}, "object"),
        (lambda: (n for n in "ab"), "generator"),
    ],
)
def test_what_cannot_be_kept_is_an_error_that_names_step_and_type(run, artifacts, made, kind):
    def load():
        return made()

    error = run(load).error
    assert isinstance(error, StepFailed)
    assert (error.step, error.kind) == ("load", "TypeError")
    assert "'load'" in str(error)
    assert kind in str(error)
    assert "dataclasses" in str(error.hint)
    assert not list(artifacts.list())


def test_a_type_error_of_the_users_own_is_not_taken_for_one_of_the_output(run):
    def load():
        return 1 + "a"

    error = run(load).error
    assert isinstance(error, StepFailed)
    assert "raised TypeError" in str(error)
    assert error.hint is None


@pytest.mark.parametrize(
    ("returned", "said"), [([1], "not 1"), ([1, 2, 3], "not 3"), ({1: 1, 2: 2}, "not dict")]
)
def test_a_batch_must_return_as_many_as_it_was_given(run, codec, artifacts, returned, said):
    def load(items):
        return returned

    items = [codec.encode(n).manifest for n in (1, 2)]
    error = run(load, _batch="items", _arguments={"items": items}).error
    assert isinstance(error, StepFailed)
    assert said in str(error)
    assert not list(artifacts.list())


def test_a_batch_publishes_one_output_an_item(run, codec, artifacts):
    def load(items, by):
        return tuple(item * by for item in items)

    items = [codec.encode(n).manifest for n in (1, 2)]
    by = codec.encode(10).manifest
    outcome = run(load, _batch="items", _arguments={"items": items, "by": by})
    assert [value(outcome, codec, artifacts, n) for n in (0, 1)] == [10, 20]


# --- items that are handed in -------------------------------------------------------------------


@pytest.fixture
def batch(call_of, codec):
    """Makes a call that is batched over two items."""

    def batch(function, **fields):
        items = [codec.encode(n).manifest for n in (1, 2)]
        return call_of(function, _batch="items", _arguments={"items": items}, **fields)

    return batch


def made(call):
    """What the driver is told of items that were handed in."""
    lines = call.events.read_text().splitlines() if call.events.exists() else []
    return [event for event in map(json.loads, lines) if event["event"] == "made"]


def test_what_is_handed_in_is_published_before_the_driver_is_told(batch, codec, artifacts):
    seen = []

    def load(items):
        current().hand_in(1, {"twice": 2 * items[1]})
        seen.append((made(call), set(artifacts.list())))
        return [0, {"twice": 4}]

    call = batch(load)
    outcome = execute(call, codec, artifacts, "ray")
    ((told,), there) = seen[0]
    expected = codec.encode({"twice": 4})
    assert (told["run"], told["item"], told["root"]) == ("r1", 1, expected.digest)
    assert told["seconds"] >= 0
    assert {stat["digest"] for stat in told["artifacts"]} == there
    assert value(outcome, codec, artifacts, 1) == {"twice": 4}


def test_what_was_handed_in_outlives_a_failure(batch, codec, artifacts):
    def load(items):
        current().hand_in(0, items[0])
        raise ValueError("no")

    call = batch(load)
    assert isinstance(execute(call, codec, artifacts, "inline").error, StepFailed)
    (told,) = made(call)
    assert codec.decode(artifacts.read(told["root"]), artifacts) == 1


def test_a_driver_in_this_process_looks_at_once(batch, codec, artifacts):
    looked = []

    def load(items):
        for place, item in enumerate(items):
            current().hand_in(place, item)
        return items

    call = batch(load, _listen=lambda: looked.append(len(made(call))))
    assert execute(call, codec, artifacts, "inline").error is None
    assert looked == [1, 2]


def test_a_driver_in_this_process_does_not_look_from_another_thread(batch, codec, artifacts):
    looked = []

    def load(items):
        aside = contextvars.copy_context()
        thread = threading.Thread(target=lambda: aside.run(current().hand_in, 0, items[0]))
        thread.start()
        thread.join()
        return items

    call = batch(load, _listen=lambda: looked.append(1))
    assert execute(call, codec, artifacts, "inline").error is None
    assert looked == []
    assert len(made(call)) == 1


def texts(log: Path) -> list[str]:
    return [json.loads(line)["text"] for line in log.read_text().splitlines()]


def test_what_the_driver_says_meanwhile_is_no_print_of_the_step(
    batch, codec, artifacts, tmp_path, capsys
):
    def load(items):
        print("the step")  # noqa: T201
        current().hand_in(0, 1)
        print("again")  # noqa: T201
        return items

    call = batch(load, _listen=lambda: print("the driver"))  # noqa: T201
    execute(call, codec, artifacts, "inline")
    assert texts(log_file(tmp_path / "home", "r1", "load")) == ["the step", "again"]
    said = capsys.readouterr()
    assert (said.out, said.err) == ("the driver\n", "the step\nagain\n")


@pytest.mark.parametrize("item", [2, -1])
def test_an_item_that_was_not_asked_for_is_refused(batch, codec, artifacts, item):
    def load(items):
        current().hand_in(item, 1)
        return items

    call = batch(load)
    error = execute(call, codec, artifacts, "inline").error
    assert f"handed in item {item}; it was given 2, counted from 0" in str(error)
    assert made(call) == []


def test_what_cannot_be_kept_is_refused_when_it_is_handed_in(batch, codec, artifacts):
    def load(items):
        current().hand_in(0, object())
        return items

    call = batch(load)
    error = execute(call, codec, artifacts, "inline").error
    assert "returned what cannot be kept" in str(error)
    assert made(call) == []


def test_without_a_batch_or_a_run_nothing_becomes_of_what_is_handed_in(run, codec, artifacts):
    def load():
        current().hand_in(0, 1)
        return 7

    assert value(run(load), codec, artifacts) == 7
    assert load() == 7


def test_a_step_inside_a_step_hands_in_nothing_once_the_call_ended(batch, codec, artifacts):
    def load(items):
        return items

    call = batch(load)
    execute(call, codec, artifacts, "inline")
    current().hand_in(0, 1)
    assert made(call) == []


# --- attempts -----------------------------------------------------------------------------------


def test_a_failure_tells_by_which_names_it_may_be_tried_again(run):
    def load():
        raise ConnectionResetError("gone")

    error = run(load).error
    assert error.cause == "raised"
    assert {"ConnectionResetError", "ConnectionError", "OSError", "builtins.OSError"} <= {
        *error.classes
    }


@pytest.mark.parametrize("error", [ValidationStopped("no"), UsageError("no"), PipelineError("no")])
def test_what_raypipe_says_on_purpose_is_said_whole(run, error):
    flaky, attempts = failing(9, error)
    assert run(flaky).error is error
    assert attempts == [1]


def test_attempts_share_their_scratch_folder_and_their_log(run, codec, artifacts, tmp_path):
    def goes_on():
        mark = current().scratch / "mark"
        print("attempt")  # noqa: T201
        if not mark.exists():
            mark.write_text("was here")
            raise OSError("not yet")
        return mark.read_text()

    assert isinstance(run(goes_on).error, StepFailed)
    assert value(run(goes_on, _attempt=2), codec, artifacts) == "was here"
    log = log_file(tmp_path / "home", "r1", "goes_on")
    assert texts(log) == ["attempt", "attempt"]
    assert [json.loads(line)["attempt"] for line in log.read_text().splitlines()] == [1, 2]


# --- time ---------------------------------------------------------------------------------------


def test_a_step_that_takes_too_long_is_stopped_and_told(run):
    def waits():
        time.sleep(30)

    started = time.monotonic()
    error = run(waits, _timeout=0.1).error
    assert time.monotonic() - started < 10
    assert isinstance(error, StepFailed)
    assert (error.step, error.kind, error.cause) == ("waits", "TimeoutError", "timeout")
    assert "timeout of 0.1 s" in str(error)


def test_each_attempt_has_the_whole_time(run, codec, artifacts, tmp_path):
    attempts = []

    def waits():
        attempts.append(1)
        if len(attempts) == 1:
            time.sleep(30)
        return len(attempts)

    assert run(waits, _timeout=0.1).error.cause == "timeout"
    assert value(run(waits, _timeout=0.1), codec, artifacts) == 2


def test_the_alarm_is_as_it_was_after_the_step(run):
    before = signal.getsignal(signal.SIGALRM)

    def quick():
        return signal.getitimer(signal.ITIMER_REAL)[0] > 0

    assert run(quick, _timeout=60).error is None
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def in_a_thread(call):
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(call()))
    thread.start()
    thread.join()
    return outcomes[0]


def warnings(events):
    lines = events.read_text().splitlines() if events.exists() else []
    return [event["text"] for event in map(json.loads, lines) if event["event"] == "warning"]


def test_outside_the_main_thread_a_step_runs_without_its_limit_and_that_is_told_once(
    run, codec, artifacts, tmp_path
):
    def slow():
        time.sleep(0.05)
        return 5

    for name, run_id in (("slow[0]", "r7"), ("slow[1]", "r7"), ("slow[0]", "r7"), ("slow", "r8")):
        given = {"_step": name, "_run": run_id, "_events": tmp_path / run_id, "_timeout": 0.01}
        outcome = in_a_thread(lambda given=given: run(slow, **given))
        assert value(outcome, codec, artifacts) == 5

    told = "step 'slow' has a timeout, which is not kept outside the main thread"
    assert warnings(tmp_path / "r7") == warnings(tmp_path / "r8") == [told]


@pytest.mark.parametrize("timeout", [None, 60])
def test_nothing_is_told_of_a_limit_that_is_none_or_is_kept(run, tmp_path, timeout):
    def quick():
        return 5

    here = run(quick, _run="r9", _events=tmp_path / "r9", _timeout=timeout)
    there = in_a_thread(lambda: run(quick, _run="r9", _events=tmp_path / "r9"))
    assert here.error is there.error is None
    assert warnings(tmp_path / "r9") == []


# --- functions ----------------------------------------------------------------------------------


def test_a_step_is_found_by_its_module_and_its_name_in_it(tmp_path, monkeypatch):
    (tmp_path / "found_by_name.py").write_text(
        "from raypipe import step\n\n\n@step\ndef a():\n    return 1\n\n\n"
        "class Of:\n    @staticmethod\n    def b():\n        return 2\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert find_function("found_by_name:a")() == 1
    assert find_function("found_by_name:Of.b")() == 2
    monkeypatch.delitem(sys.modules, "found_by_name")


def test_a_step_inside_a_function_is_an_error_that_says_what_to_do():
    with pytest.raises(PipelineError, match="inside a function") as failed:
        find_function("m:f.<locals>.inner")
    assert "--runtime inline" in str(failed.value.hint)


def test_a_file_that_is_there_no_more_when_it_is_published_is_an_error_of_its_own(run):
    def load():
        return Path("/nowhere/at/all")

    assert run(load).error is not None


# --- what a step may not do ---------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, artifacts, codec):
    """A folder with a file in it, published; and its manifest."""
    source = tmp_path / "given"
    source.mkdir()
    (source / "a.csv").write_text("1\n")
    artifacts.put_path(source)
    return codec.encode(source).manifest


def write(path):
    (path / "a.csv").write_text("2\n")


def add(path):
    (path / "b.csv").touch()


def take_away(path):
    (path / "a.csv").unlink()


@pytest.mark.parametrize("change", [write, add, take_away])
def test_a_step_may_not_change_the_folder_that_it_was_given(
    call_of, codec, artifacts, folder, change
):
    call = replace(call_of(change), arguments={"path": folder})
    outcome = execute(call, codec, artifacts, "inline")
    assert isinstance(outcome.error, StepFailed)
    assert outcome.error.kind == "InputChanged"
    assert "changed 'given', which it was given" in str(outcome.error)


def test_a_step_may_read_the_folder_that_it_was_given(call_of, codec, artifacts, folder):
    def read(path):
        return (path / "a.csv").read_text()

    call = replace(call_of(read), arguments={"path": folder})
    assert value(execute(call, codec, artifacts, "inline"), codec, artifacts) == "1\n"


def test_a_path_that_a_step_returns_is_there(run, tmp_path):
    outcome = run(lambda: tmp_path / "nothing")
    assert isinstance(outcome.error, StepFailed)
    assert "returned what cannot be kept" in str(outcome.error)


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Mute(), "raised Mute: (its text cannot be had: RuntimeError)"),
        (GeneratorExit("gone"), "raised GeneratorExit: gone"),
        (BaseExceptionGroup("many", [SystemExit(1)]), "raised BaseExceptionGroup: many"),
    ],
    ids=["mute", "generator", "group"],
)
def test_whatever_a_step_raises_is_its_failure(run, error, said):
    def broken():
        raise error

    outcome = run(broken)
    assert isinstance(outcome.error, StepFailed)
    assert said in str(outcome.error)


def test_of_what_an_exception_says_the_ends_are_told(run):
    def shows_all_its_data() -> None:
        raise ValueError("begins " + "x" * 10_000_000 + " ends")

    said = str(run(shows_all_its_data).error)
    assert "raised ValueError: begins x" in said
    assert said.endswith("x ends")
    assert len(said) < 3000


def test_an_interruption_is_none_of_the_step(run):
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(interrupted)


def test_a_child_that_a_step_forks_does_not_go_on_as_the_driver(run, tmp_path, codec, artifacts):
    def forks():
        child = os.fork()
        if child:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return None

    outcome = run(forks)
    (tmp_path / "came back").touch()
    assert value(outcome, codec, artifacts) == 1
