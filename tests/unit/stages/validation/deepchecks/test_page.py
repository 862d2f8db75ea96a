"""The page escapes what comes from data, and shuts in what deepchecks drew."""

from html.parser import HTMLParser

from raypipe.stages.validation.deepchecks.page import render
from raypipe.values.checked import Check, Checked, Condition

EVIL = "\"><script>alert('data')</script>"


class Seen(HTMLParser):
    """The tags of a page, each with its attributes."""

    def __init__(self, page):
        super().__init__()
        self.tags = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def named(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]


def test_no_value_of_the_data_is_markup_and_drawings_are_in_a_sandbox():
    checked = Checked(
        checks=(
            Check(
                name="NewCategoryTrainTest",
                suite="train_test_validation",
                status="failed",
                conditions=(Condition(name=EVIL, status="fail", details=EVIL),),
            ),
        ),
        rows={"train": 1, "validation": 1},
        unfinished=EVIL,
        left_out={EVIL: EVIL},
    )
    seen = Seen(render(checked, f"<p>drawn</p>{EVIL}"))
    assert seen.named("script") == []
    (frame,) = seen.named("iframe")
    assert frame["sandbox"] == "allow-scripts"
    assert frame["srcdoc"] == f"<p>drawn</p>{EVIL}"
    policy = next(one["content"] for one in seen.named("meta") if "http-equiv" in one)
    assert policy.startswith("default-src 'none';")


def test_what_cannot_be_seen_is_written_out_and_drawings_stay_whole():
    """A letter that turns the direction of writing makes one name look like another."""
    checked = Checked(
        checks=(), rows={"train": 1, "validation": 1}, left_out={"a\u202egnp.exe": "long " * 999}
    )
    drawn = "<p>\u202e</p>" * 9_999
    page = render(checked, drawn)
    assert "a\\u202egnp.exe" in page
    assert "long " * 500 not in page
    (frame,) = Seen(page).named("iframe")
    assert frame["srcdoc"] == drawn
