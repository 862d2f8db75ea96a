"""The data report says what was found, first what is wrong; no value can break the page."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from raypipe.config.data import DataConfig
from raypipe.stages.validation.report import page as page_module
from raypipe.stages.validation.report.page import render
from raypipe.stages.validation.report.report import CheckLine, Checks, Report
from raypipe.values.profile import profile_table
from raypipe.values.validation import Accepted, Anomaly
from tests import hostile

VOID = {"meta", "br", "link", "img", "input"}
KNOWN = {
    *("html", "head", "meta", "title", "style", "body", "main", "header", "footer", "nav"),
    *("section", "article", "h1", "h2", "h3", "p", "a", "ul", "li", "dl", "dt", "dd", "div"),
    *("span", "strong", "code", "bdi", "table", "caption", "thead", "tbody", "tr", "th", "td"),
    *("figure", "figcaption", "svg", "path", "rect"),
}


class Page(HTMLParser):
    """A page's elements, that must be nested rightly, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.text.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def evil() -> Report:
    report = hostile.report(hostile.rows(600), hostile.rows(200, 1, 600))
    anomaly = Anomaly(
        column=hostile.SCRIPT,
        kind="of_later_days",
        severity="warn",
        message=f"{hostile.SCRIPT}: {hostile.QUOTES}",
        share=0.5,
        examples=(hostile.IMAGE, hostile.LONG, hostile.TURNED),
        allow=hostile.STYLE,
    )
    assert report.validated is not None
    found = replace(
        report.validated.validation,
        anomalies=(anomaly, *report.validated.validation.anomalies),
        accepted=(Accepted(anomaly=anomaly, by=hostile.IMAGE, why=hostile.STYLE),),
    )
    return replace(
        report,
        validated=replace(report.validated, validation=found),
        checks=Checks(
            lines=(CheckLine(name=hostile.SCRIPT, status="not_run", details=hostile.IMAGE),),
            said=hostile.QUOTES,
        ),
    )


@pytest.fixture(scope="module")
def hostile_page(evil) -> str:
    return render(evil)


def test_hostile_names_and_values_stay_text(hostile_page):
    page = Page(hostile_page)
    assert {tag for tag, _ in page.tags} <= KNOWN
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
    text = "".join(page.text)
    for value in (hostile.SCRIPT, hostile.IMAGE, hostile.QUOTES, hostile.STYLE):
        assert value in text
    assert len(page.named("style")) == len(page.named("title")) == 1


def test_nothing_is_fetched_and_links_lead_to_places_of_the_page(hostile_page):
    page = Page(hostile_page)
    places = {attributes.get("id") for _, attributes in page.tags}
    links = [attributes["href"] for attributes in page.named("a")]
    assert links
    assert {link[1:] for link in links} <= places
    assert all(link.startswith("#") for link in links)
    assert not [one for _, one in page.tags if "src" in one or "xlink:href" in one]


def test_letters_that_turn_the_text_or_cannot_be_seen_are_written_out(hostile_page):
    assert r"invoice\u202egnp.exe" in hostile_page
    assert not [c for c in set(hostile_page) - {"\n"} if not c.isprintable()]


def test_no_value_is_longer_than_a_person_reads(hostile_page):
    assert max(len(part) for part in Page(hostile_page).text) < 2_500
    assert "x" * 200 not in hostile_page


def test_an_anomaly_of_a_kind_that_nobody_knows_is_shown_first_with_all_it_says(hostile_page):
    text = "".join(Page(hostile_page).text)
    places = [hostile_page.index(f'id="{name}"') for name in ("anomalies", "changes", "columns")]
    assert places[0] < hostile_page.index("of_later_days") < places[1] < places[2]
    assert "Share of rows: 50 %" in text
    assert f"Expected by {hostile.IMAGE}" in text


def test_what_is_to_be_typed_can_be_typed(hostile_page):
    text = "".join(Page(hostile_page).text)
    assert re.search(r"--accept '[a-z_]+:[^']*<script>", text)


def test_tables_have_headers_pictures_have_words_and_headings_come_in_order(hostile_page):
    page = Page(hostile_page)
    assert all(one.get("scope") in ("col", "row") for one in page.named("th"))
    assert all(
        one.get("aria-label") or one.get("aria-hidden") == "true" for one in page.named("svg")
    )
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))
    assert levels.count(1) == 1
    ids = [one["id"] for _, one in page.tags if one.get("id")]
    assert len(ids) == len(set(ids))


def test_every_column_of_every_type_has_its_place(evil, hostile_page):
    page = Page(hostile_page)
    columns = [one for one in page.named("section") if one.get("class") == "column"]
    assert len(columns) == len(evil.now.columns) == len(hostile.rows(1).column_names)
    assert "Images, by what their first bytes say" in "".join(page.text)
    assert "colour, 8 bits" in "".join(page.text)


