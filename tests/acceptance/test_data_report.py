"""The data report as a person meets it: after an import, after a run, and asked for by itself."""

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tests.acceptance import tiny


def page_of(text: str) -> str:
    """Return the page whose path a text names."""
    (path,) = set(re.findall(r"/\S+-data\.html", text))
    return Path(path).read_text(encoding="utf-8")


def damaged(first_day: int) -> pa.Table:
    """Rows of which wind is text and the carriers are new."""
    table = tiny.rows(first_day)
    wind = pc.cast(table["wind"], pa.string())
    return table.set_column(2, "wind", wind).drop_columns(["miles"])


def test_an_import_says_where_its_report_lies_and_the_report_what_is_new(imported):
    more = tiny.write_shard(imported, "part3", tiny.rows(60))
    said = imported.raypipe(
        "data", "import", more, "--to", "local://tiny/main", "--config", "tiny.yaml"
    )
    assert said.code == 0, said.err

    page = page_of(said.out)

    assert "1,200 rows before" in page
    assert "400 rows in 1 shard" in page
    assert "part3.parquet" in page
    assert "The data passes" in page


def test_who_is_refused_is_told_of_a_report_that_names_every_fault(imported):
    bad = tiny.write_shard(imported, "bad", damaged(60))
    said = imported.raypipe(
        "data", "import", bad, "--to", "local://tiny/main", "--config", "tiny.yaml"
    )
    assert said.code == 4, said.err

    page = page_of(said.err)

    assert "The data is stopped" in page
    first = page.index("<code>missing_column</code>")
    assert page.index('id="anomalies"') < first < page.index('id="columns"')
    assert "<code>type</code>" in page


def test_a_run_shows_its_report_whether_it_waits_or_made_nothing_new(trained):
    again = tiny.run(trained)

    assert again.result["status"] == "waiting"
    assert again.actions["report_data"] == "hit"
    path = again.result["pages"]["report_data"]
    assert "1,200" in Path(path).read_text(encoding="utf-8")
    told = trained.raypipe("run", "tiny.yaml", "--runtime", "inline")
    assert f"data report: {path}" in told.out
    review = trained.raypipe("review", "show", again.result["reviews"][0]["id"])
    assert f"data report: {path}" in review.out


def test_a_report_of_any_commit_is_held_against_any_other(trained):
    trained.raypipe("data", "tag", "local://tiny/main", "before")
    tiny.import_shards(trained, tiny.write_shard(trained, "part3", tiny.rows(60)))
    asked = ("data", "report", "local://tiny/main", "--against", "before")

    with_settings = trained.raypipe(*asked, "--config", "tiny.yaml", "--out", "a.html", "--json")
    without = trained.raypipe(*asked, "--out", "b.html", "--json")

    assert with_settings.code == without.code == 0, with_settings.err + without.err
    assert with_settings.result["report"]["verdict"] != "stop"
    assert without.result["report"] == {"report": "b.html"}
    for name in ("a.html", "b.html"):
        page = (trained.folder / name).read_text(encoding="utf-8")
        assert "1,200 rows before" in page
        assert "400 rows in 1 shard" in page
    assert "Splits" in (trained.folder / "a.html").read_text(encoding="utf-8")
    assert "No settings were given" in (trained.folder / "b.html").read_text(encoding="utf-8")


def test_without_another_commit_a_report_compares_with_what_was_accepted_last(trained):
    tiny.import_shards(trained, tiny.write_shard(trained, "part3", tiny.rows(60)))

    said = trained.raypipe("data", "report", "local://tiny/main", "--config", "tiny.yaml")
    assert said.code == 0, said.err
    assert "1,200 rows before" in page_of(said.out)

    ran = tiny.run(trained)  # the cycle holds the same against the same, and finds the page
    assert ran.actions["report_data"] == "hit"
    assert ran.result["pages"]["report_data"] in said.out


def test_a_report_against_another_repository_or_an_unknown_ref_is_refused(imported):
    other = imported.raypipe("data", "report", "local://tiny/main", "--against", "local://b/main")
    unknown = imported.raypipe("data", "report", "local://tiny/main", "--against", "nowhere")

    assert other.code == 2
    assert "another repository" in other.err
    assert unknown.code != 0
    assert "nowhere" in unknown.err
    assert "Traceback" not in other.err + unknown.err
