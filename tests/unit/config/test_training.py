"""What training is told: names that fit the task, and the short forms of sections."""

import pytest
from pydantic import ValidationError

from raypipe.config.base import CodeReference
from raypipe.config.loop import EXTRA_METRICS, LOSSES
from raypipe.config.training import TrainingConfig


def test_a_bare_name_of_a_schedule_is_its_kind():
    assert TrainingConfig(schedule="constant").schedule.kind == "constant"


def test_names_with_a_colon_are_code_that_counts():
    settings = TrainingConfig(loss="mine:loss", metrics=("f1", "mine:score"))

    assert isinstance(settings.loss, CodeReference)
    assert isinstance(settings.metrics[1], CodeReference)
    assert TrainingConfig.model_validate_json(settings.model_dump_json()) == settings


@pytest.mark.parametrize("task", LOSSES)
def test_every_name_that_is_told_of_a_task_is_taken(task):
    for loss in LOSSES[task]:
        TrainingConfig(task=task, loss=loss, metrics=EXTRA_METRICS[task])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"loss": "huber"}, "loss is 'huber'; for binary there are cross_entropy, focal, hinge"),
        ({"task": "regression", "metrics": ["f1"]}, "metrics is 'f1'; for regression there are"),
        ({"task": "regression", "class_weights": "balanced"}, "a regression has no classes"),
        ({"model": {"kind": "text_classifier", "layers": 1, "width": 30}}, "4 heads do not divide"),
        ({"workers": {"min": 2}}, "min and max go together"),
        ({"workers": {"min": 3, "max": 2}}, r"min \(3\) is above max \(2\)"),
        ({"workers": {"min": 1, "max": 2, "count": 2}}, "leave it away"),
        ({"loss": "not a:name"}, "is no code reference"),
        ({"seed": 2**64}, "less than 18446744073709551616"),
        ({"seed": -(2**63) - 1}, "greater than or equal to -9223372036854775808"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_does(settings, says):
    with pytest.raises(ValidationError, match=says):
        TrainingConfig(**settings)
