"""Before anything runs one sees why, how long it takes, and which models it leaves behind."""

from tests.acceptance import tiny
from tests.conftest import Project

FLOW = """
from raypipe import pipeline, step


@step(expires=7200, depends_on=("env:REGION",))
def load(options: dict) -> list[int]:
    return [1, 2]


@step
def total(rows: list[int]) -> int:
    return sum(rows)


@pipeline
def flow(options: dict = {"deep": {"rate": 1, "name": "a"}, "top": 1}):
    return total(load(options))
"""


def reasons(said) -> dict[str, str]:
    """Step to its reason in words."""
    return {
        one["name"]: ": ".join(part for part in one["reason"].values() if part)
        for one in said.result["steps"]
    }


def test_why_lists_every_part_that_differs_and_its_values(project: Project) -> None:
    project.write("flow.py", FLOW)
    project.run("flow.py")
    project.edit("flow.py", '"rate": 1, "name": "a"', '"rate": 2, "name": "b"')

    said = project.raypipe("why", "load", "flow.py", REGION="north").out
    assert "parameter: options.deep.name: 'a' → 'b', and 1 more" in said
    assert "    parameter: options.deep.rate: 1 → 2" in said
    assert "    environment: env:REGION: set now" in said
    assert "north" not in said

    asked = project.raypipe("why", "load", "flow.py", "--json").result["why"]
    assert [(one["kind"], one["what"]) for one in asked["changes"]] == [
        ("parameter", "options.deep.name"),
        ("parameter", "options.deep.rate"),
    ]


def test_why_shows_the_lines_of_a_step_whose_input_is_not_known_yet(project: Project) -> None:
    project.write("flow.py", FLOW)
    project.run("flow.py")
    project.edit("flow.py", "return [1, 2]", "return [1, 3]")
    project.edit("flow.py", "return sum(rows)", "return max(rows)")

    asked = project.raypipe("why", "total", "flow.py", "--json").result["why"]
    assert asked["action"] == "open"
    assert [line for line in asked["lines"] if "return" in line] == [
        "-    return sum(rows)", "+    return max(rows)",
    ]  # fmt: skip
    project.edit("flow.py", "return max(rows)", "return sum(rows)")
    assert project.raypipe("why", "total", "flow.py", "--json").result["why"]["lines"] == []


def test_a_plan_says_when_what_is_kept_expires_and_how_long_the_rest_takes(
    project: Project,
) -> None:
    project.write("flow.py", FLOW)
    assert "nothing is known of 2 steps" in project.raypipe("plan", "flow.py").out
    project.run("flow.py")
    kept = project.raypipe("plan", "flow.py", "--json")
    assert reasons(kept)["load"] == "same: expires in 2 h"

    forced = project.raypipe("plan", "flow.py", "--force", "total", "--json").result["estimate"]
    assert list(forced["steps"]) == ["total"]
    assert forced["seconds"] == forced["most"] == forced["steps"]["total"] > 0
    assert "; about " in project.raypipe("plan", "flow.py", "--force", "total").out


def test_new_data_is_named_by_shards_and_rows(trained: Project) -> None:
    tiny.import_shards(trained, tiny.write_shard(trained, "part3", tiny.rows(60, days=7)))

    told = reasons(trained.raypipe("plan", "tiny.yaml", "--json"))
    new = "shards: 1 of 4 shards is new (+140 rows), runs in any case"
    assert told["evaluate"] == f"upstream: train: {new}"

    part4 = tiny.write_shard(trained, "part4", tiny.rows(80, days=3))
    assert trained.raypipe("data", "import", part4, "--to", "local://tiny/main").code == 0
    told = reasons(trained.raypipe("plan", "tiny.yaml", "--json"))
    assert "dataset: 2 of 5 shards are new (+200 rows)" in told["admit"]


def test_a_plan_names_the_deployed_version_that_an_edit_leaves_behind(registered: Project) -> None:
    assert registered.raypipe("plan", "tiny.yaml", "--json").result["stale"] == []
    registered.edit("my_model.py", "WIDTH = 8", "WIDTH = 9")

    said = registered.raypipe("plan", "tiny.yaml").out
    reason = "code: my_model:WIDTH: changed"
    assert f"tiny 1.0.0 (champion) was made by train, which would be executed ({reason})" in said
    (one,) = registered.raypipe("plan", "tiny.yaml", "--json").result["stale"]
    assert (one["model"], one["version"], one["step"]) == ("tiny", "1.0.0", "train")

    registered.edit("my_helpers.py", "values / 2", "values / 4")
    assert "may fall behind: it came from" in registered.raypipe("plan", "tiny.yaml").out
