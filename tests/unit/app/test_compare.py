"""What differs between two runs is told by name, with both values."""

import pytest

from raypipe.app.compare import differing, flat, together


@pytest.mark.parametrize(
    ("data", "names"),
    [
        ({"a": {"b": 1, "c": [1, 2]}}, {"a.b": 1, "a.c": [1, 2]}),
        ({"a": [{"k": 1}, {"k": 2}]}, {"a.0.k": 1, "a.1.k": 2}),
        ({"a": {}, "b": []}, {"a": {}, "b": []}),
        (None, {}),
        ({}, {}),
    ],
)
def test_nested_settings_have_dotted_names(data, names):
    assert flat(data) == names


def test_what_differs_has_both_values_and_what_is_alike_is_left_out():
    before, now = {"a": 1, "b": 2, "gone": None}, {"a": 1, "b": 3, "new": 4}
    assert differing(before, now) == {"b": [2, 3], "gone": [None, None], "new": [None, 4]}


def test_metrics_of_any_number_of_runs_stand_side_by_side():
    assert together({"a": 1.0, "b": 2.0}, {"b": 2.0, "c": 3.0}, {"b": 2.0}) == {
        "a": [1.0, None, None],
        "b": [2.0, 2.0, 2.0],
        "c": [None, 3.0, None],
    }


def test_what_one_of_many_runs_has_not_differs_even_from_none():
    assert differing({"a": None}, {"a": None}, {}) == {"a": [None, None, None]}
    assert differing({"a": 1}, {"a": 1}, {"a": 1}) == {}
