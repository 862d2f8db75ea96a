"""What a step reads and does not declare is told of, and nothing else is."""

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from raypipe.engine.ports import CallOutcome
from raypipe.engine.retry import PACES, kind_of
from raypipe.errors import StepFailed
from raypipe.runtime.execute import execute

Run = Callable[..., tuple[CallOutcome, list[str]]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project's folder, with a file of data in it that is older than any step."""
    folder = tmp_path / "project"
    (folder / "data").mkdir(parents=True)
    (folder / "data/rows.txt").write_text("1 2 3")
    os.utime(folder / "data/rows.txt", (1, 1))
    return folder


@pytest.fixture
def run(project, call_of, codec, artifacts) -> Run:
    """Runs a text as a step of the project; returns what came of it, and the warnings."""

    def run(text: str, audit: str = "warn", **fields) -> tuple[CallOutcome, list[str]]:
        names: dict = {}
        text = "import io, os, sqlite3, socket, subprocess\nfrom pathlib import Path\n" + text
        exec(compile(text, str(project / "steps.py"), "exec"), names)
        fields = {f"_{name}": value for name, value in {"audit": audit, **fields}.items()}
        call = call_of(names["step"], _root=project, **fields)
        outcome = execute(call, codec, artifacts, "inline")
        lines = call.events.read_text().splitlines() if call.events.exists() else []
        call.events.unlink(missing_ok=True)
        told = [json.loads(line) for line in lines]
        return outcome, [one["text"] for one in told if one["event"] == "warning"]

    return run


READS = {
    "open": "def step(root):\n    with open(root + '/data/rows.txt') as f:\n"
    "        return f.read()",
    "a path": "def step(root):\n    return Path(root, 'data/rows.txt').read_text()",
    "bytes": "def step(root):\n    open(os.fsencode(root + '/data/rows.txt')).close()",
    "os.open": "def step(root):\n    os.close(os.open(root + '/data/rows.txt', os.O_RDONLY))",
    "a database": "def step(root):\n    sqlite3.connect(root + '/data/rows.txt').close()",
    "a thread": "import threading\ndef step(root):\n    t = threading.Thread(target=read,"
    " args=(root,))\n    t.start()\n    t.join()\n"
    "def read(root):\n    open(root + '/data/rows.txt').close()",
}
VARIABLES = {
    "an item": "def step():\n    return os.environ['RATE']",
    "get": "def step():\n    return os.environ.get('RATE')",
    "getenv": "def step():\n    return os.getenv('RATE', '1')",
    "bytes": "def step():\n    return os.environb[b'RATE'].decode()",
    "whether it is there": "def step():\n    return 'RATE' in os.environ",
}
QUIET = {
    "a file that it wrote": "def step():\n    from raypipe.engine.context import current\n"
    "    file = Path(os.getcwd(), 'made.txt')\n    file.write_text('1')\n"
    "    text = file.read_text()\n    file.unlink()\n    return text",
    "a file that it wrote and moved": "def step():\n    Path('made.txt').write_text('1')\n"
    "    os.rename('made.txt', 'moved.txt')\n    text = Path('moved.txt').read_text()\n"
    "    os.unlink('moved.txt')\n    return text",
    "its scratch": "def step():\n    from raypipe.engine.context import current\n"
    "    file = current().scratch / 'a'\n    file.write_text('1')\n    return file.read_text()",
    "a library": "def step():\n    import colorsys, wave, zoneinfo\n"
    "    return str(zoneinfo.ZoneInfo('UTC'))",
    "the machine": "def step():\n    return Path('/proc/uptime').read_text() + os.environ['PATH']",
    "a variable that it sets": "def step():\n    os.environ['RATE'] = '2'\n"
    "    return os.environ['RATE']",
    "all variables, handed on": "def step():\n    return subprocess.run(['true'],"
    " env={**os.environ, 'A': '1'}).returncode + len(os.environ.copy()) * 0",
    "a file that is not there": "def step():\n    return Path('nowhere.txt').exists()",
    "its own text": "import linecache\ndef step():\n"
    "    return len(linecache.getlines(__file__)) * 0\n__file__ = 'nowhere.py'",
}


@pytest.mark.parametrize("case", READS)
def test_a_file_that_is_read_is_told_of_with_what_to_declare(run, project, case):
    outcome, warnings = run(
        READS[case].replace("(root):", f"(root={str(project)!r}):"),
    )
    assert outcome.error is None
    assert len(warnings) == 1
    assert "read the file 'data/rows.txt'" in warnings[0]
    assert 'depends_on=("file:data/rows.txt",)' in warnings[0]


@pytest.mark.parametrize("case", VARIABLES)
def test_a_variable_that_is_read_is_told_of(run, monkeypatch, case):
    monkeypatch.setenv("RATE", "2")
    outcome, warnings = run(VARIABLES[case])
    assert outcome.error is None
    assert len(warnings) == 1
    assert "read the environment variable 'RATE'" in warnings[0]
    assert 'depends_on=("env:RATE",)' in warnings[0]


@pytest.mark.parametrize("case", QUIET)
def test_what_a_result_does_not_depend_on_is_not_told_of(run, monkeypatch, tmp_path, case):
    monkeypatch.setenv("RATE", "2")
    monkeypatch.chdir(tmp_path)
    outcome, warnings = run(QUIET[case], audit="strict")
    assert (outcome.error, warnings) == (None, [])


def test_what_is_declared_is_not_told_of(run, project, monkeypatch):
    monkeypatch.setenv("RATE", "2")
    text = (
        f"def step():\n    return Path({str(project / 'data/rows.txt')!r}).read_text()"
        " + os.environ['RATE']"
    )
    declared = ("file:data/rows.txt", "env:RATE")
    outcome, warnings = run(text, audit="strict", declared=declared)
    assert (outcome.error, warnings) == (None, [])
    for left in declared:
        assert run(text, audit="strict", declared=(left,))[0].error is not None


def test_a_strict_call_fails_and_is_not_tried_again(run, project, monkeypatch):
    monkeypatch.setenv("RATE", "2")
    text = (
        f"def step():\n    open({str(project / 'data/rows.txt')!r}).close()\n"
        "    return os.environ['RATE']"
    )
    outcome, warnings = run(text, audit="strict")
    assert isinstance(outcome.error, StepFailed)
    assert outcome.error.kind == "Undeclared"
    assert kind_of(outcome.error) not in PACES
    assert "'data/rows.txt'" in str(outcome.error)
    assert "and 1 more" in str(outcome.error)
    assert "depends_on" in (outcome.error.hint or "")
    assert warnings == []


def test_a_connection_is_told_of_unless_the_result_expires(run):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        text = f"def step():\n    socket.create_connection(('127.0.0.1', {port})).close()"
        _, warnings = run(text)
        assert len(warnings) == 1
        assert f"connected to 127.0.0.1:{port}" in warnings[0]
        assert run(text, audit="strict", expires=60.0)[0].error is None


def test_nothing_is_heard_after_the_step_or_where_it_is_off(run, project):
    reading = type(os.environ).__getitem__
    text = f"def step():\n    return Path({str(project / 'data/rows.txt')!r}).read_text()"
    assert run(text, audit="off")[1] == []
    assert run(text)[1] != []
    assert type(os.environ).__getitem__ is reading
    (project / "data/rows.txt").read_text()
    assert run("def step():\n    return 1")[1] == []


def test_a_step_that_fails_is_not_told_of(run, project):
    outcome, warnings = run(
        f"def step():\n    open({str(project / 'data/rows.txt')!r}).close()\n    raise ValueError"
    )
    assert isinstance(outcome.error, StepFailed)
    assert outcome.error.kind == "ValueError"
    assert warnings == []
