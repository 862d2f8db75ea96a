"""deepchecks itself, in its environment: on good rows, damaged ones, and what it cannot read."""

import json
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raypipe.config.deepchecks import DeepchecksConfig
from raypipe.stages.validation.deepchecks.catalogue import CATALOGUE
from raypipe.stages.validation.deepchecks.driving import run_checks
from raypipe.stages.validation.deepchecks.environment import Environment
from raypipe.stages.validation.deepchecks.sampling import HASH, Sample
from raypipe.values.checked import Roles
from tests import deepchecks
from tests.acceptance import tiny

pytestmark = pytest.mark.slow

PROGRAM = """
import json
from deepchecks.tabular import suites
start = "add_condition_"
print(json.dumps({
    type(check).__name__: [suite, sorted(n[len(start):] for n in dir(check) if n.startswith(start))]
    for suite in ("data_integrity", "train_test_validation")
    for check in getattr(suites, suite)().checks.values()
}))
"""


@pytest.fixture
def environment(monkeypatch) -> Environment:
    """The environment that is on this machine."""
    monkeypatch.delenv("RAYPIPE_DEEPCHECKS")
    found = deepchecks.made()
    monkeypatch.setenv("RAYPIPE_DEEPCHECKS", found.folder)
    return found


def test_the_catalogue_is_what_the_suites_have(environment, tmp_path):
    there = json.loads(deepchecks.asked(environment, PROGRAM, tmp_path))
    known = {known.name: [known.suite, sorted(known.conditions)] for known in CATALOGUE}
    assert known == there


def hard(first, count):
    """Columns that checks stumble over as they are."""
    ids = range(first, first + count)
    day = date(2024, 1, 1)
    return pa.table(
        {
            "id": list(ids),
            "y": [n % 3 == 0 if n % 50 else None for n in ids],
            "infinite": [float("inf") if n % 7 == 0 else n / 3 for n in ids],
            "nullable": pa.array([None if n % 5 == 0 else n for n in ids], pa.int64()),
            "flag": [None if n % 5 == 0 else n % 2 == 0 for n in ids],
            "money": [Decimal(n) / 4 for n in ids],
            "of_list": [[n, n + 1] for n in ids],
            "of_struct": [{"a": n} for n in ids],
            "of_time": [timedelta(seconds=n) for n in ids],
            "of_bytes": [b"x%d" % n for n in ids],
            "kind": pa.array([["red", "blue", "green"][n % 3] for n in ids]).dictionary_encode(),
            "empty": pa.nulls(count, pa.float64()),
            "empty_there": pa.array([float(n) if first == 0 else None for n in ids], pa.float64()),
            "at": [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=n) for n in ids],
            "day": [day + timedelta(days=n % 90) for n in ids],
            "text": [f"a longer text, number {n}" for n in ids],
            "<script>alert(1)</script>": ["<img src=x onerror=alert(2)>", "b"] * (count // 2),
            HASH: pa.array(list(ids), pa.uint64()),
        }
    )


