"""A run goes on with the code, the parameters and the data that it began with."""

import json
import signal

import pytest

from tests.acceptance import tiny
from tests.conftest import Project, kill_group

FLOW = """
import time
from dataclasses import dataclass
from pathlib import Path

from raypipe import pipeline, step


@dataclass
class Options:
    by: int = 1


@step
def load(options: Options) -> int:
    from lib import more

    try:
        from later import MORE
    except ImportError:
        MORE = 0
    return more(options.by) + MORE


@step
def wait(x: int) -> int:
    import lib

    Path("waits").touch()
    while not Path("go").exists():
        time.sleep(0.02)
    return lib.more(x)


@pipeline
def flow(options: Options = Options(by=5), text: Path = Path("words.txt")):
    return wait(load(options))
"""
LIB = "def more(x):\n    return x + 1\n"


@pytest.fixture
def flow(project: Project) -> Project:
    """A script with a module beside it, and a file that is no code."""
    project.write("flow.py", FLOW)
    project.write("lib.py", LIB)
    project.write("words.txt", "one")
    project.write(".gitignore", "/go\n/waits\n")
    return project


@pytest.fixture
def killed(flow: Project, wait_until) -> str:
    """The id of a run that was killed in its second step; the code was edited since."""
    process = flow.start("run", "flow.py", "--set", "options.by=7", "--json")
    wait_until((flow.folder / "waits").exists)
    kill_group(process)
    (flow.folder / "go").touch()
    flow.edit("lib.py", "x + 1", "x + 100")
    return newest(flow)


def newest(project: Project) -> str:
    return project.raypipe("runs", "list", "--json").result["runs"][0]["id"]


def events(said) -> list[dict]:
    return [json.loads(line) for line in said.out.splitlines()]


def test_a_run_goes_on_with_its_code_and_says_that_it_differs_now(flow, killed):
    said = flow.run("--resume", killed)
    assert said.result["outputs"] == {"result": 7 + 1 + 1}
    assert said.executed == ["wait"]
    (told,) = [one for one in events(said) if one["event"] == "code_differs"]
    assert (told["uses"], told["resumes"]) == ("kept", killed)
    assert "lib.py" in told["files"]

    record = flow.raypipe("runs", "show", newest(flow), "--json").result["run"]
    assert record["resumes"] == killed
    assert record["code"] == flow.raypipe("runs", "show", killed, "--json").result["run"]["code"]


def test_a_module_that_came_since_is_not_found_by_the_code_of_then(flow, killed):
    flow.write("later.py", "MORE = 1000\n")
    said = flow.run("--resume", killed, "--force", "load")
    assert said.result["outputs"] == {"result": 9}
    assert flow.run("--resume", killed, "--code", "now").result["outputs"] == {"result": 1207}


def test_with_the_code_of_now_one_hears_which_steps_differ_and_what_follows(flow, killed):
    said = flow.run("--resume", killed, "--code", "now")
    assert said.result["outputs"] == {"result": 7 + 100 + 100}
    (told,) = [one for one in events(said) if one["event"] == "code_differs"]
    assert told["uses"] == "now"
    assert [(one["name"], one["action"]) for one in told["steps"]] == [
        ("load", "execute"),
        ("wait", "open"),
    ]
    assert told["steps"][0]["reason"] == {"kind": "code", "what": "lib:more", "detail": "changed"}

    text = flow.raypipe("run", "--resume", killed, "--code", "now").err
    assert "today's code differs from that of run" in text


def test_nothing_is_said_where_the_code_is_what_it_was(flow, killed):
    flow.edit("lib.py", "x + 100", "x + 1")
    assert "code_differs" not in flow.run("--resume", killed).out


def test_a_run_that_is_under_way_is_not_gone_on_from(flow, wait_until):
    process = flow.start("run", "flow.py", "--json")
    wait_until((flow.folder / "waits").exists)
    said = flow.raypipe("run", "--resume", newest(flow), "--json")
    assert (said.code, said.result["error"]["exit"]) == (2, 2)
    assert "is under way" in said.err
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)


def test_what_is_pinned_cannot_be_given_too(flow, killed):
    said = flow.raypipe("run", "flow.py", "--resume", killed)
    assert (said.code, "has its target" in said.err) == (2, True)
    assert flow.raypipe("run", "--resume", "nothing").code == 9


def test_a_run_goes_on_though_the_project_is_gone(flow, killed, tmp_path_factory):
    for name in ("flow.py", "lib.py"):
        (flow.folder / name).unlink()
    assert flow.run("--resume", killed).result["outputs"] == {"result": 9}


def test_the_code_of_a_run_is_listed_and_written_out(flow, killed, tmp_path):
    said = flow.raypipe("runs", "code", killed, "--json").result["code"]
    assert list(said["files"]) == ["flow.py", "lib.py", "pyproject.toml", "words.txt"]

    out = tmp_path / "out"
    assert flow.raypipe("runs", "code", killed, "--out", str(out)).code == 0
    assert (out / "lib.py").read_text() == LIB
    assert flow.raypipe("runs", "code", killed, "--out", str(out)).code == 2


def test_clean_keeps_the_code_of_runs(flow, killed):
    assert flow.raypipe("clean", "--yes").code == 0
    assert flow.run("--resume", killed).result["outputs"] == {"result": 9}


def test_a_run_that_executes_nothing_keeps_no_code(flow, killed):
    flow.run("flow.py")
    assert flow.run("flow.py").executed == []
    shown = flow.raypipe("runs", "show", newest(flow), "--json").result["run"]
    assert shown["code"] == ""
    assert flow.raypipe("runs", "code", newest(flow)).code == 9
    assert flow.run("--resume", newest(flow)).executed == []


def test_a_declared_file_that_moved_since_is_refused(project: Project) -> None:
    project.write(
        "flow.py",
        "from raypipe import pipeline, step\n\n\n"
        "@step(depends_on=('file:a.txt',))\ndef f() -> str:\n"
        "    return open('a.txt').read()[:1]\n\n\n"
        "@pipeline\ndef flow():\n    return f()\n",
    )
    project.write("a.txt", "one")
    project.run("flow.py")
    assert project.run("--resume", newest(project)).executed == []
    project.write("a.txt", "two")
    said = project.raypipe("run", "--resume", newest(project))
    assert said.code == 2
    assert "'a.txt', which a step depends on, is not what it was" in said.err
    assert "--code now" in said.err


def test_a_cycle_goes_on_with_its_settings_its_data_and_its_code(trained: Project) -> None:
    run = newest(trained)
    before = trained.raypipe("runs", "show", run, "--json").result["run"]
    tiny.import_shards(trained, tiny.write_shard(trained, "part3", tiny.rows(60, days=3)))
    trained.edit("my_model.py", "WIDTH = 8", "WIDTH = 9")
    trained.edit("tiny.yaml", "epochs: 2", "epochs: 3")

    said = trained.raypipe("run", "--resume", run, "--json")
    assert said.result["status"] == "waiting", said.err
    assert said.executed == []
    after = trained.raypipe("runs", "show", newest(trained), "--json").result["run"]
    assert after["commits"] == before["commits"]
    assert after["settings"] == before["settings"]

    tiny.approve(trained)
    said = trained.raypipe("run", "--resume", run, "--json")
    assert (said.result["status"], said.executed) == ("succeeded", ["register"])
