"""Each check of deepchecks is a line of the page, what failed first."""

from dataclasses import replace

from raypipe.stages.validation.report.checks import checks_of
from raypipe.stages.validation.report.page import render
from raypipe.values.checked import Check, Checked, Condition
from tests import hostile

CHECKED = Checked(
    checks=(
        Check(name="Passes", suite="s", status="passed"),
        Check(name="Asleep", suite="s", status="not_run", reason=hostile.IMAGE),
        Check(
            name="Fails",
            suite="s",
            status="failed",
            conditions=(Condition(name="Less than 1 %", status="fail", details=hostile.SCRIPT),),
        ),
    ),
    rows={"train": 1_000, "validation": 200},
    version="0.19",
    unfinished="It took too long.",
    left_out={hostile.STYLE: "it is a list"},
)


def test_what_failed_comes_first_and_what_did_not_run_or_was_left_out_is_there():
    found = checks_of(CHECKED)
    names = [line.name for line in found.lines]
    assert names == ["Fails", "Passes", "Asleep", hostile.STYLE]
    assert found.lines[0].details == f"Less than 1 %: fail. {hostile.SCRIPT}"
    assert found.said == "By deepchecks 0.19, on a sample of 1,000 train rows, 200 validation rows."


def test_checks_and_what_was_not_looked_at_stand_on_the_page():
    report = hostile.report(None, hostile.rows(60))
    unchecked = replace(report.validated.validation, unchecked=("deepchecks is not there.",))
    validated = replace(report.validated, validation=unchecked)
    page = render(replace(report, validated=validated, checks=checks_of(CHECKED)))
    assert "It took too long." in page
    assert "deepchecks is not there." in page
    assert "<script" not in page
    assert page.count('id="checks"') == 1
