"""Edge cases are shown as rows in a line each, whatever their values are."""

from raypipe.cli import render_edge_cases

SET = {"name": "night", "pipeline": "tiny", "rows": 60, "by": "ada", "time": 1.7e9}


def test_a_set_is_shown_row_by_row_up_to_a_bound():
    case = {"wind": 0.5, "note": "two\nlines \u202e" + "x" * 99}
    shown = render_edge_cases.one_set({**SET, "columns": ["wind", "note"], "cases": [case] * 60})
    assert "night of tiny: 60 rows" in shown
    assert r"two\nlines \u202exxx" in shown
    assert "x" * 50 not in shown
    assert shown.endswith("… and 10 rows more; --json has all")
    assert len(shown.splitlines()) == 2 + 1 + 50 + 1


def test_sets_are_listed_and_what_was_done_is_told():
    assert "night" in render_edge_cases.sets([SET])
    assert render_edge_cases.sets([]).startswith("No edge cases are kept.")
    assert "1 row added" in render_edge_cases.added({**SET, "added": 1})
    assert "are removed" in render_edge_cases.removed(SET)
