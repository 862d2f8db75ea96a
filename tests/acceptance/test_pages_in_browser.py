"""Reports as a real browser shows them: nothing runs, nothing is fetched, all of it can be seen."""

from pathlib import Path

import pyarrow as pa
import pytest

from raypipe.pages.page import write
from raypipe.stages.validation.report.page import render
from tests import hostile
from tests.acceptance import tiny
from tests.browser import Browser, Seen

ASKED = """({
    title: document.title,
    ran: window.ran ?? null,
    foreign: document.querySelectorAll("script, img, iframe, object, [onload], [onerror]").length,
    wide: document.documentElement.scrollWidth,
    outside: [...document.querySelectorAll("h1, h2, h3, p, svg, table")]
        .filter(one => !one.closest(".scroll"))
        .map(one => one.getBoundingClientRect())
        .filter(box => box.width && (box.left < -1 || box.right > innerWidth + 1)).length,
    unseen: [...document.querySelectorAll("svg")]
        .map(one => one.getBoundingClientRect())
        .filter(box => !box.width || !box.height).length,
    charts: document.querySelectorAll("svg").length,
    fill: getComputedStyle(document.querySelector("svg .now")).fill,
    headings: [...document.querySelectorAll("h2")].map(one => one.innerText),
})"""


def looked_at(browser: Browser, page: Path, **how: object) -> Seen:
    """Look at a page, which must be quiet: no script, no complaint, no request."""
    seen = browser.look(page, ask=ASKED, **how)
    assert seen.errors == []
    assert seen.requests == []
    assert seen.value["foreign"] == 0
    assert seen.value["unseen"] == 0
    return seen


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Path:
    report = hostile.report(hostile.rows(600), hostile.rows(200, 1, 600))
    return write(render(report), tmp_path_factory.mktemp("evil") / "evil-data.html")


def test_hostile_data_stays_text_and_is_drawn(browser, evil):
    seen = looked_at(browser, evil)

    assert seen.value["title"] == "evil: data report"
    assert seen.value["charts"] > 40
    assert seen.value["headings"][:2] == ["Anomalies", "What changed"]
    colours = seen.picture.colours()
    assert seen.picture.width == 1200
    paper, _ = colours.most_common(1)[0]
    assert paper == "#ffffff"
    assert len(colours) > 50  # letters, their soft edges, lines
    assert colours["#7d5300"] > 100  # the border of a warning


def test_a_page_fits_a_phone(browser, evil):
    seen = looked_at(browser, evil, width=390)

    assert seen.value["wide"] == seen.picture.width == 390
    assert seen.value["outside"] == 0


def test_a_page_is_dark_where_the_reader_wants_it_dark_and_light_on_paper(browser, evil):
    dark = looked_at(browser, evil, dark=True)
    paper = looked_at(browser, evil, dark=True, media="print", width=794)

    assert dark.picture.colours().most_common(1)[0][0] == "#14171a"
    assert dark.value["fill"] == "rgb(95, 163, 214)"
    assert paper.picture.colours().most_common(1)[0][0] == "#ffffff"
    assert paper.value["outside"] == 0


def test_a_script_that_got_into_a_page_would_neither_run_nor_fetch_and_be_seen(browser, tmp_path):
    """The policy holds where escaping would not; and such a thing is seen by these tests."""
    page = render(hostile.report(None, hostile.rows(50)))
    torn = page.replace(
        "</main>",
        "<script>window.ran = 1</script><img src='http://127.0.0.1:9/x' onerror='window.ran = 2'>"
        "<p style='color: red'>x</p></main>",
    )
    seen = browser.look(write(torn, tmp_path / "torn.html"), ask=ASKED)

    assert seen.value["ran"] is None
    assert seen.value["foreign"] == 2
    assert len(seen.errors) >= 3
    assert all("Content Security Policy" in one for one in seen.errors)


def test_the_pages_of_a_run_and_of_a_refused_import_are_quiet_and_drawn(browser, trained):
    ran = tiny.run(trained)
    review = trained.raypipe("review", "show", ran.result["reviews"][0]["id"], "--json").result
    evaluation, data = (Path(review["review"][name]) for name in ("report", "data_report"))

    assert "evaluation" in looked_at_chart(browser, evaluation).value["title"]
    for dark in (False, True):
        seen = looked_at(browser, data, dark=dark, height=3000)
        blue = "#5fa3d6" if dark else "#2f6f9f"
        assert seen.picture.colours()[blue] > 1000  # bars

    nothing = tiny.rows(60).drop_columns(["miles", "wind"])
    shard = tiny.write_shard(trained, "bad", nothing.append_column("new", pa.nulls(len(nothing))))
    asked = ("data", "import", shard, "--to", "local://tiny/main", "--config", "tiny.yaml")
    said = trained.raypipe(*asked)
    path = next(word.rstrip(".") for word in said.err.split() if word.endswith("-data.html."))
    seen = looked_at(browser, Path(path))
    assert seen.value["headings"][0] == "Anomalies"
    assert seen.picture.colours()["#a8321c"] > 300  # the border of what stops


def looked_at_chart(browser: Browser, page: Path) -> Seen:
    """Look at a page whose charts were drawn by Altair."""
    seen = browser.look(page, ask=ASKED.replace('"svg .now"', '"svg path"'))
    assert seen.errors == []
    assert seen.requests == []
    assert seen.value["foreign"] == 0
    assert seen.value["charts"] >= 5
    return seen
