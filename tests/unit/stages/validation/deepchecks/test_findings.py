"""What checks came to, as anomalies and as what was not looked at."""

import pytest

from raypipe.config.deepchecks import DeepchecksConfig
from raypipe.config.validation import ValidationConfig
from raypipe.stages.validation.deepchecks.findings import joined
from raypipe.values.checked import Check, Checked, Condition
from raypipe.values.validation import Anomaly, Validation

BEFORE = Validation(
    rows=1,
    drift={},
    anomalies=(Anomaly(column="a", kind="range", severity="warn", message="a: high"),),
)
FAILED = Check(
    name="FeatureDrift",
    suite="train_test_validation",
    status="failed",
    conditions=(
        Condition(name="drift < 0.2", status="fail", details="temp: 0.4"),
        Condition(name="another", status="pass"),
    ),
)
CRASHED = Check(name="MixedNulls", suite="data_integrity", status="crashed", reason="E: oh")
NOT_RUN = Check(name="LabelDrift", suite="train_test_validation", status="not_run", reason="x")
NO_LABEL = Check(name="ConflictingLabels", suite="data_integrity", status="not_applicable")


def after(*checks, unfinished="", **settings):
    checked = Checked(checks=checks, rows={}, unfinished=unfinished)
    return joined(BEFORE, checked, "", ValidationConfig(**settings))


def test_a_failed_condition_is_an_anomaly_of_its_check_that_warns():
    validation = after(FAILED)
    found = validation.anomalies[1]
    assert (found.name, found.severity) == ("deepchecks:FeatureDrift", "warn")
    assert found.message == "FeatureDrift: not so: drift < 0.2 (temp: 0.4)."
    assert found.allow == "validation.deepchecks.severities.FeatureDrift: off"
    assert validation.verdict == "warn"
    assert validation.unchecked == ()


def test_severities_make_it_stop_first_or_be_nothing():
    stop = DeepchecksConfig(severities={"FeatureDrift": "stop"})
    assert [one.name for one in after(FAILED, deepchecks=stop).anomalies] == [
        "deepchecks:FeatureDrift",
        "range:a",
    ]
    off = DeepchecksConfig(severities={"FeatureDrift": "off"})
    assert after(FAILED, deepchecks=off).anomalies == BEFORE.anomalies


def test_an_expected_one_is_accepted_by_its_name():
    validation = after(FAILED, accept=[{"what": "deepchecks:FeatureDrift", "by": "ada"}])
    assert validation.anomalies == BEFORE.anomalies
    assert [(one.anomaly.name, one.by) for one in validation.accepted] == [
        ("deepchecks:FeatureDrift", "ada")
    ]


def test_a_crash_is_told_apart_from_what_does_not_apply():
    validation = after(CRASHED, NO_LABEL, NOT_RUN)
    assert [one.message for one in validation.anomalies[1:]] == [
        "MixedNulls: the check crashed: E: oh."
    ]
    assert validation.unchecked == (
        "Of deepchecks crashed: MixedNulls.",
        "Of deepchecks did not run: LabelDrift.",
    )


@pytest.mark.parametrize(("use", "verdict"), [("auto", "warn"), ("required", "stop")])
def test_a_crash_stops_only_where_checks_are_required(use, verdict):
    settings = DeepchecksConfig(use=use, severities={"MixedNulls": "stop"})
    assert after(CRASHED, deepchecks=settings).verdict == verdict


@pytest.mark.parametrize(("use", "verdict"), [("auto", "warn"), ("required", "stop")])
def test_what_did_not_finish_stops_only_where_it_is_required(use, verdict):
    validation = after(unfinished="it was killed", deepchecks=DeepchecksConfig(use=use))
    assert validation.verdict == verdict
    assert validation.unchecked == ("It was killed.",)


def test_a_missing_environment_is_said():
    validation = joined(BEFORE, None, "It is not installed.", ValidationConfig())
    assert validation.unchecked == ("It is not installed.",)
    assert validation.anomalies == BEFORE.anomalies
