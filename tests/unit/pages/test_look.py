"""A page is made again when what it is drawn with changes, though no code does."""

from pathlib import Path

from raypipe.app.data_report import reported
from raypipe.engine.graph import build
from raypipe.pages.look import look_of
from raypipe.values.dataset import Dataset, Shard
from raypipe.values.uri import parse_uri


def test_each_template_and_its_name_counts(tmp_path: Path):
    looks = set()
    for number, (name, text) in enumerate([("a.html", "1"), ("a.html", "2"), ("b.html", "1")]):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / name).write_text(text)
        looks.add(look_of(folder))
    assert len(looks) == 3


def test_what_all_pages_share_counts(tmp_path: Path, monkeypatch):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "page.css").write_text("p {}")
    before = look_of(tmp_path)
    look_of.cache_clear()
    monkeypatch.setattr("raypipe.pages.look._OWN", tmp_path / "own")
    assert look_of(tmp_path) != before
    look_of.cache_clear()


def test_a_report_is_told_by_what_it_is_drawn_with():
    shard = Shard(path="a.parquet", object_id="blake2b:a", size=1, location="file:///a")
    rows = Dataset(shards=(shard,), uri="local://tiny/main", commit="c")
    graph = build(lambda: {"report": reported(parse_uri(rows.uri), rows, None)}, "tiny", {})
    (node,) = (one for one in graph.nodes.values() if one.name == "report_rows")
    assert "look" in node.arguments
    assert "look" not in node.step.options.uncounted
