"""A time is given as so long ago, or as a date."""

from datetime import datetime

import pytest

from raypipe.app.moments import read_since
from raypipe.errors import UsageError

NOW = 1_000_000.0


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("90s", 90),
        ("30min", 1_800),
        ("5m", 300),
        ("2h", 7_200),
        ("1.5 d", 129_600),
        ("1w", 604_800),
    ],
)
def test_so_long_ago(text, ago):
    assert read_since(text, NOW) == NOW - ago


@pytest.mark.parametrize("text", ["2026-01-31", "2026-01-31T08:00", "2026-01-31T08:00:00+01:00"])
def test_a_date(text):
    assert read_since(text, NOW) == datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize("text", ["soon", "", "2 years", "-2h", "2026-13-01"])
def test_anything_else_is_refused_with_what_would_do(text):
    with pytest.raises(UsageError, match="is no time") as failed:
        read_since(text, NOW)
    assert "2h" in str(failed.value.hint)
