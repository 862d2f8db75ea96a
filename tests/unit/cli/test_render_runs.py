"""Runs as text that a person can read."""

import pytest

from raypipe.cli import render_runs


def step(name: str, action: str, kind: str):
    reason = {"kind": kind, "what": "", "detail": ""}
    return {"name": name, "action": action, "reason": reason, "digest": None, "seconds": None}


def waiting(*reviews: tuple[str, bool], status: str = "waiting") -> dict:
    by = {"name": "ann", "user": "ann", "host": "here"}
    about = {"id": "r1", "pipeline": "flights", "created": 0.0, "ended": 1.0, "actor": by}
    asked = [{"id": "a", "step": "s", "status": one, "went_on": went} for one, went in reviews]
    return {**about, "status": status, "reviews": asked}


def test_no_runs_says_how_to_make_one():
    assert "raypipe run" in render_runs.runs([])


@pytest.mark.parametrize(
    ("one", "shown"),
    [
        (waiting(("open", False)), "waiting  "),
        (waiting(("approved", False)), "waiting (approved: run again)"),
        (waiting(("approved", True)), "waiting (approved)  "),
        (waiting(("rejected", False)), "waiting (rejected)  "),
        (waiting(("approved", False), ("open", False)), "waiting (approved)  "),
        (waiting(("approved", False), ("rejected", False)), "waiting (rejected)  "),
        (waiting(status="succeeded"), "succeeded  "),
    ],
)
def test_runs_say_of_one_that_waits_whether_it_is_to_be_run_again(one, shown):
    assert f"  {shown}" in render_runs.runs([one])


def test_a_column_says_which_figure_of_a_name_it_shows():
    one, other = waiting(), waiting()
    one |= {"shown": {"auc": 0.9}, "shown_as": {"auc": "analysis.auc"}}
    none = waiting() | {"shown": {}, "shown_as": {}}
    head, first, second = render_runs.runs([one, none]).splitlines()
    assert head.split()[-1] == "analysis.auc"
    assert (first.split()[-1], second.split()[-1]) == ("0.9", "-")
    other |= {"shown": {"auc": 0.95}, "shown_as": {"auc": "train.auc"}}
    head, first, second = render_runs.runs([one, other]).splitlines()
    assert head.split()[-1] == "auc"
    assert first.endswith("  0.9 (analysis.auc)")
    assert second.endswith("  0.95 (train.auc)")


def test_many_items_of_a_run_that_are_alike_share_a_row():
    steps = [{**step(f"double[{n}]", "execute", "new"), "seconds": 0.5} for n in range(10_000)]
    steps += [{**step("total", "execute", "new"), "seconds": 2.0}]
    run = {
        "id": "r1", "pipeline": "flow", "status": "running", "created": 0.0, "ended": None,
        "parameters": {}, "commits": {}, "code": "c" * 64, "resumes": "r0", "executions": [],
        "metrics": {}, "error": None, "steps": steps, "to_come": 7,
        "at_work": [
            {"step": f"double[{n}]", "since": 0.0, "reason": "new", "done": 1, "total": 2,
             "what": "rows"} for n in range(30)
        ],
    }  # fmt: skip
    text = render_runs.run(run)
    assert ["double", "×10,000", "execute", "new", "83:20", "min", "in", "all"] in [
        line.split() for line in text.splitlines()
    ]
    assert "10 steps more at work, 7 steps to come" in text
    assert "goes on from: r0" in text
    assert len(text.splitlines()) < 50
