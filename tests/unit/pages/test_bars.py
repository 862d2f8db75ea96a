"""Bars are as tall and wide as what they stand for."""

import re
import xml.etree.ElementTree as ET

from raypipe.pages.bars import histogram, share


def heights(svg: str) -> list[float]:
    (path,) = (one.get("d") for one in ET.fromstring(svg) if one.get("class") == "now")
    return [float(up) for up in re.findall(r"v-([\d.]+)", path)]


def test_the_tallest_bar_is_as_tall_as_the_picture_and_the_others_in_proportion():
    assert heights(histogram([0.1, 0.4, 0.0, 0.2], None, "x")) == [25.0, 100.0, 50.0]


def test_bars_and_the_line_before_have_one_scale():
    drawn = histogram([0.1], [0.4], "x")
    assert heights(drawn) == [25.0]
    line = next(one for one in ET.fromstring(drawn) if "before" in one.get("class"))
    assert "V0.0h" in line.get("d")


def test_what_is_there_at_all_can_be_seen():
    assert heights(histogram([0.999999, 0.000001], None, "x")) == [100.0, 1.0]


def test_nothing_to_draw_is_drawn_as_nothing():
    assert heights(histogram([], None, "x")) == []
    assert heights(histogram([0.0, 0.0], [0.0, 0.0], "x")) == []


def test_a_label_cannot_leave_its_attribute():
    drawn = histogram([1.0], None, '"><script>alert(1)</script>')
    assert "<script>" not in drawn
    assert ET.fromstring(drawn).get("aria-label") == '"><script>alert(1)</script>'


def test_a_share_is_as_wide_as_it_says_and_never_wider_than_all():
    widths = [one.get("width") for one in ET.fromstring(share(0.25, 1.5))]
    assert widths == ["25.00", "100.00"]
