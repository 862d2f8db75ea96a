"""The schema goes with the data; and changes that a person expects are accepted by name."""

import os

import pytest

from tests.acceptance import tiny
from tests.conftest import Project, Said
from tests.lakefs import LakeFS

FILE = ".raypipe/schemas/tiny.yaml"
OBJECT = "_raypipe/schemas/tiny.yaml"


def schema(project: Project, dataset: str, *arguments: str) -> dict:
    said = project.raypipe("data", "schema", dataset, *arguments, "--json")
    assert said.code == 0, said.err
    return said.result["schema"]


def keep_file(project: Project, dataset: str) -> None:
    """Make the file as a fresh checkout gets it: from the data."""
    text = project.raypipe("data", "schema", dataset).out
    project.write(FILE, text)


def goes_with_the_data(project: Project, dataset: str) -> None:
    """The whole story on one repository, of whatever kind."""
    keep_file(project, dataset)
    first = schema(project, dataset, "--config", "tiny.yaml")
    assert first["file"]["differs"] == []
    assert first["accepted"]["differs"] == []

    project.edit(FILE, "[AA, BB, CC]", "[AA, BB, CC, DD]")
    changed = "carrier: categories [AA, BB, CC] → [AA, BB, CC, DD]"
    assert schema(project, dataset, "--config", "tiny.yaml")["file"]["differs"] == [changed]

    part = tiny.write_shard(project, "part3", tiny.rows(60))
    said = project.raypipe("data", "import", part, "--to", dataset, "--config", "tiny.yaml")
    assert said.code == 0, said.err
    now = schema(project, dataset, "--config", "tiny.yaml")
    assert now["file"]["differs"] == now["accepted"]["differs"] == []
    assert now["accepted"]["run"] != first["accepted"]["run"]

    old = f"{dataset.rpartition('/')[0]}/{first['commit']}"
    assert schema(project, old)["schemas"] == first["schemas"]
    assert schema(project, old)["accepted"] == first["accepted"]
    found = project.raypipe("data", "diff", old, "main", "--json").result["diff"]
    assert found["schemas"] == {"tiny": [changed]}
    assert OBJECT in found["changed"]
    assert project.raypipe("data", "show", dataset, "--json").result["dataset"]["schemas"] == [
        "tiny"
    ]


def test_the_schema_of_a_commit_goes_with_it(imported: Project) -> None:
    goes_with_the_data(imported, "local://tiny/main")


@pytest.mark.long
def test_in_lakefs_too(project: Project, lakefs_server: LakeFS, monkeypatch) -> None:
    for name, text in lakefs_server.lakectl.items():
        monkeypatch.setenv(name, text)
    dataset = f"lakefs://tiny-{os.urandom(4).hex()}/main"
    project.write("tiny.yaml", tiny.SETTINGS.replace("local://tiny/main", dataset))
    files = [tiny.write_shard(project, f"part{n}", tiny.rows(n * 20)) for n in range(3)]
    to = ["--to", dataset, "--config", "tiny.yaml", "--create"]
    said = project.raypipe("data", "import", *files, *to)
    assert said.code == 0, said.err
    goes_with_the_data(project, dataset)


def test_an_edit_is_named_by_the_plan_and_committed_only_if_the_rows_keep_it(
    registered: Project,
) -> None:
    before = schema(registered, "local://tiny/main")["commit"]
    registered.edit(FILE, "categories: [AA, BB, CC]", "categories: [AA, BB, CC, DD]")
    plan = registered.raypipe("plan", "tiny.yaml", "--json").result
    (step,) = [one for one in plan["steps"] if one["name"] == "validate"]
    assert step["reason"] == {"kind": "input", "what": "schema", "detail": "changed"}

    kept = ("data", "schema", "local://tiny/main", "--config", "tiny.yaml", "--commit", "--json")
    said = registered.raypipe(*kept)
    assert said.code == 0, said.err
    after = said.result["schema"]["commit"]
    assert after != before
    assert registered.raypipe(*kept).result["schema"]["commit"] == after

    registered.edit(FILE, "type: bool", "type: string")
    stopped = registered.raypipe(*kept)
    assert stopped.code != 0
    assert "late: the type is bool, and the schema says string" in stopped.err + stopped.out
    assert schema(registered, "local://tiny/main")["commit"] == after


# --- accepted by name -----------------------------------------------------------------------------


def bring(project: Project, *arguments: str) -> Said:
    return project.raypipe(
        "data", "import", "incoming/odd.parquet", "--to", "local://tiny/main", *arguments, "--json"
    )


def test_what_is_expected_is_accepted_by_name_and_nothing_else_is(registered: Project) -> None:
    odd = tiny.rows(60).drop_columns(["miles"])
    tiny.write_shard(registered, "odd", odd)
    stopped = bring(registered, "--config", "tiny.yaml")
    assert stopped.code != 0
    assert "--accept missing_column:miles --why TEXT" in stopped.out + stopped.err

    accept = ["--config", "tiny.yaml", "--accept", "missing_column:miles"]
    silent = bring(registered, *accept)
    assert silent.code != 0
    assert "does not say why" in silent.out + silent.err

    named = [*accept, "--why", "the field is gone", "--by", "ada"]
    tiny.write_shard(registered, "odd", odd.drop_columns(["wind"]))
    other = bring(registered, *named)
    assert other.code != 0
    assert "wind: the column is missing" in other.out + other.err
    assert "miles: the column" not in other.out + other.err

    tiny.write_shard(registered, "odd", odd)
    done = bring(registered, *named)
    assert done.code == 0, done.err
    (kept,) = done.result["import"]["validation"]["accepted"]
    assert kept.startswith("miles: the column is missing")
    assert kept.endswith("(ada: the field is gone)")
