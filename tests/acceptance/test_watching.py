"""A run is watched from its own terminal, from another one, and afterwards."""

import errno
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator

import pytest

from tests.conftest import Project, kill_group

FLOW = """
import logging
import time
from pathlib import Path

import raypipe
from raypipe import pipeline, step


@step
def load(n: int) -> list[int]:
    print("loading", n)
    logging.getLogger("mine").warning("careful")
    return list(range(n))


@step
def double(x: int) -> int:
    return 2 * x


@step
def train(rows: list[int], epochs: int, wait: bool) -> int:
    for epoch in range(epochs):
        raypipe.progress(epoch + 1, epochs, "epochs")
        raypipe.log_metric("loss", 1 / (epoch + 1), epoch)
        print("epoch", epoch)
    while wait and not Path("go").exists():
        time.sleep(0.02)
    return len(rows)


@pipeline
def flow(n: int = 3, epochs: int = 4, wait: bool = False):
    return train(double.map(load(n)), epochs, wait)
"""


@pytest.fixture
def flow(project: Project) -> Project:
    """A script with a map, and a step that says how far it is."""
    project.write("flow.py", FLOW)
    return project


def in_terminal(project: Project, *arguments: str, rows: int = 24, columns: int = 80) -> str:
    """Run the command in a terminal of its own; return all that came to it."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(project.folder)
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(0, termios.TIOCSWINSZ, size)
        # what readline, which pytest imports, says of its own terminal is left out
        given = {n: v for n, v in os.environ.items() if n not in {"COLUMNS", "LINES"}}
        given |= {"HOME": str(project.folder), "TERM": "xterm-256color"}
        os.execve(sys.executable, [sys.executable, "-m", "raypipe", *arguments], given)
    text = b""
    try:
        while more := os.read(terminal, 65536):
            text += more
    except OSError as error:  # how Linux says that nobody writes to it any more
        assert error.errno == errno.EIO  # noqa: PT017
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, text.decode()
    return text.decode().replace("\r", "")


def plain(text: str) -> str:
    """What comes to a terminal, without its control codes; what is drawn anew is a new line."""
    text = re.sub(r"\x1b\[[0-9;?]*[AJKH]", "\n", text)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def newest(project: Project) -> str:
    return project.raypipe("runs", "list", "--json").result["runs"][0]["id"]


def test_in_a_terminal_a_run_is_a_tree_and_a_line_stays_of_each_step(flow: Project) -> None:
    text = plain(in_terminal(flow, "run", "flow.py"))
    assert re.search(r"├─ . load", text)
    assert re.search(r"└─ ○ train", text)
    last = text.splitlines()
    assert [line[:11] for line in last if line.startswith("✓ ")][-3:] == [
        "✓ load     ", "✓ double ×3", "✓ train    ",
    ]  # fmt: skip
    assert "[1 warning]" in text
    assert "epoch 3" in text


def test_in_a_narrow_and_low_terminal_no_line_is_too_long(flow: Project) -> None:
    text = plain(in_terminal(flow, "run", "flow.py", rows=4, columns=30))
    drawn = [line for line in text.splitlines() if line.startswith(("├─", "└─"))]
    assert drawn
    assert [line for line in drawn if len(line) > 30] == []


def test_where_nothing_is_executed_nothing_is_drawn(flow: Project) -> None:
    flow.run("flow.py")
    text = in_terminal(flow, "run", "flow.py")
    assert "├─" not in text
    assert "· train" in text


@pytest.fixture
def under_way(flow: Project, wait_until) -> Iterator[subprocess.Popen[str]]:
    """A run whose last step waits for a file."""
    process = flow.start("run", "flow.py", "--set", "wait=true", "--json")
    logs = flow.folder / ".raypipe" / "runs"
    wait_until(lambda: any("epoch 3" in f.read_text() for f in logs.glob("*/train.jsonl")))
    yield process
    if process.poll() is None:
        kill_group(process)


def test_a_run_under_way_is_shown_from_another_terminal(flow: Project, under_way) -> None:
    run = newest(flow)
    shown = flow.raypipe("runs", "show", run, "--json").result["run"]
    assert shown["status"] == "running"
    assert {one["name"] for one in shown["steps"]} >= {"load", "double[0]", "double"}
    (at_work,) = shown["at_work"]
    assert (at_work["step"], at_work["total"], at_work["what"]) == ("train", 4, "epochs")
    assert "epochs" in flow.raypipe("runs", "show", run).out


def test_a_run_is_followed_from_another_terminal_to_its_end(flow: Project, under_way) -> None:
    run = newest(flow)
    follower = flow.start("runs", "logs", run, "train", "--follow", "--json")
    assert follower.stdout is not None
    first = follower.stdout.readline()
    (flow.folder / "go").touch()
    under_way.communicate(timeout=60)
    said = [json.loads(line) for line in (first + follower.stdout.read()).splitlines()]
    follower.communicate(timeout=60)
    assert follower.returncode == 0
    lines = [one for one in said if one["event"] == "log"]
    assert {one["step"] for one in lines} == {"train"}
    assert {"epoch 0", "epoch 3", "loss 3: 0.25", "ends"} <= {one["text"] for one in lines}
    assert said[-1]["logs"] == {"run": run, "lines": len(lines)}
    assert not list((flow.folder / ".raypipe" / "runs" / run).glob("events.jsonl"))


def test_a_killed_run_ends_what_follows_it(flow: Project, under_way) -> None:
    def listed(status: str) -> list[str]:
        found = flow.raypipe("runs", "list", "--status", status, "--json").result["runs"]
        return [one["id"] for one in found]

    run = newest(flow)
    assert listed("running") == [run]
    follower = flow.start("runs", "logs", run, "--follow")
    kill_group(under_way)
    follower.communicate(timeout=60)
    assert follower.returncode == 0
    assert (listed("running"), listed("failed")) == ([], [run])


def test_what_a_run_said_is_read_afterwards_by_step_and_in_order(flow: Project) -> None:
    run = flow.run("flow.py").result["run"]
    said = flow.raypipe("runs", "logs", run, "--json").out.splitlines()
    lines = [json.loads(line) for line in said][:-1]
    assert [one["time"] for one in lines] == sorted(one["time"] for one in lines)
    about = [(one["step"], one["level"], one["stream"], one["text"]) for one in lines]
    assert about[:4] == [
        ("load", "info", "raypipe", "starts (new)"),
        ("load", "info", "stdout", "loading 3"),
        ("load", "warning", "logging", "careful"),
        ("load", "info", "raypipe", "ends"),
    ]
    assert not [one for one in about if one[0].startswith("double[")]  # none of them failed
    of_train = flow.raypipe("runs", "logs", run, "train").out
    assert "train | epoch 0" in of_train
    assert "train | loss 0: 1" in of_train
    assert "load" not in of_train
    assert flow.raypipe("runs", "logs", run, "nothing").code == 9


def test_runs_are_listed_by_status_pipeline_and_time(flow: Project) -> None:
    first = flow.run("flow.py").result["run"]
    flow.raypipe("run", "flow.py", "--set", "epochs=[1]")  # fits no int
    flow.edit("flow.py", "def flow(", "def other(")
    second = flow.run("flow.py").result["run"]

    def listed(*filters: str) -> list[str]:
        found = flow.raypipe("runs", "list", "--json", *filters).result["runs"]
        return [one["id"] for one in found]

    assert listed("--pipeline", "other") == [second]
    assert listed("--status", "succeeded", "--limit", "1") == [second]
    assert listed("--since", "1h") == [second, first]
    assert listed("--since", "2999-01-01") == []
    assert "No run is so." in flow.raypipe("runs", "list", "--status", "waiting").out
    assert flow.raypipe("runs", "list", "--since", "soon").code == 2


def test_two_runs_are_compared_by_what_they_were_given_and_what_came_of_it(flow: Project) -> None:
    first = flow.run("flow.py").result["run"]
    flow.edit("flow.py", "return 2 * x", "return 3 * x")
    second = flow.run("flow.py", "--set", "epochs=2").result["run"]

    found = flow.raypipe("runs", "compare", first, second, "--json").result["comparison"]
    assert found["parameters"] == {"epochs": ["4", "2"]}
    (change,) = found["code"]["changes"]
    assert (change["kind"], change["what"]) == ("code", "flow:double")
    assert change["steps"] == ["double[0]", "double[1]", "double[2]"]
    assert found["metrics"] == {"train.loss": [0.25, 0.5]}
    steps = {one["name"]: one for one in found["steps"]}
    assert steps["load"]["same"]
    assert not steps["train"]["same"]
    assert steps["train"]["gave the same"]

    text = flow.raypipe("runs", "compare", first, second).out
    assert "flow:double" in text
    assert "train.loss" in text
