"""What a step prints is kept in its run's folder, and never mixes with what the command says."""

import io
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from raypipe.runtime.printed import MOST_WARNINGS, Log, Tee, log_file, printing_to


@pytest.fixture
def log(tmp_path) -> Path:
    return tmp_path / "runs" / "r1" / "load.jsonl"


def lines(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def texts(file: Path) -> list[str]:
    return [line["text"] for line in lines(file)]


def test_what_is_printed_is_in_the_file_and_on_stderr_and_not_on_stdout(log, capsys):
    with printing_to(log, aloud=True):
        print("hello")  # noqa: T201
    assert texts(log) == ["hello"]
    assert capsys.readouterr() == ("", "hello\n")


def test_what_is_printed_quietly_is_in_the_file_alone(log, capsys):
    with printing_to(log, aloud=False):
        print("hello")  # noqa: T201
    assert texts(log) == ["hello"]
    assert capsys.readouterr() == ("", "")


def test_a_step_that_prints_nothing_leaves_no_file(log):
    with printing_to(log, aloud=True):
        pass
    assert not log.parent.exists()


def test_stdout_is_itself_again_afterwards_even_when_the_step_fails(log, capsys):
    before = sys.stdout

    def fail() -> None:
        with printing_to(log, aloud=False):
            print("so far")  # noqa: T201
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert sys.stdout is before
    print("after")  # noqa: T201
    assert capsys.readouterr().out == "after\n"
    assert texts(log) == ["so far"]


def test_another_attempt_goes_on_in_the_same_file(log):
    for attempt in range(2):
        with printing_to(log, aloud=False):
            print(attempt)  # noqa: T201
    assert texts(log) == ["0", "1"]


def test_each_line_can_be_read_while_the_step_runs(log):
    with printing_to(log, aloud=False):
        print("one")  # noqa: T201
        assert texts(log) == ["one"]
        print("two")  # noqa: T201
        assert texts(log) == ["one", "two"]


@pytest.mark.parametrize("text", ["Grüße € 漢", "a\udcffb", "\x00", "a\rb"[:1], "\u2028"])
def test_any_text_can_be_printed_whatever_the_locale_is(log, text):
    with printing_to(log, aloud=False):
        print(text)  # noqa: T201
    assert texts(log) == [text]


def test_a_stream_beside_the_file_stays_open_and_a_line_without_an_end_is_kept(log):
    beside = io.StringIO()
    tee = Tee(Log(log), "stdout", beside)
    tee.write("x")
    tee.flush()
    tee.close()
    assert texts(log) == ["x"]
    assert beside.getvalue() == "x"
    assert not beside.closed
    assert tee.closed


def test_a_stream_beside_the_file_that_takes_no_more_stops_no_step(log):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", buffering=1) as gone:
        tee = Tee(Log(log), "stdout", gone)
        tee.write("one\n")
        tee.write("two\n")
        tee.flush()
        os.dup2(nowhere := os.open(os.devnull, os.O_WRONLY), writer)
        os.close(nowhere)
    assert texts(log) == ["one", "two"]


def test_steps_inside_one_another_each_have_their_own_file(log, tmp_path):
    inner = tmp_path / "inner.log"
    with printing_to(log, aloud=False):
        print("outer")  # noqa: T201
        with printing_to(inner, aloud=False):
            print("inner")  # noqa: T201
        print("outer again")  # noqa: T201
    assert texts(log) == ["outer", "outer again"]
    assert texts(inner) == ["inner"]


@pytest.mark.parametrize("step", ["load", "load#2", "load[3]", "a/b"])
def test_each_step_of_a_run_has_a_file_in_the_folder_of_its_run(tmp_path, step):
    file = log_file(tmp_path, "r1", step)
    assert file.parent == tmp_path / "runs" / "r1"
    assert file.suffix == ".jsonl"


def test_a_step_may_print_bytes(tmp_path):
    file = tmp_path / "s.log"
    with printing_to(file, aloud=False):
        assert sys.stdout.encoding == "utf-8"
        sys.stdout.buffer.write("grün\n".encode())
        sys.stdout.buffer.write(b"\xff\n")
    assert texts(file) == ["grün", "\\xff"]


# --- what a line says ---------------------------------------------------------------------------


def test_each_line_says_when_how_bad_which_step_which_attempt_and_which_stream(log, capsys):
    before = time.time()
    with printing_to(log, aloud=False, step="train", attempt=2):
        print("to stdout")  # noqa: T201
        print("to stderr", file=sys.stderr)  # noqa: T201
    found = lines(log)
    assert all(before <= line.pop("time") <= time.time() for line in found)
    of = {"level": "info", "step": "train", "attempt": 2}
    assert found == [
        {**of, "stream": "stdout", "text": "to stdout"},
        {**of, "stream": "stderr", "text": "to stderr"},
    ]
    assert capsys.readouterr() == ("", "to stderr\n")


def test_of_a_line_that_overwrites_itself_the_last_state_is_kept(log):
    with printing_to(log, aloud=False):
        for share in (10, 50, 100):
            sys.stderr.write(f"\r{share} %")
        sys.stderr.write("\nwindows\r\n")
    assert texts(log) == ["100 %", "windows"]


def test_lines_of_several_threads_do_not_mix(log):
    def say(who: int) -> None:
        for _ in range(50):
            sys.stdout.write(str(who) * 5)
            sys.stdout.write(str(who) * 5 + "\n")

    with printing_to(log, aloud=False):
        threads = [threading.Thread(target=say, args=(who,)) for who in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(texts(log)) == sorted(str(who) * 10 for who in range(4) for _ in range(50))


def test_a_process_that_a_step_starts_may_write_to_its_stderr(log, capfd):
    with printing_to(log, aloud=False):
        subprocess.run([sys.executable, "-c", "print('child')"], stdout=sys.stderr, check=True)
    assert capfd.readouterr().err == "child\n"


# --- logging ------------------------------------------------------------------------------------


@contextmanager
def nothing_set_up() -> Iterator[logging.Logger]:
    """Python's logging as a program finds it that has set up nothing; pytest has."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    root.handlers = []
    root.setLevel(logging.WARNING)
    try:
        yield root
    finally:
        root.handlers = handlers
        root.setLevel(level)


def test_what_python_logs_is_kept_with_its_level_and_its_logger(log, capsys):
    with nothing_set_up(), printing_to(log, aloud=False, step="train"):
        logging.getLogger("mine").debug("too fine")
        logging.getLogger("mine").info("epoch %s", 3)
        logging.getLogger("mine").warning("slow")
    found = [(one["level"], one["logger"], one["stream"], one["text"]) for one in lines(log)]
    assert found == [
        ("info", "mine", "logging", "epoch 3"),
        ("warning", "mine", "logging", "slow"),
    ]
    assert capsys.readouterr().err == "slow\n"  # as Python does by itself


def test_logging_is_as_it_was_afterwards(log):
    pass_on = logging.Logger.callHandlers
    with nothing_set_up() as root:
        with pytest.raises(KeyError), printing_to(log, aloud=False):
            raise KeyError
        assert root.level == logging.WARNING
    assert logging.Logger.callHandlers is pass_on


def test_a_step_that_sets_up_logging_gets_what_it_asked_for_and_each_line_once(log, capsys):
    with nothing_set_up() as root:
        with printing_to(log, aloud=False):
            logging.basicConfig(level=logging.DEBUG, format="%(levelname)s:%(message)s")
            logging.getLogger("mine").debug("fine")
        assert root.level == logging.DEBUG
    assert texts(log) == ["fine"]
    assert capsys.readouterr().err == "DEBUG:fine\n"


def test_a_traceback_is_kept_with_the_line_that_carries_it(log):
    with nothing_set_up(), printing_to(log, aloud=False):
        try:
            raise ValueError("no")
        except ValueError:
            logging.getLogger().exception("it failed")
    (text,) = texts(log)
    assert text.startswith("it failed\nTraceback")
    assert text.endswith("ValueError: no")
    assert lines(log)[0]["level"] == "error"


def test_a_message_that_does_not_fit_its_arguments_does_no_harm(log):
    with nothing_set_up(), printing_to(log, aloud=False):
        logging.getLogger().setLevel(logging.CRITICAL)
        logging.getLogger().critical("%d", "x")
    assert texts(log)[0].startswith("'%d' (TypeError")


def test_warnings_are_told_at_once_and_no_flood_of_them(log):
    told: list[str] = []
    with nothing_set_up(), printing_to(log, aloud=False, warn=told.append):
        logging.getLogger().info("fine")
        for number in range(MOST_WARNINGS + 5):
            logging.getLogger().warning("slow %s\nmore", number)
    assert told == [f"warning: slow {number}" for number in range(MOST_WARNINGS)]
    assert len(lines(log)) == 1 + MOST_WARNINGS + 5
