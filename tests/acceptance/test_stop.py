"""A step that takes too long, a run that is stopped: both end, with all that was started."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from raypipe.runtime.processes import marked, start_time
from tests.conftest import Project, counts

FLOW = """
import ctypes
import hashlib
import os
import subprocess
import time
from pathlib import Path

from raypipe import pipeline, step

HERE = Path(__file__).parent


def ran(name):
    with (HERE / "log.txt").open("a") as file:
        file.write(name + "\\n")


def litter():
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.Popen(["sleep", "600"], **quiet)
    subprocess.run(["sh", "-c", "setsid sleep 600 & exit"], **quiet)


DEAF = ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]


def waiting_for(process):
    while True:
        try:
            return process.wait()
        except BaseException:
            pass


@step
def first() -> int:
    ran("first")
    return 1


@step
def hangs(given: int, how: str) -> int:
    litter()
    ran("hangs")
    while how != "done":
        try:
            if how == "children":
                subprocess.run(DEAF)
            if how == "child":
                return waiting_for(subprocess.Popen(DEAF))
            if how == "c":  # runs no Python, and lets other threads run
                hashlib.pbkdf2_hmac("sha256", b"a", b"b", 1_000_000_000)
            if how == "alone":  # runs no Python, and lets no other thread run
                sum(range(10**12))
            time.sleep(0.05)
        except BaseException:
            if how == "python":
                raise
    return given + 1


@step(timeout=0.5)
def late(given: int, how: str) -> int:
    return hangs(given, how)


@pipeline
def flow(how: str = "python", limited: bool = False):
    return late(first(), how) if limited else hangs(first(), how)
"""
STEPS = ("first", "hangs")
RUNTIMES = ["inline", pytest.param("ray", marks=[pytest.mark.ray, pytest.mark.slow])]


@pytest.fixture
def flow(project: Project) -> Project:
    project.write("flow.py", FLOW)
    return project


def hanging(flow: Project, wait_until, how: str = "python", runtime: str = "inline"):
    """Start a run and wait until its second step hangs; return the process and the run's id."""
    process = flow.start("run", "flow.py", "--set", f"how={how}", "--runtime", runtime, "--json")
    wait_until(lambda: counts(flow.folder / "log.txt", STEPS)["hangs"] == 1)
    run = json.loads(process.stdout.readline())["run"]
    wait_until(lambda: len(marked(f"{run}:")) >= 2)
    return process, run


def shown(flow: Project, run: str) -> dict:
    return flow.raypipe("runs", "show", run, "--json").result["run"]


def left_of(run: str) -> list[int]:
    return marked(f"{run}:")


def assert_goes_on(flow: Project) -> None:
    """A new run goes on from what was recorded."""
    (flow.folder / "flow.py").write_text(FLOW.replace('how != "done"', "False"))
    said = flow.run("flow.py")
    assert said.result["outputs"] == {"result": 2}
    assert said.actions["first"] == "hit"


# --- time ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "runtime"),
    [
        ("python", "inline"),
        ("child", "inline"),
        pytest.param("python", "ray", marks=[pytest.mark.ray, pytest.mark.long]),
        pytest.param("child", "ray", marks=[pytest.mark.ray, pytest.mark.slow]),
    ],
)
def test_a_step_over_its_time_fails_and_what_it_started_ends(
    flow: Project, how: str, runtime: str
) -> None:
    """`child`: it waits for a process that ignores SIGTERM, and swallows what it is told."""
    said = flow.raypipe(
        "run", "flow.py", "--set", f"how={how}", "--set", "limited=true", "--runtime", runtime,
        "--json",
    )  # fmt: skip
    assert said.code == 6, said.err
    assert "longer than its timeout of 0.5 s" in said.result["error"]["message"]
    run = json.loads(said.out.splitlines()[0])["run"]
    assert left_of(run) == []
    assert shown(flow, run)["status"] == "failed"
    assert [one["status"] for one in shown(flow, run)["executions"]] == ["succeeded", "failed"]


@pytest.mark.parametrize(
    ("how", "code", "words"),
    [
        ("c", 6, "does not heed it: its process ends"),
        ("children", 6, "does not heed it: its process ends"),
        pytest.param("alone", 1, "sum", marks=pytest.mark.slow),
    ],
)
def test_a_step_that_runs_no_python_takes_its_process_with_it(
    flow: Project, how: str, code: int, words: str
) -> None:
    said = flow.raypipe("run", "flow.py", "--set", f"how={how}", "--set", "limited=true", "--json")
    assert said.code == code
    run = json.loads(said.out.splitlines()[0])["run"]
    if how != "alone":
        assert words in said.err
        assert "timeout of 0.5 s" in shown(flow, run)["error"]["message"]
    else:
        assert "in hangs" in said.err
    assert_goes_on(flow)
    assert left_of(run) == []


