"""Data comes in by one command: each file once, whatever ends the import in between."""

import json

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
        (("--encoding", "klingon"), "no encoding 'klingon'"),
        (("--type", "zip"), "--type 'zip' names no column and type"),
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


@pytest.mark.ray
@pytest.mark.slow
def test_many_files_are_converted_on_ray(project: Project) -> None:
    files = [csv(project, f"in/{n}.csv", range(n * 10, n * 10 + 10)) for n in range(6)]
    said = imported(project, "in", "--runtime", "ray")

    assert said.code == 0, said.err
    assert len(said.result["import"]["shards"]) == len(files)
    assert ids(project) == list(range(60))
