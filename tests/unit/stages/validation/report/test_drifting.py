"""Drift in a report is drift as validation judges it."""

import numpy as np
import pyarrow as pa
import pytest

from raypipe.stages.validation.report.drifting import drift_lines
from tests import hostile

RANDOM = np.random.default_rng(0)


def rows(count: int, first: int, shift: float) -> pa.Table:
    return pa.table(
        {
            "id": np.arange(first, first + count),
            "moved": RANDOM.normal(shift, 1, count),
            "same": RANDOM.normal(0, 1, count),
            "text": [f"{n} of {first}" for n in range(count)],
            "late": RANDOM.random(count) < 0.3,
        }
    )


@pytest.fixture(scope="module")
def report():
    return hostile.report(rows(3000, 0, 0.0), rows(1500, 3000, 1.0), drift={"measure": "ks"})


def test_a_column_has_moved_if_and_only_if_validation_says_so(report):
    moved = {name for name, line in drift_lines(report).items() if line.is_moved}
    kinds = ("drift", "unit", "swapped_columns")
    named = {a.column for a in report.validated.validation.anomalies if a.kind in kinds}
    assert moved == named == {"moved"}


def test_the_farthest_comes_first_and_each_has_its_measure(report):
    lines = list(drift_lines(report).values())
    assert lines[0].column == "moved"
    assert lines[0].distance > lines[0].threshold
    assert {line.measure for line in lines} == {"Kolmogorov-Smirnov, 0 to 1"}
    assert {line.column: line.verdict for line in lines}["same"] == "within"


def test_keys_are_not_judged_and_texts_cannot_be_compared(report):
    lines = drift_lines(report)
    assert lines["id"].verdict == "not judged: it moves by nature"
    assert not lines["id"].is_moved
    assert lines["text"].distance is None
    assert lines["text"].verdict == "cannot be compared"


def test_few_rows_may_be_chance():
    one = hostile.report(rows(3000, 0, 0.0), rows(12, 3000, 0.6), drift={"threshold": 0.02})
    assert drift_lines(one)["moved"].moved in ("chance", "within")
    assert not drift_lines(one)["moved"].is_moved