@pytest.mark.ray
@pytest.mark.long
@pytest.mark.parametrize("how", ["c", "alone"])
def test_a_worker_that_runs_no_python_is_ended_and_the_driver_says_so(
    flow: Project, how: str
) -> None:
    said = flow.raypipe(
        "run", "flow.py", "--set", f"how={how}", "--set", "limited=true", "--runtime", "ray",
        "--json",
    )  # fmt: skip
    assert said.code == 6, said.err
    assert "longer than its timeout of 0.5 s" in said.result["error"]["message"]
    assert left_of(said.result["run"]) == []


# --- stops --------------------------------------------------------------------------------------


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_run_is_cancelled_from_another_process(flow: Project, runtime: str, wait_until) -> None:
    process, run = hanging(flow, wait_until, runtime=runtime)
    said = flow.raypipe("cancel", run, "--by", "ann", "--note", "wrong data", "--json")
    assert said.code == 0, said.err
    assert "cancelled by ann on " in said.result["cancel"]["why"]

    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    result = json.loads(out.splitlines()[-1])
    assert result["status"] == "cancelled"
    assert result["error"]["message"].endswith("wrong data")
    assert left_of(run) == []
    told = shown(flow, run)
    assert told["status"] == "cancelled"
    assert [one["status"] for one in told["executions"]] == ["succeeded", "cancelled"]
    again = flow.raypipe("cancel", run, "--json")
    assert (again.code, again.result["cancel"]["already"]) == (0, True)
    assert_goes_on(flow)


@pytest.mark.parametrize("how", ["deaf", "c", "alone"])
def test_a_step_that_does_not_listen_is_cancelled_all_the_same(
    flow: Project, how: str, wait_until
) -> None:
    process, run = hanging(flow, wait_until, how)
    assert flow.raypipe("cancel", run).code == 0
    process.communicate(timeout=30)
    assert process.returncode == (-signal.SIGKILL if how == "alone" else 130)
    assert left_of(run) == []
    assert shown(flow, run)["status"] == "cancelled"


def test_a_driver_that_stands_still_is_cancelled_and_cannot_say_otherwise(
    flow: Project, wait_until
) -> None:
    process, run = hanging(flow, wait_until)
    os.kill(process.pid, signal.SIGSTOP)
    assert flow.raypipe("cancel", run).code == 0
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert shown(flow, run)["status"] == "cancelled"
    assert left_of(run) == []
    assert_goes_on(flow)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("how", ["python", "deaf"])
def test_a_signal_ends_a_run_whether_its_step_listens_or_not(
    flow: Project, number: int, how: str, wait_until
) -> None:
    process, run = hanging(flow, wait_until, how)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    told = shown(flow, run)
    assert told["status"] == "cancelled"
    said = "terminated" if number == signal.SIGTERM else "interrupted"
    assert told["error"]["message"] == said
    assert left_of(run) == []
    assert_goes_on(flow)


def test_a_second_ctrl_c_ends_at_once_what_the_first_did_not(flow: Project, wait_until) -> None:
    process, run = hanging(flow, wait_until, "deaf")
    process.send_signal(signal.SIGINT)
    pid, started = process.pid, start_time(process.pid)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.6)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert start_time(pid) != started
    assert shown(flow, run)["status"] == "cancelled"
    assert left_of(run) == []


def test_what_a_step_has_made_is_recorded_though_it_was_stopped(
    project: Project, wait_until
) -> None:
    """The signal comes while the output is written down, which takes its time."""
    project.write(
        "flow.py",
        "import os, signal\nfrom pathlib import Path\nfrom dataclasses import dataclass\n"
        "from raypipe import pipeline, step, current\n\n\n"
        "@step\ndef makes() -> Path:\n"
        "    folder = current().scratch / 'out'\n    folder.mkdir(exist_ok=True)\n"
        "    for n in range(3000):\n        (folder / str(n)).write_text('x')\n"
        "    (Path(__file__).parent / 'made').touch()\n    return folder\n\n\n"
        "@step\ndef after(given: Path) -> int:\n    return 1\n\n\n"
        "@pipeline\ndef flow():\n    return after(makes())\n",
    )
    process = project.start("run", "flow.py", "--json")
    wait_until(Path(project.folder, "made").exists)
    process.terminate()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert json.loads(out.splitlines()[-1])["status"] == "cancelled"
    assert project.run("flow.py").executed == ["after"]


def test_a_run_that_has_ended_cannot_be_cancelled(flow: Project) -> None:
    run = flow.run("flow.py", "--set", "how=done").result["run"]
    said = flow.raypipe("cancel", run)
    assert said.code == 2
    assert "has come to rest: succeeded" in said.err
    assert flow.raypipe("cancel", "nothing").code == 9


def test_what_a_killed_driver_s_step_left_is_ended_by_the_next_run(
    flow: Project, wait_until
) -> None:
    process, run = hanging(flow, wait_until)
    process.kill()
    process.wait()
    assert len(left_of(run)) == 2
    assert_goes_on(flow)
    assert left_of(run) == []
    process.communicate()