def test_the_first_data_has_nothing_to_be_compared_with():
    page = render(hostile.report(None, hostile.rows(300)))
    assert "There are no earlier rows to compare with" in page
    assert 'class="key before"' not in page


def test_an_empty_split_and_data_without_rows_are_told():
    data = hostile.DATA.model_copy(
        update={
            "split": DataConfig(
                dataset="local://a/b", label="late", split={"by": "column", "column": "part"}
            ).split
        }
    )
    table = hostile.rows(100).append_column("part", pa.array(["train"] * 100))
    some = "".join(Page(render(hostile.report(None, table, data))).text)
    none = "".join(Page(render(hostile.report(table, table[:0], data))).text)
    empty = hostile.report(table, table[:0], data)
    bare = replace(empty, now=hostile.split(table[:0], data).all, before=None, new=None)
    assert "There are no values to draw" in "".join(Page(render(bare)).text)
    assert "No row is in the split validation or analysis" in some
    assert "new0 rows in 1 shard" in none


def test_without_settings_a_report_says_what_it_does_not_know(evil):
    page = render(Report(name="evil", dataset=evil.dataset, now=evil.now, before=evil.before))
    text = "".join(Page(page).text)
    assert "No settings were given" in text
    assert "all rows" in text
    assert 'id="splits"' not in page
    assert 'id="checks"' not in page


def test_columns_that_came_went_or_changed_their_type_are_named(evil):
    before = profile_table(pa.table({"gone": [1, 2], "both": [1, 2]}))
    now = profile_table(pa.table({"both": ["a", "b"], "came": [1, 2]}))
    page = render(Report(name="x", dataset=evil.dataset, now=now, before=before))
    text = " ".join("".join(Page(page).text).split())
    assert "new columnscame" in text
    assert "missing columnsgone" in text
    assert "both (int64, now string)" in text
    assert "rows that are gone" not in text


def test_a_column_that_the_new_rows_lack_is_missing_though_older_rows_have_it():
    old = hostile.rows(300)
    new = hostile.rows(100, 1, 300).drop_columns(["steep"])
    page = render(hostile.report(old, new))
    assert "<dt>missing columns</dt><dd><bdi>steep</bdi></dd>" in page
    (shown,) = re.findall(r'<h3 id="c\d+-name"><bdi>steep</bdi>.*?</section>', page, re.S)
    assert "double, missing" in shown
    assert '<span class="key now"></span> before.' in shown


def test_rows_that_are_gone_are_counted(evil):
    before = profile_table(pa.table({"a": [1, 2, 3]}))
    now = profile_table(pa.table({"a": [1]}))
    page = render(Report(name="x", dataset=evil.dataset, now=now, before=before))
    assert "<dt>rows that are gone</dt><dd><bdi>2</bdi></dd>" in page


def test_two_columns_that_changed_places_both_say_so():
    random = np.random.default_rng(0)
    names = {"id": np.arange(2000), "a": random.normal(0, 1, 2000), "b": random.normal(9, 1, 2000)}
    late = pa.array(random.random(2000) < 0.3)
    old = pa.table({**names, "late": late})
    new = pa.table({"id": names["id"] + 2000, "a": names["b"], "b": names["a"], "late": late})
    page = render(hostile.report(old, new))
    of_columns = page[page.index('id="columns"') :]
    assert of_columns.count("<code>swapped_columns</code>") == 2


@pytest.mark.slow
def test_five_hundred_columns_make_a_page_of_bounded_size_and_more_are_left_to_the_list(
    evil, monkeypatch
):
    one = profile_table(pa.table({"x": np.arange(40.0)}))
    columns = {f"column {n}": replace(one.columns["x"], name=f"column {n}") for n in range(500)}
    wide = replace(one, columns=columns)
    report = Report(name="wide", dataset=evil.dataset, now=wide, before=wide)
    page = render(report)
    assert page.count('<section class="column"') == 500
    assert len(page) < 500 * 8_000
    assert "460 other columns moved less" in page

    monkeypatch.setattr(page_module, "MOST_COLUMNS", 100)
    fewer = render(report)
    assert fewer.count('<section class="column"') == 100
    assert Page(fewer).named("a")
    assert "100 columns are shown below" in fewer


@pytest.mark.slow
def test_a_page_of_more_rows_is_no_longer_than_one_of_fewer():
    few, many = (render(hostile.report(None, hostile.rows(count))) for count in (500, 2_000))
    assert len(many) < 1.15 * len(few)
