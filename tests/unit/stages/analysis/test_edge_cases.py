"""Which rows of edge cases fail, what the verdict says of a set, and how the page shows it."""

import numpy as np
import pytest

from raypipe.config.analysis import AnalysisConfig, Threshold
from raypipe.errors import UsageError
from raypipe.stages.analysis.edge_cases import failing, figures
from raypipe.stages.analysis.page import render
from raypipe.stages.analysis.verdict import judge
from raypipe.values.edge_cases import EdgeCaseEvaluation, EdgeFindings, FailingRow
from raypipe.values.evaluation import Estimate
from raypipe.values.signature import Label
from raypipe.values.validation import Validation

METRICS = {"auc": Estimate(value=0.8, low=0.7, high=0.9)}
EVIL = "<script>alert(1)</script>"


def findings(**figures: float) -> EdgeFindings:
    return EdgeFindings(
        name="night",
        rows=30,
        metrics={"auc": float("nan"), "accuracy": 0.9, "failed": 3.0, **figures},
        failing=(FailingRow(number=7, note=EVIL, told="yes", predicted="no (0.812)"),),
    )


@pytest.mark.parametrize(
    ("task", "told", "scores", "error", "wrong"),
    [
        ("binary", [0, 1, 1, 0], [0.4, 0.5, 0.49, 0.5], None, [False, False, True, True]),
        ("multiclass", [0, 2], [[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]], None, [False, True]),
        ("multilabel", [[1, 0], [1, 1]], [[0.6, 0.4], [0.6, 0.4]], None, [False, True]),
        ("regression", [1.0, 2.0], [1.5, 2.6], 0.5, [False, True]),
        ("regression", [1.0, 2.0], [9.0, np.nan], None, [False, True]),
    ],
)
def test_a_row_fails_where_the_answer_is_not_its_label(task, told, scores, error, wrong):
    label = Label(name="x", task=task, classes=("a", "b", "c"))
    assert failing(label, np.array(told), np.array(scores), error).tolist() == wrong


@pytest.mark.parametrize(
    ("task", "told", "scores", "known"),
    [
        ("binary", [1.0], [0.4], {"accuracy": 0.0, "failed": 1.0}),
        ("binary", [1.0, 0.0], [0.6, 0.1], {"auc": 1.0, "accuracy": 1.0, "failed": 0.0}),
        ("multiclass", [2.0], [[0.2, 0.2, 0.6]], {"accuracy": 1.0, "failed": 0.0}),
        ("multilabel", [[1.0, 0.0, 1.0]], [[0.9, 0.9, 0.9]], {"failed": 1.0}),
        ("regression", [3.0, 5.0], [4.0, 5.0], {"mae": 0.5, "failed": 1.0}),
    ],
)
def test_a_set_of_a_row_or_two_has_the_figures_of_its_task(task, told, scores, known):
    label = Label(name="x", task=task, classes=("a", "b", "c"))
    found = figures(label, np.array(told), np.array(scores, np.float32), 0.9)
    assert {name: found[name] for name in known} == pytest.approx(known)


@pytest.mark.parametrize(
    ("metric", "bound", "said"),
    [
        ("failed", Threshold(at_most=3), None),
        ("failed", Threshold(at_most=2), "edge.night.failed is 3.0000, above 2"),
        ("accuracy", Threshold(at_least=0.95), "edge.night.accuracy is 0.9000, below 0.95"),
        ("auc", Threshold(at_least=0.1), "edge.night.auc is nan, below 0.1"),
    ],
)
def test_a_bound_on_a_set_is_kept_or_is_a_reason(metric, bound, said):
    settings = AnalysisConfig(edge_cases={"night": {metric: bound}})
    verdict = judge(METRICS, None, settings, (findings(),))
    assert verdict.blessed is (said is None)
    assert (said or "3 of 30 rows fail") in verdict.reasons[0]


@pytest.mark.parametrize(
    ("bounds", "says"),
    [
        ({"fog": {"failed": Threshold(at_most=0)}}, "names the set 'fog'"),
        ({"night": {"speed": Threshold(at_most=0)}}, "names the metric 'speed'"),
    ],
)
def test_a_bound_on_nothing_is_told(bounds, says):
    with pytest.raises(UsageError, match=says):
        judge(METRICS, None, AnalysisConfig(edge_cases=bounds), (findings(),))


def page_of(found: EdgeFindings) -> str:
    evaluation = EdgeCaseEvaluation(
        task="regression",
        rows=10,
        groups=2,
        confidence=0.9,
        metrics=METRICS,
        slices=(),
        curves={},
        champion=None,
        edge_cases=(found,),
    )
    assert evaluation.summary()["edge cases"]["night"].startswith("3 of 30 rows fail")
    validation = Validation(rows=10, new_rows=None, anomalies=(), drift={})
    return render(evaluation, validation, (), "flights")


def test_the_page_shows_rows_that_fail_and_runs_nothing_of_a_note():
    page = page_of(findings())
    assert "night: 30 rows" in page
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "not defined" in page
    assert "The first 1 of 3 rows that fail" in page
    assert "champion" not in page.partition("Edge cases")[2]


def test_the_page_has_the_champion_beside_it():
    beside = {**vars(findings()), "version": "1.2.0", "champion": findings(failed=5.0).metrics}
    page = page_of(EdgeFindings(**beside))
    assert "champion 1.2.0" in page.partition("Edge cases")[2]
