"""The report is one page that needs nothing else, and what comes from data cannot break it."""

import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from raypipe.config.analysis import AnalysisConfig
from raypipe.stages.analysis.evaluating import evaluate_scores
from raypipe.stages.analysis.page import render
from raypipe.stages.analysis.verdict import judge
from raypipe.values.validation import Anomaly, Validation

EVIL = '<script>alert("x")</script>'


@pytest.fixture(scope="module")
def evaluation():
    random = np.random.default_rng(0)
    label = (random.random(400) < 0.4).astype(float)
    table = pa.table(
        {
            "label": label,
            "score": np.clip(label * 0.3 + random.random(400) * 0.6, 0, 1),
            "champion": random.random(400),
            "group": np.repeat(np.arange(20, dtype=np.uint64), 20),
            "slice place": [EVIL if n % 2 else None for n in range(400)],
        }
    )
    settings = AnalysisConfig(slices=("place",), smallest_slice=100, resamples=50)
    measured = evaluate_scores(table, "binary", "1.0.0", settings)
    return replace(measured, verdict=judge(measured.metrics, measured.champion, settings))


def test_an_evaluation_has_metrics_slices_and_the_champion_on_the_same_rows(evaluation):
    assert evaluation.rows == 400
    assert evaluation.groups == 20
    assert {one.value for one in evaluation.slices} == {EVIL, "(null)"}
    assert evaluation.champion.version == "1.0.0"
    difference = evaluation.champion.differences["auc"].value
    ours, theirs = evaluation.metrics["auc"].value, evaluation.champion.metrics["auc"].value
    assert difference == pytest.approx(ours - theirs)


def test_the_page_fetches_nothing_and_runs_nothing(evaluation):
    validation = Validation(
        rows=400,
        new_rows=None,
        anomalies=(Anomaly(column="x", kind="range", severity="warn", message=EVIL),),
        drift={},
    )
    history = ({"epoch": 1.0, "train_loss": 0.5, "loss": 0.6},)

    page = render(evaluation, validation, history, "flights", sweep="<figure>tried</figure>")

    assert "<h2>The sweep before it</h2>\n<figure>tried</figure>" in page
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert page.count("<svg") == 6
    links = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert [link for link in links if not link.startswith("#")] == []


def test_a_page_of_several_classes_has_no_curves():
    table = pa.table(
        {
            "label": [0.0, 1.0, 2.0] * 20,
            "score": pa.FixedSizeListArray.from_arrays(pa.array([0.5, 0.3, 0.2] * 60), 3),
            "group": np.arange(60, dtype=np.uint64),
        }
    )
    settings = AnalysisConfig(resamples=50)
    measured = evaluate_scores(table, "multiclass", "", settings)
    validation = Validation(rows=60, new_rows=None, anomalies=(), drift={})
    page = render(measured, validation, (), "kinds")
    assert "accuracy" in page
    assert "<svg" not in page
    assert "sweep" not in page


def test_an_evaluation_says_what_a_person_needs_to_decide(evaluation):
    summary = evaluation.summary()

    assert summary["verdict"] == ("blessed" if evaluation.verdict.blessed else "not blessed")
    assert summary["metrics"]["auc"].startswith(f"{evaluation.metrics['auc'].value:.4f} (")
    assert summary["rows"] == 400
    assert "beside the champion 1.0.0" in summary
