"""Data comes in by one command: each file once, whatever ends the import in between."""

import json
import os

import pytest

from raypipe.store.versions import open_store
from raypipe.values.uri import parse_uri
from tests.conftest import Project, Said

DATASET = "local://things/main"


def csv(project: Project, name: str, rows: range) -> str:
    project.write(name, "id,value\n" + "".join(f"{n},{n / 2}\n" for n in rows))
    return name


def imported(project: Project, *arguments: str, **environment: str) -> Said:
    return project.raypipe("data", "import", *arguments, "--to", DATASET, "--json", **environment)


def ids(project: Project) -> list[int]:
    import pyarrow.parquet as pq

    versions = open_store(parse_uri(DATASET), project.folder / ".raypipe")
    found = [versions.location(stored) for stored in versions.list("main")]
    return sorted(n for file in found for n in pq.read_table(file)["id"].to_pylist())


def test_an_import_that_is_killed_goes_on_where_it_was(project: Project) -> None:
    files = [csv(project, f"{n}.csv", range(n * 10, n * 10 + 10)) for n in range(3)]
    killed = imported(project, *files, RAYPIPE_FAULT="result.recorded:2")
    assert killed.code == -9
    assert ids(project) == []

    said = imported(project, *files)
    assert said.code == 0, said.err
    events = map(json.loads, said.out.splitlines())
    actions = [event["action"] for event in events if event["event"] == "step_ended"]
    assert sorted(actions) == ["execute", "hit", "hit"]
    assert ids(project) == list(range(30))
    assert not list((project.folder / ".raypipe" / "imports").iterdir())


@pytest.mark.parametrize("point", ["import.staged", "import.committed", "import.merged"])
def test_an_import_that_is_killed_leaves_no_branch_and_no_row_twice(
    project: Project, point: str
) -> None:
    files = [csv(project, f"{n}.csv", range(n * 10, n * 10 + 10)) for n in range(2)]
    assert imported(project, *files, RAYPIPE_FAULT=point).code == -9
    assert imported(project, *files).code == 0

    versions = open_store(parse_uri(DATASET), project.folder / ".raypipe")
    assert list(versions.branches()) == ["main"]
    assert ids(project) == list(range(20))


def test_a_smaller_file_of_the_same_name_leaves_no_shard_of_the_larger(project: Project) -> None:
    large = csv(project, "x.csv", range(200_000))
    assert len(imported(project, large, "--shard-mb", "1").result["import"]["shards"]) == 3
    csv(project, "x.csv", range(10))

    assert imported(project, large, "--shard-mb", "1").code == 0
    assert ids(project) == list(range(10))


def test_a_bad_row_stops_it_or_is_listed(project: Project) -> None:
    csv(project, "x.csv", range(1000))
    with (project.folder / "x.csv").open("a") as file:
        file.write("7\n")

    said = imported(project, "x.csv")
    assert (said.code, "x.csv:1002: 1 values" in said.err) == (2, True)
    said = imported(project, "x.csv", "--rejects", "left.jsonl")
    assert (said.code, said.result["import"]["rejected"], said.result["import"]["rows"]) == (
        0,
        1,
        1000,
    )
    (left,) = map(json.loads, (project.folder / "left.jsonl").read_text().splitlines())
    assert (left["line"], left["text"]) == (1002, "7")


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--delimiter", "::"), "delimiter"),
        (("--delimiter", "é"), "'é' cannot stand between values"),
        (("--encoding", "klingon"), "no encoding 'klingon'"),
        (("--encoding", "rot13"), "no encoding 'rot13'"),
        (("--type", "zip"), "--type 'zip' names no column and type"),
        (("--type", "idd=string"), "has no column 'idd' to be of a type"),
        (("--type", "id=timestamp[s, tz=Mars]"), "column 'id': '0' is no timestamp"),
        (("--type", "id=whole"), "column 'id' cannot be 'whole'"),
        (("--shard-mb", "0"), "shard_mb"),
        (("--labels", "nowhere.csv"), "holds no Parquet, CSV"),
    ],
)
def test_an_option_that_cannot_be_is_named(
    project: Project, option: tuple[str, str], said: str
) -> None:
    csv(project, "in/x.csv", range(3))
    done = imported(project, "in", *option)
    assert (done.code, said in done.err) == (2, True), done.err


def test_a_file_whose_name_is_no_text_is_named(project: Project) -> None:
    csv(project, os.fsdecode(b"in/\xff.csv"), range(3))
    done = imported(project, "in")
    assert (done.code, "a file whose name is not written as utf-8" in done.err) == (2, True)


def test_a_diff_speaks_of_rows_columns_and_statistics(project: Project) -> None:
    project.write("x.csv", "id,v,c\n" + "".join(f"{n},{n}.5,a\n" for n in range(100)))
    imported(project, "x.csv")
    assert project.raypipe("data", "tag", DATASET, "then").code == 0
    project.write("y.csv", "id,v,c\n" + "".join(f"{n},{n}.5,z\n" for n in range(100, 150)))
    imported(project, "y.csv")

    asked = ("data", "diff", "local://things/then", "main")
    found = project.raypipe(*asked, "--json").result["diff"]
    assert found["added"] == ["part-y.parquet"]
    assert found["rows"] == {"before": 100, "after": 150}
    assert found["columns"] == {"added": [], "removed": [], "types": {}}
    assert found["statistics"]["v"]["max"] == {"before": 99.5, "after": 149.5}
    tops = found["statistics"]["c"]["top"]
    assert tops["after"] == [{"value": "a", "count": 100}, {"value": "z", "count": 50}]
    assert "100 → 150 rows (+50)" in project.raypipe(*asked).out
    runs = [line for line in project.raypipe("runs", "list").out.splitlines() if "profile" in line]
    assert len(runs) == 2  # one for each commit, and none for the second question


def test_a_diff_with_a_branch_that_has_no_data_yet(project: Project) -> None:
    csv(project, "x.csv", range(10))
    imported(project, "x.csv")
    log = project.raypipe("data", "log", DATASET, "--json").result["commits"]
    found = project.raypipe("data", "diff", f"local://things/{log[-1]['id']}", "main", "--json")
    assert found.result["diff"]["rows"] == {"before": 0, "after": 10}
    slip = project.raypipe("data", "diff", DATASET, "mian")
    assert (slip.code, "'main'" in slip.err) == (9, True)


def test_a_repository_is_made_once_and_empty(project: Project) -> None:
    made, again = (project.raypipe("data", "init", DATASET, "--json").result for _ in range(2))
    assert "note" not in made["init"]
    assert again["init"] == {**made["init"], "note": "local://things was there already"}
    assert project.raypipe("data", "show", DATASET).code == 9
    assert imported(project, csv(project, "a.csv", range(3))).code == 0
    assert ids(project) == [0, 1, 2]

    other = project.raypipe("data", "init", "local://things/dev")
    assert (other.code, "raypipe data branch" in other.err) == (2, True)


@pytest.mark.ray
@pytest.mark.slow
def test_many_files_are_converted_on_ray(project: Project) -> None:
    files = [csv(project, f"in/{n}.csv", range(n * 10, n * 10 + 10)) for n in range(6)]
    said = imported(project, "in", "--runtime", "ray")

    assert said.code == 0, said.err
    assert len(said.result["import"]["shards"]) == len(files)
    assert ids(project) == list(range(60))
