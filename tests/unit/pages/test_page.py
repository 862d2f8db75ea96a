"""A page escapes what it is told, and allows nothing but its own style sheet."""

import base64
import hashlib
import re

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from raypipe.pages.page import render, write

EVIL = '<script>alert("x")</script>'


@pytest.fixture
def page(tmp_path):
    def make(body: str, **values: object) -> str:
        text = '{% extends "base.html" %}{% block body %}' + body + "{% endblock %}"
        (tmp_path / "one.html").write_text(text)
        return render(tmp_path, "one.html", **values)

    return make


def test_values_are_escaped_wherever_they_stand(page):
    made = page('<p title="{{ evil }}">{{ evil }}</p>', evil=EVIL)
    assert "<script" not in made
    assert made.count("&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;") == 2


def test_what_cannot_be_seen_is_written_out_though_the_template_does_not_ask(page):
    assert r"a\u202eb" in page("{{ text }}", text="a\u202eb")
    assert "<b>bold</b>" in page("{{ text }}", text=Markup("<b>bold</b>"))


def test_a_value_that_is_missing_is_an_error_and_no_empty_place(page):
    with pytest.raises(UndefinedError):
        page("{{ nobody }}")


def test_the_policy_allows_the_style_sheet_of_the_page_by_its_digest_and_nothing_else(page):
    made = page("")
    (style,) = re.findall(r"<style>(.*?)</style>", made, re.S)
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', made)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert "default-src &#39;none&#39;" in policy
    assert f"style-src &#39;sha256-{digest}&#39;" in policy
    assert "unsafe" not in policy


def test_a_page_is_written_in_utf_8(tmp_path):
    assert write("Zürich", tmp_path / "a.html").read_bytes() == "Zürich".encode()


def colours(style: str) -> list[dict[str, str]]:
    """Return the colours of light, dark and print."""
    blocks = re.findall(r":root \{(.*?)\}", style, re.S)
    return [dict(re.findall(r"--(\w+): (#\w+)", block)) for block in blocks]


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * one for one in colour[1:])
    parts = (int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4))
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("ground", ["paper", "soft"])
def test_text_can_be_read_by_light_in_the_dark_and_on_paper(page, ground):
    """WCAG 2.2, AA, asks for 4.5 to 1."""
    schemes = colours(page(""))
    assert len(schemes) == 3
    for scheme in schemes:
        for name in ("ink", "faint", "good", "warn", "bad", "now", "before"):
            light, dark = sorted((luminance(scheme[name]), luminance(scheme[ground])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (name, scheme)
