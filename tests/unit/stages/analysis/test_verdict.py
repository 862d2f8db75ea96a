"""The verdict names each threshold that is missed, and how far behind the champion is too far."""

import pytest

from raypipe.config.analysis import AnalysisConfig, Threshold
from raypipe.errors import UsageError
from raypipe.stages.analysis.verdict import judge
from raypipe.values.evaluation import Comparison, Estimate


def estimate(value: float) -> Estimate:
    return Estimate(value=value, low=value - 0.1, high=value + 0.1)


METRICS = {"auc": estimate(0.7), "log_loss": estimate(0.5)}


def beside(difference: float) -> Comparison:
    return Comparison(version="1.0.0", metrics=METRICS, differences={"auc": estimate(difference)})


@pytest.mark.parametrize(("bound", "blessed"), [(0.69, True), (0.7, True), (0.71, False)])
def test_a_threshold_is_kept_up_to_its_bound(bound, blessed):
    settings = AnalysisConfig(thresholds={"auc": Threshold(at_least=bound)})

    assert judge(METRICS, None, settings).blessed is blessed


def test_each_fault_is_a_reason_with_value_bound_and_setting():
    settings = AnalysisConfig(
        thresholds={"auc": Threshold(at_least=0.8), "log_loss": Threshold(at_most=0.4)}
    )

    assert judge(METRICS, None, settings).reasons == (
        "auc is 0.7000, below 0.8 (analysis.thresholds.auc)",
        "log_loss is 0.5000, above 0.4 (analysis.thresholds.log_loss)",
    )


@pytest.mark.parametrize(("difference", "blessed"), [(0.02, True), (-0.01, True), (-0.02, False)])
def test_a_candidate_may_be_a_little_worse_than_the_champion(difference, blessed):
    verdict = judge(METRICS, beside(difference), AnalysisConfig(largest_loss=0.01))

    assert verdict.blessed is blessed
    assert "1.0.0" in verdict.reasons[0]


def test_an_unknown_metric_is_refused_with_those_that_there_are():
    settings = AnalysisConfig(thresholds={"f1": Threshold(at_least=0.5)})

    with pytest.raises(UsageError) as raised:
        judge(METRICS, None, settings)
    assert raised.value.hint == "this task has auc, log_loss"


def test_a_metric_that_is_not_a_number_does_not_pass():
    metrics = {"auc": estimate(float("nan"))}
    settings = AnalysisConfig(thresholds={"auc": Threshold(at_least=0.5)})

    assert not judge(metrics, None, settings).blessed