def test_rows_that_checks_stumble_over_crash_none_and_what_fails_by_itself_is_told(
    environment, tmp_path
):
    sample = Sample(train=hard(0, 600), validation=hard(600, 300))
    settings = DeepchecksConfig(
        conditions={"MixedNulls": {"no_such": {}}},
        parameters={"OutlierSampleDetection": {"n_samples": "many"}},
    )
    roles = Roles(label="y", task="binary", key=("id",), time="at", in_time=True)
    checked = run_checks(sample, roles, settings, environment, tmp_path)
    assert checked.unfinished == ""
    assert checked.version == "0.19.1"
    by_name = {check.name: check for check in checked.checks}
    assert list(by_name) == [known.name for known in CATALOGUE]
    crashed = {name: one.reason for name, one in by_name.items() if one.status == "crashed"}
    assert sorted(crashed) == ["MixedNulls", "OutlierSampleDetection"]
    assert "it has no condition 'no_such'; it has ['different_nulls" in crashed["MixedNulls"]
    assert set(checked.left_out) == {"of_list", "of_struct", "of_time", "of_bytes", "empty"}
    assert "\n" not in "".join(one.details for one in by_name["FeatureDrift"].conditions)
    drifts = json.loads(by_name["FeatureDrift"].value)
    assert "infinite" in drifts
    assert "empty_there" not in drifts
    assert by_name["DateTrainTestLeakageOverlap"].status == "passed"
    page = checked.page.read_text()
    assert "<script>alert(1)" not in page
    assert "<img src=x" not in page
    assert "plotly" in page


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_labels_in_lists_and_rows_of_nothing_but_images_crash_no_check(task, environment, tmp_path):
    label = {"multiclass": lambda n: "ab"[n % 2], "multilabel": lambda n: ["a", "b"][: n % 3]}[task]
    rows = pa.table(
        {
            "image": [b"%d" % n for n in range(40)],
            "topics": [label(n) for n in range(40)],
            HASH: pa.array(range(40), pa.uint64()),
        }
    )
    roles = Roles(label="topics", task=task)
    sample = Sample(train=rows, validation=rows)
    checked = run_checks(sample, roles, DeepchecksConfig(), environment, tmp_path)
    assert checked.unfinished == ""
    by_name = {check.name: check for check in checked.checks}
    assert [(one.name, one.reason) for one in checked.checks if one.status == "crashed"] == []
    assert by_name["DatasetsSizeComparison"].status == "passed"
    why = {
        "multiclass": "checks can read none of the features",
        "multilabel": "deepchecks reads one label a row, not a list of them",
    }
    assert by_name["ConflictingLabels"].reason == why[task]


def test_memory_that_is_not_enough_is_told(environment, tmp_path):
    sample = Sample(train=hard(0, 600), validation=hard(600, 300))
    settings = DeepchecksConfig().model_copy(update={"memory_mb": 300})
    checked = run_checks(sample, Roles(label="y", task="binary"), settings, environment, tmp_path)
    assert "did not finish" in checked.unfinished
    told = re.search(r"it had taken (\d+) of the 300 MiB that it may have", checked.unfinished)
    assert told is not None
    assert 100 < int(told[1]) <= 300
    assert "validation.deepchecks.memory_mb" in checked.unfinished
    assert {check.status for check in checked.checks} == {"not_run", "not_applicable"}


def test_an_import_is_stopped_by_a_check_and_its_result_is_found_again(environment, imported):
    imported.edit(
        "tiny.yaml",
        "  drift: {threshold: 0.9}\n",
        "  drift: {threshold: 0.9}\n"
        "  deepchecks: {use: required, severities: {IsSingleValue: stop, MixedNulls: off}}\n",
    )
    rows = tiny.rows(first_day=100)
    constant = pa.array([7.0] * rows.num_rows)
    rows = rows.set_column(rows.column_names.index("miles"), "miles", constant)
    pq.write_table(rows, imported.folder / "more.parquet")
    said = imported.raypipe(
        "data", "import", "more.parquet", "--to", "local://other/main", "--config", "tiny.yaml"
    )
    assert said.code == 4, said.err
    assert "IsSingleValue: not so: Does not contain only a single value" in said.err
    assert "validation.deepchecks.severities.IsSingleValue: warn" in said.err

    branch = said.err.partition("The branch ")[2].split()[0]
    again = imported.raypipe(
        "checks",
        "run",
        f"local://other/{branch}",
        "--config",
        "tiny.yaml",
        "--html",
        "out.html",
        "--json",
    )
    assert again.code == 0, again.err
    steps = [json.loads(line) for line in again.out.splitlines()[:-1]]
    assert [one["step"] for one in steps if one["event"] == "step_started"] == []
    found = {one["check"]: one["status"] for one in again.result["checked"]["checks"]}
    assert found["IsSingleValue"] == "failed"
    assert "MixedNulls" not in found
    assert (imported.folder / "out.html").stat().st_size > 1_000_000
