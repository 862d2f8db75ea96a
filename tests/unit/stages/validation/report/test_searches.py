"""Each search says whether it was made, and what it came to."""

from dataclasses import replace

import pytest

from raypipe.stages.validation.report.searches import SEARCHES, searches
from raypipe.values.validation import Accepted, Anomaly
from tests import hostile


def report(**settings: object):
    return hostile.report(None, hostile.rows(60), **settings)


def came_to(one) -> dict[str, str]:
    return {search.kind: search.came_to for search in searches(one)}


def test_what_was_not_asked_for_is_not_said_to_be_absent():
    found = came_to(report(duplicates=None, leakage=None))
    assert found["near_duplicates"] == found["duplicates_across"] == "not searched"
    assert found["target_leakage"] == found["group_leakage"] == "not searched"
    assert found["duplicate_key"] == "not found"


@pytest.mark.parametrize("kind", SEARCHES)
def test_a_kind_that_settings_ignore_was_not_searched(kind):
    assert came_to(report(severities={kind: "ignore"}))[kind] == "not searched"


def test_what_was_found_is_told_and_what_was_expected_is_told_as_such():
    one = report()
    leak = Anomaly(column="", kind="group_leakage", severity="stop", message="Two groups.")
    twin = Anomaly(column="", kind="duplicate_rows", severity="warn", message="Two rows.")
    validation = replace(
        one.validated.validation,
        anomalies=(leak,),
        accepted=(Accepted(anomaly=twin, by="ada", why="known"),),
    )
    one = replace(one, validated=replace(one.validated, validation=validation))
    found = {search.kind: search for search in searches(one)}
    assert (found["group_leakage"].came_to, found["group_leakage"].said) == (
        "found",
        ("Two groups.",),
    )
    assert found["duplicate_rows"].came_to == "expected"
