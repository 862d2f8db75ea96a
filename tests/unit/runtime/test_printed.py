"""What a step prints is kept in its run's folder, and never mixes with what the command says."""

import io
import sys
from pathlib import Path

import pytest

from raypipe.runtime.printed import Tee, log_file, printing_to


@pytest.fixture
def log(tmp_path) -> Path:
    return tmp_path / "runs" / "r1" / "load.log"


def test_what_is_printed_is_in_the_file_and_on_stderr_and_not_on_stdout(log, capsys):
    with printing_to(log, aloud=True):
        print("hello")  # noqa: T201
    assert log.read_text() == "hello\n"
    assert capsys.readouterr() == ("", "hello\n")


def test_what_is_printed_quietly_is_in_the_file_alone(log, capsys):
    with printing_to(log, aloud=False):
        print("hello")  # noqa: T201
    assert log.read_text() == "hello\n"
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
    assert log.read_text() == "so far\n"


def test_another_attempt_goes_on_in_the_same_file(log):
    for attempt in range(2):
        with printing_to(log, aloud=False):
            print(attempt)  # noqa: T201
    assert log.read_text() == "0\n1\n"


def test_each_line_can_be_read_while_the_step_runs(log):
    with printing_to(log, aloud=False):
        print("one")  # noqa: T201
        assert log.read_text() == "one\n"
        print("two")  # noqa: T201
        assert log.read_text() == "one\ntwo\n"


@pytest.mark.parametrize(
    ("text", "kept"), [("Grüße € 漢", "Grüße € 漢"), ("a\udcffb", "a\\udcffb")]
)
def test_any_text_can_be_printed_whatever_the_locale_is(log, text, kept):
    with printing_to(log, aloud=False):
        print(text)  # noqa: T201
    assert log.read_text(encoding="utf-8") == kept + "\n"


def test_a_stream_beside_the_file_is_flushed_and_stays_open(log):
    beside = io.StringIO()
    tee = Tee(log, beside)
    tee.write("x")
    tee.flush()
    assert log.read_text() == "x"
    tee.close()
    assert beside.getvalue() == "x"
    assert not beside.closed
    assert tee.closed


def test_steps_inside_one_another_each_have_their_own_file(log, tmp_path):
    inner = tmp_path / "inner.log"
    with printing_to(log, aloud=False):
        print("outer")  # noqa: T201
        with printing_to(inner, aloud=False):
            print("inner")  # noqa: T201
        print("outer again")  # noqa: T201
    assert log.read_text() == "outer\nouter again\n"
    assert inner.read_text() == "inner\n"


@pytest.mark.parametrize("step", ["load", "load#2", "load[3]", "a/b"])
def test_each_step_of_a_run_has_a_file_in_the_folder_of_its_run(tmp_path, step):
    file = log_file(tmp_path, "r1", step)
    assert file.parent == tmp_path / "runs" / "r1"
    assert file.suffix == ".log"


def test_a_step_may_print_bytes(tmp_path):
    file = tmp_path / "s.log"
    with printing_to(file, aloud=False):
        assert sys.stdout.encoding == "utf-8"
        sys.stdout.buffer.write("grün\n".encode())
        sys.stdout.buffer.write(b"\xff\n")
    assert file.read_text() == "grün\n\\xff\n"
