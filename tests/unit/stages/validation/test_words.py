"""Figures in sentences."""

import pytest

from raypipe.stages.validation.words import percent, some


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0 %"),
        (0.00001, "less than 0.01 %"),
        (0.0005, "0.05 %"),
        (0.034, "3.4 %"),
        (0.03, "3 %"),
        (0.123, "12 %"),
        (0.9, "90 %"),
        (0.999, "more than 99 %"),
        (1, "100 %"),
    ],
)
def test_a_share_is_written_as_a_person_would(share, text):
    assert percent(share) == text


def test_examples_are_few_short_and_visible():
    assert some(["a", ""], 4) == "a, '' and 2 more"
    assert len(some(["x" * 500], 1)) < 50
