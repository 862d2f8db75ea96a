"""Tables, numbers and times can be read by a person and carried by a pipe."""

import pytest

from raypipe.cli import render


def test_columns_stay_aligned_under_wide_letters_and_line_breaks():
    shown = render.table(("name", "note"), [("東京", "x\ny"), ("abcd", None)])
    assert shown == "name  note\n東京  x y\nabcd  -"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.0123, "12 ms"),
        (3.21, "3.2 s"),
        (89.9, "89.9 s"),
        (125, "2:05 min"),
        (7200, "2.0 h"),
    ],
)
def test_a_duration_is_in_the_unit_that_suits_it(seconds, text):
    assert render.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2.5e9, "2.5 GB")]
)
def test_a_size_is_in_the_unit_that_suits_it(count, text):
    assert render.size(count) == text


def test_nested_data_is_indented():
    data = {"a": 1, "b": {"c": [], "d": [{"x": 1, "y": 2}, {"x": 3}]}, "e": None}
    assert render.lines(data).splitlines() == [
        "a: 1",
        "b:",
        "  c: -",
        "  d:",
        "    - x: 1",
        "      y: 2",
        "    - x: 3",
        "e: -",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.74123456789, "0.741235"), (20.0, "20"), (1234567.89, "1234567.89"), (1.5e-9, "1.5e-09")],
)
def test_a_number_is_short_but_no_large_or_tiny_one_loses_digits(value, text):
    assert render.number(value) == text
