"""Amounts in sentences."""

import pytest

from raypipe.values.words import amount


@pytest.mark.parametrize(
    ("count", "words", "said"),
    [
        (1, ("row",), "1 row"),
        (0, ("row",), "0 rows"),
        (2000, ("row",), "2,000 rows"),
        (1, ("retry", "retries"), "1 retry"),
        (3, ("retry", "retries"), "3 retries"),
    ],
)
def test_amounts_have_their_plural(count, words, said):
    assert amount(count, *words) == said
