"""Plans and what a run came to as text that a person can read."""

from raypipe.cli import render_plans


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
    assert render_plans.plan(PLAN) == (
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
    assert render_plans.plan({**PLAN, "steps": steps}).endswith("flights: 1 to execute")


def test_why_says_what_more_counts_since_it_cannot_be_told():
    asked = {
        **step("train", "execute", "new"),
        "changes": [],
        "lines": ["-a"],
        "widened": ["flow: a name is computed at run time"],
    }
    assert render_plans.why(asked).splitlines() == [
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
    assert render_plans.summary(run).splitlines() == [
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
    assert "  1 step executed, 1 kept, 1 skipped" in render_plans.summary(run)
    assert "1 to execute, 1 kept, 1 skipped" in render_plans.plan({**PLAN, "steps": steps})


def test_a_step_that_failed_does_not_count_as_executed():
    run = {**PLAN, "run": "r1", "status": "failed", "steps": [step("a", "execute", "new")]}
    assert "0 steps executed, 0 kept" in render_plans.summary(run)
