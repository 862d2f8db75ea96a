"""Versioned data as text that a person can read."""

from raypipe.cli import render_data


def test_a_profile_has_a_column_for_each_fact_that_any_column_has():
    top = [{"value": "x", "count": 1200}, {"value": "y", "count": 1}]
    shown = render_data.profile(
        {
            "a": {"type": "int64", "min": 1, "nulls": 0.25, "approximate": ["median"]},
            "b": {"type": "string", "distinct": 9, "top": top, "approximate": ["distinct", "top"]},
        }
    )
    assert shown.splitlines() == [
        "column  type    min  nulls  distinct  top",
        "a       int64   1    25.0%  -         -",
        "b       string  -    -      ~ 9       ~ x (1,200), y (1)",
        "",
        "~ is an estimate; top of a ~ is of a sample.",
    ]


def test_a_diff_says_what_was_added_removed_and_changed():
    types = {"v": {"before": "int64", "after": "double"}}
    found = {
        "added": ["a"],
        "removed": ["b"],
        "changed": ["c"],
        "schemas": {"tiny": ["v: nulls not said → 0.1"]},
        "rows": {"before": 1000, "after": 900},
        "columns": {"added": ["n"], "removed": ["o"], "types": types},
        "statistics": {"v": {"mean": {"before": 1.0, "after": 2.5}, "distance": 0.25}},
    }
    assert render_data.changes(found).split("\n\n") == [
        "+ a\n- b\n~ c",
        "1,000 → 900 rows (-100)",
        "+ column n\n- column o\n~ column v: int64 → double\n"
        "~ schema of tiny, v: nulls not said → 0.1",
        "column  mean     distance\nv       1 → 2.5  0.25",
    ]
    assert render_data.changes({"added": [], "removed": [], "changed": []}) == "Nothing differs."
