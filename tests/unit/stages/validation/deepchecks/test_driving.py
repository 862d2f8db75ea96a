"""The process of the checks: bounded, ended with all that it started, and never silently short."""

import json
import os
import re
import time
from dataclasses import replace

import pyarrow as pa
import pytest

from raypipe.config.deepchecks import DeepchecksConfig
from raypipe.engine.context import current, within
from raypipe.runtime.processes import start_time
from raypipe.stages.validation.deepchecks.catalogue import CATALOGUE, SUITES
from raypipe.stages.validation.deepchecks.driving import run_checks
from raypipe.stages.validation.deepchecks.environment import Environment
from raypipe.stages.validation.deepchecks.sampling import HASH, Sample
from raypipe.stages.validation.deepchecks.steps import check_data
from raypipe.values.checked import Roles

ROWS = pa.table({"a": [1.0, 2.0], "late": [True, False], HASH: pa.array([1, 2], pa.uint64())})
SAMPLE = Sample(train=ROWS, validation=ROWS)
ROLES = Roles(label="late", task="binary")
BEGINS = """
told="$(dirname "$4")/results.jsonl"
echo '{"event": "version", "deepchecks": "0"}' >> "$told"
echo '{"event": "begin", "check": "IsSingleValue"}' >> "$told"
echo '{"event": "check", "check": "IsSingleValue", "status": "passed"}' >> "$told"
echo '{"event": "begin", "check": "MixedNulls"}' >> "$told"
"""


@pytest.fixture
def process(tmp_path):
    """Make an environment whose interpreter is a shell script."""

    def make(script):
        python = tmp_path / "env" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
        return Environment(packages="", runner="", folder=str(tmp_path / "env"))

    return make


def statuses(checked):
    return {check.name: check.status for check in checked.checks}


def test_of_shards_that_do_not_go_together_each_check_did_not_run():
    other = ROWS.set_column(0, "a", pa.array([{"x": 1}, {"x": 2}]))
    samples = [SAMPLE, Sample(train=other, validation=other)]
    nowhere = Environment(packages="", runner="", folder="/nowhere")
    checked = check_data(samples, ROLES, DeepchecksConfig(), nowhere, SUITES)
    assert set(statuses(checked).values()) == {"not_run"}
    assert len(checked.checks) == len(CATALOGUE)
    assert checked.unfinished.startswith("the shards' columns do not go together")


@pytest.mark.slow
def test_what_hangs_is_killed_with_what_it_started_and_named(process, tmp_path):
    children = tmp_path / "children"
    environment = process(
        f"{BEGINS}\nsleep 600 &\necho $! >> {children}\n"
        f"setsid sleep 600 &\necho $! >> {children}\nsleep 600"
    )
    checked = run_checks(
        SAMPLE, ROLES, DeepchecksConfig(seconds=2), environment, tmp_path / "checks"
    )
    assert checked.unfinished == (
        "deepchecks did not finish at MixedNulls: it was killed after 2 s "
        "(validation.deepchecks.seconds)"
    )
    found = statuses(checked)
    assert len(found) == len(CATALOGUE)
    assert found["IsSingleValue"] == "passed"
    assert found["MixedNulls"] == "crashed"
    assert found["FeatureDrift"] == "not_run"
    assert found["IndexTrainTestLeakage"] == "not_applicable"
    started = [int(line) for line in children.read_text().split()]
    assert len(started) == 2
    assert [pid for pid in started if _lives(pid)] == []


@pytest.mark.slow
@pytest.mark.parametrize(("ends", "kept_for"), [("sleep 600", [2.0]), ("exit 3", [2.0]), ("", [])])
def test_checks_that_did_not_finish_are_tried_again_after_as_long_as_they_may_take(
    process, tmp_path, ends, kept_for
):
    here = replace(current(), run="r", step="check_data", events=tmp_path / "events.jsonl")
    environment = process(f"{BEGINS}\n{ends}")
    with within(here):
        run_checks(SAMPLE, ROLES, DeepchecksConfig(seconds=2), environment, tmp_path / "checks")
    said = here.events.read_text().splitlines() if here.events.exists() else []
    assert [json.loads(line)["after"] for line in said] == kept_for


def _lives(pid):
    deadline = time.monotonic() + 30
    while start_time(pid) is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    return start_time(pid) is not None


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("echo OpenBLAS: no memory >&2; exit 3", "code 3: OpenBLAS: no memory"),
        ("kill -SEGV $$", "signal 11"),
    ],
)
def test_a_process_that_dies_is_told_of_and_so_is_the_check_at_work(process, tmp_path, end, said):
    checked = run_checks(
        SAMPLE, ROLES, DeepchecksConfig(), process(f"{BEGINS}\n{end}"), tmp_path / "checks"
    )
    assert checked.unfinished.startswith("deepchecks did not finish at MixedNulls")
    memory = r" \(it had taken \d+ of the 4,096 MiB that it may have: .*deepchecks\.memory_mb\)"
    assert re.search(f"{said}{memory}$", checked.unfinished)
    assert statuses(checked)["MixedNulls"] == "crashed"


def test_a_python_that_does_not_start_is_told_of(process, tmp_path):
    environment = process("")
    environment.python.write_text("no program")
    checked = run_checks(SAMPLE, ROLES, DeepchecksConfig(), environment, tmp_path / "checks")
    assert "does not start: Exec format error" in checked.unfinished
    assert set(statuses(checked).values()) <= {"not_run", "not_applicable"}


def test_checks_are_told_no_home_and_no_modules_of_this_process(process, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    environment = process(f"env > {tmp_path}/env.txt")
    run_checks(SAMPLE, ROLES, DeepchecksConfig(), environment, tmp_path / "checks")
    told = dict(line.split("=", 1) for line in (tmp_path / "env.txt").read_text().splitlines())
    assert "PYTHONPATH" not in told
    assert told["DISABLE_DEEPCHECKS_ANONYMOUS_TELEMETRY"] == "true"
    assert told["LOKY_MAX_CPU_COUNT"] == "1"
    assert os.environ["PYTHONPATH"] == "/elsewhere"


def test_rows_without_the_label_are_not_given_to_checks(process, tmp_path):
    environment = process("exit 9")
    checked = run_checks(
        SAMPLE, Roles(label="gone", task="binary"), DeepchecksConfig(), environment, tmp_path
    )
    assert checked.unfinished == "the rows have no column 'gone'"
    assert set(statuses(checked).values()) == {"not_run"}


def test_a_check_that_is_off_is_not_asked_for(process, tmp_path):
    settings = DeepchecksConfig(severities={"MixedNulls": "off"})
    checked = run_checks(SAMPLE, ROLES, settings, process("exit 0"), tmp_path / "checks")
    assert "MixedNulls" not in statuses(checked)
    assert len(checked.checks) == len(CATALOGUE) - 1
