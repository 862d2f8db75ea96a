"""What data says can be read: short, and with nothing unseen in it."""

import pytest

from raypipe.pages.text import LONGEST, visible


@pytest.mark.parametrize("text", ["plain", "Zürich", "العربية", "日本語", "<b>&amp;", "a  b", ""])
def test_what_can_be_seen_stays_as_it_is(text):
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("invoice\u202egnp.exe", r"invoice\u202egnp.exe"),
        ("zero\u200bwidth", r"zero\u200bwidth"),
        ("a\nb\tc", r"a\nb\tc"),
        ("\x00\x1b[31m", r"\x00\x1b[31m"),
        ("no\u00a0break", r"no\xa0break"),
        ("torn\ud800", r"torn\ud800"),
    ],
)
def test_what_cannot_be_seen_is_written_as_an_escape(text, said):
    assert visible(text) == said


def test_a_long_text_is_shortened_to_its_bound():
    assert visible("x" * 10_000, 20) == "x" * 19 + "…"
    assert len(visible("x" * 10_000)) == LONGEST
    assert visible("x" * 20, 20) == "x" * 20
