"""The command line says what is wrong and what to do, and exits with the code of the fault."""

import json
import os
import signal
import subprocess
import sys

import pytest

from raypipe.cli.main import execute

HEAVY = ("pydantic", "yaml", "pyarrow", "numpy", "torch", "ray", "rich", "sqlite3", "altair")


def test_help_imports_nothing_heavy():
    """`raypipe --help` is to answer within 0.10 s of CPU above bare Python."""
    asks = (
        "import sys; from raypipe.cli.main import execute; "
        f"execute(['--help']); print([m for m in {HEAVY} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_has_a_line_for_every_command(capsys):
    assert execute(["--help"]) == 0
    shown = capsys.readouterr().out.partition("Commands:")[2].split()
    for command in ("run", "plan", "why", "runs", "review", "models", "score", "data", "config",
                    "doctor", "clean", "lineage"):  # fmt: skip
        assert command in shown


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["run", "--forse", "x"], 2, "No such option: --forse"),
        (["review", "approve", "x"], 2, "Missing option '--by'"),
        (["run", "--runtime", "moon"], 2, "'moon' is not one of"),
        (["config", "check", "gone.yaml"], 9, "there is no file gone.yaml"),
        (["run", "x" * 5000 + ".py"], 9, "there is no file 'xxx"),
        (["plan", "x" * 5000 + "/flow.py"], 9, "there is no file 'xxx"),
        (["runs", "show", "\udcff"], 2, "'\\udcff' is no UTF-8 text"),
        (["runs", "list", "--limit", "1" * 30], 2, "1000000000"),
        (["clean", "--runs", "1" * 30], 2, "1000000000"),
    ],
)
def test_a_fault_has_a_sentence_a_next_step_and_its_exit_code(capsys, arguments, code, says):
    assert execute(arguments) == code
    said = capsys.readouterr()
    assert said.out == ""
    first, *_, last = said.err.splitlines()
    assert first.startswith("raypipe: ")
    assert says in first
    assert last.startswith("→ ")
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    ("arguments", "kind", "code"),
    [
        (["config", "check", "gone.yaml", "--json"], "NotFound", 9),
        (["run", "--forse", "--json"], "NoSuchOption", 2),
    ],
)
def test_json_ends_with_a_result_that_holds_the_error(capsys, arguments, kind, code):
    assert execute(arguments) == code
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["event"] == "result"
    assert (result["error"]["kind"], result["error"]["exit"]) == (kind, code)
    assert {"run", "pipeline", "status", "steps", "outputs", "reviews"} <= result.keys()


def test_a_fault_of_raypipe_is_one_line_and_shows_its_traceback_only_when_asked(
    capsys, monkeypatch
):
    def nobody_thought_of_this(*_):
        raise ZeroDivisionError("by 0")

    monkeypatch.setattr("raypipe.config.load.load", nobody_thought_of_this)
    assert execute(["config", "check", __file__]) == 1
    said = capsys.readouterr().err
    assert said.startswith(
        "raypipe: this is a fault of raypipe, not of yours: ZeroDivisionError: by 0 in test_main.py"
    )
    assert "Traceback" not in said

    monkeypatch.setenv("RAYPIPE_DEBUG", "1")
    assert execute(["config", "check", __file__]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_fault():
    """`raypipe config schema | head -1`."""
    command = [sys.executable, "-m", "raypipe", "config", "schema"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


SLOW = """
import time
from raypipe import pipeline, step

@step
def slow() -> int:
    for _ in range(1200):
        time.sleep(0.05)  # in short: Python can miss a signal that comes just before a sleep
    return 1

@pipeline
def flow():
    return slow()
"""


def test_ctrl_c_is_told_once(project):
    project.write("flow.py", SLOW)
    with project.start("run", "flow.py") as process:
        assert "slow" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert ": cancelled" in out
    assert err.count("interrupted") == err.count("\n→ ") == 1


@pytest.mark.parametrize("times", [1, 3])
def test_ctrl_c_ends_with_130_however_often_it_is_pressed(project, times):
    project.write("flow.py", SLOW)
    with project.start("run", "flow.py", "--json") as process:
        for line in process.stdout:
            if json.loads(line)["event"] == "step_started":
                break
        for _ in range(times):
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err.startswith("raypipe: interrupted\n→ ")
    result = json.loads(out.splitlines()[-1])
    assert (result["status"], result["error"]["exit"]) == ("cancelled", 130)


def test_config_show_prints_yaml_that_reads_back_equal(tmp_path, capsys):
    from raypipe.config.load import load

    file = tmp_path / "s.yaml"
    file.write_text(
        "name: flights\n"
        "data: {dataset: local://f/main, label: 'no', split: {by: hash, columns: ['12:30']}}\n"
        "preprocessing: {groups: [{kind: numeric, columns: '1e3'}]}\n"
    )
    assert execute(["config", "show", str(file)]) == 0
    shown = tmp_path / "shown.yaml"
    shown.write_text(capsys.readouterr().out)
    assert load(shown) == load(file)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
@pytest.mark.parametrize("as_json", [False, True])
def test_what_the_encoding_of_the_terminal_lacks_is_shown_as_an_escape(encoding, as_json):
    text = "→ café \U0001f600 \udcff"
    written = f"dump({{'text': {text!a}}})" if as_json else ascii(text)
    done = subprocess.run(
        [sys.executable, "-c", f"from raypipe.cli.face import dump, write; write({written})"],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        text=True,
        encoding=encoding,
        check=True,
    )
    if as_json:
        assert json.loads(done.stdout) == {"text": text}
    else:
        assert done.stdout.endswith(" \\udcff\n")
