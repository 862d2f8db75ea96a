"""Records become text that a person can read and a pipe can carry."""

import pytest

from raypipe.cli import render


def step(name: str, action: str, kind: str, what: str = "", digest: str | None = None):
    reason = {"kind": kind, "what": what, "detail": ""}
    return {"name": name, "action": action, "reason": reason, "digest": digest, "seconds": None}


PLAN = {
    "pipeline": "flights",
    "status": None,
    "steps": [
        step("profile_shard", "hit", "same"),
        step("profile_shard#2", "hit", "same"),
        step("profile_shard#3", "execute", "new"),
        step("train", "execute", "code", "my.model:build"),
        step("review_model", "open", "upstream", "train"),
    ],
    "outputs": {},
    "reviews": [],
    "error": None,
}


def test_a_plan_puts_like_steps_in_one_row():
    assert render.plan(PLAN) == (
        "step              action   reason\n"
        "profile_shard ×2  hit      same\n"
        "profile_shard#3   execute  new\n"
        "train             execute  code: my.model:build\n"
        "review_model      open     upstream: train\n"
        "\n"
        "flights: 2 to execute, 2 kept, 1 open until an upstream output is known"
    )


def test_a_plan_counts_what_is_open_and_runs_in_any_case_as_to_execute():
    steps = [step("train", "open", "upstream", "fit")]
    steps[0]["reason"]["detail"] = "its code changed, runs in any case"
    assert render.plan({**PLAN, "steps": steps}).endswith("flights: 1 to execute")


def test_why_says_what_more_counts_since_it_cannot_be_told():
    asked = {
        **step("train", "execute", "new"),
        "changes": [],
        "lines": ["-a"],
        "widened": ["flow: a name is computed at run time"],
    }
    assert render.why(asked).splitlines() == [
        "train: execute",
        "  new",
        "    -a",
        "  more code counts than is named, since that cannot be told from it:",
        "    flow: a name is computed at run time",
    ]


def test_a_summary_says_what_waits_and_how_to_decide():
    review = {"id": "ab12", "step": "review_model", "status": "open", "evidence": "e"}
    run = {
        **PLAN,
        "run": "r1",
        "status": "waiting",
        "steps": [step("a", "execute", "new", digest="d"), step("b", "hit", "same", digest="d")],
        "reviews": [review],
    }
    assert render.summary(run).splitlines() == [
        "run r1 of flights: waiting for a review",
        "  1 step executed, 1 kept",
        "review ab12 of review_model is open",
        "  raypipe review show ab12",
        "  raypipe review approve ab12 --by NAME --note TEXT   (or reject)",
    ]


def test_a_map_counts_by_its_items_and_what_is_skipped_by_itself():
    steps = [
        step("a", "execute", "new", digest="d"),
        step("a[0]", "execute", "new", digest="d"),
        step("a[1]", "hit", "same", digest="d"),
        step("b", "hit", "skipped", digest="d"),
    ]
    run = {**PLAN, "run": "r1", "status": "succeeded", "steps": steps}
    assert "  1 step executed, 1 kept, 1 skipped" in render.summary(run)
    assert "1 to execute, 1 kept, 1 skipped" in render.plan({**PLAN, "steps": steps})


def test_a_step_that_failed_does_not_count_as_executed():
    run = {**PLAN, "run": "r1", "status": "failed", "steps": [step("a", "execute", "new")]}
    assert "0 steps executed, 0 kept" in render.summary(run)


def test_columns_stay_aligned_under_wide_letters_and_line_breaks():
    shown = render.table(("name", "note"), [("東京", "x\ny"), ("abcd", None)])
    assert shown == "name  note\n東京  x y\nabcd  -"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.0123, "12 ms"),
        (3.21, "3.2 s"),
        (89.9, "89.9 s"),
        (125, "2:05 min"),
        (7200, "2.0 h"),
    ],
)
def test_a_duration_is_in_the_unit_that_suits_it(seconds, text):
    assert render.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2.5e9, "2.5 GB")]
)
def test_a_size_is_in_the_unit_that_suits_it(count, text):
    assert render.size(count) == text


def test_nested_data_is_indented():
    data = {"a": 1, "b": {"c": [], "d": [{"x": 1, "y": 2}, {"x": 3}]}, "e": None}
    assert render.lines(data).splitlines() == [
        "a: 1",
        "b:",
        "  c: -",
        "  d:",
        "    - x: 1",
        "      y: 2",
        "    - x: 3",
        "e: -",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.74123456789, "0.741235"), (20.0, "20"), (1234567.89, "1234567.89"), (1.5e-9, "1.5e-09")],
)
def test_a_number_is_short_but_no_large_or_tiny_one_loses_digits(value, text):
    assert render.number(value) == text


def test_no_runs_says_how_to_make_one():
    assert "raypipe run" in render.runs([])


def test_a_profile_has_a_column_for_each_fact_that_any_column_has():
    top = [{"value": "x", "count": 1200}, {"value": "y", "count": 1}]
    shown = render.profile(
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
    assert render.changes(found).split("\n\n") == [
        "+ a\n- b\n~ c",
        "1,000 → 900 rows (-100)",
        "+ column n\n- column o\n~ column v: int64 → double\n"
        "~ schema of tiny, v: nulls not said → 0.1",
        "column  mean     distance\nv       1 → 2.5  0.25",
    ]
    assert render.changes({"added": [], "removed": [], "changed": []}) == "Nothing differs."


def waiting(*reviews: tuple[str, bool], status: str = "waiting") -> dict:
    by = {"name": "ann", "user": "ann", "host": "here"}
    about = {"id": "r1", "pipeline": "flights", "created": 0.0, "ended": 1.0, "actor": by}
    asked = [{"id": "a", "step": "s", "status": one, "went_on": went} for one, went in reviews]
    return {**about, "status": status, "reviews": asked}


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
    assert f"  {shown}" in render.runs([one])


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
    text = render.run(run)
    assert ["double", "×10,000", "execute", "new", "83:20", "min", "in", "all"] in [
        line.split() for line in text.splitlines()
    ]
    assert "10 steps more at work, 7 steps to come" in text
    assert "goes on from: r0" in text
    assert len(text.splitlines()) < 50
