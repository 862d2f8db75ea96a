"""A protected branch of local data: raypipe itself holds to the rule, and to the same one."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from raypipe.store.versions import open_store
from raypipe.values.uri import parse_uri
from tests.acceptance import tiny
from tests.conftest import Project, Said

DATASET = "local://tiny/main"


@pytest.fixture
def tiny_project(project: Project) -> Project:
    """The tiny dataset, its branch protected."""
    made = tiny.make(project)
    assert data(made, "protect", DATASET).code == 0
    return made


def data(project: Project, command: str, *arguments: str) -> Said:
    return project.raypipe("data", command, *arguments, "--json")


def shown(project: Project, branch: str = "main") -> dict:
    return data(project, "show", f"local://tiny/{branch}").result["dataset"]


def rows_on(project: Project, branch: str, name: str, first_day: int) -> None:
    """Put rows on a branch as a program would that uses the store alone."""
    from raypipe.engine.records import Actor

    versions = open_store(parse_uri(DATASET), project.folder / ".raypipe")
    if branch not in versions.branches():
        versions.create_branch(branch)
    file = project.folder / tiny.write_shard(project, name, tiny.rows(first_day))
    versions.put(branch, f"part-{name}.parquet", file)
    versions.commit(branch, "Mine", Actor(user="me", host="here"))


def test_a_merge_takes_what_was_validated_or_accepted(tiny_project):
    rows_on(tiny_project, "mine", "mine", 60)
    no = data(tiny_project, "merge", DATASET, "mine")
    assert (no.code, "was never validated" in no.err) == (4, True), no.err
    assert "--config" in no.err
    assert len(shown(tiny_project)["shards"]) == 3
    assert shown(tiny_project)["refused"][0]["what"] == "mine"

    said = data(tiny_project, "merge", DATASET, "mine", "--config", "tiny.yaml")
    assert said.code == 0, said.err
    assert len(shown(tiny_project)["shards"]) == 4
    assert shown(tiny_project)["validation"].startswith("validated by run ")

    rows_on(tiny_project, "other", "other", 80)
    reason = data(tiny_project, "accept", "local://tiny/other", "--reason", " ")
    assert reason.code == 2
    done = data(tiny_project, "accept", "local://tiny/other", "--reason", "mine", "--by", "Ada")
    assert done.code == 0, done.err
    assert data(tiny_project, "merge", DATASET, "other").code == 0
    assert shown(tiny_project)["validation"] == "accepted by Ada: mine"


def test_what_was_accepted_is_a_state_and_not_a_branch(tiny_project):
    """Rows that come to the branch afterwards were seen by nobody."""
    rows_on(tiny_project, "mine", "mine", 60)
    assert data(tiny_project, "accept", "local://tiny/mine", "--reason", "mine").code == 0
    rows_on(tiny_project, "mine", "more", 80)
    assert data(tiny_project, "merge", DATASET, "mine").code == 4


def test_an_import_says_what_it_holds_rows_to(tiny_project):
    file = tiny.write_shard(tiny_project, "part9", tiny.rows(180))
    no = data(tiny_project, "import", file, "--to", DATASET)
    assert (no.code, "is protected" in no.err, "--config" in no.err) == (2, True, True)


def test_a_revert_leads_to_what_was_let_in(tiny_project):
    file = tiny.write_shard(tiny_project, "part3", tiny.rows(60))
    tiny.import_shards(tiny_project, file)
    (newest, *_) = data(tiny_project, "log", DATASET).result["commits"]
    assert data(tiny_project, "revert", DATASET, newest["id"]).code == 0
    assert len(shown(tiny_project)["shards"]) == 3
    versions = open_store(parse_uri(DATASET), tiny_project.folder / ".raypipe")
    assert list(versions.branches()) == ["main"]


def test_imports_at_once_leave_nothing_that_was_not_looked_at_together(tiny_project):
    """Each was validated alone: what is there in the end is validated as it is."""
    files = [tiny.write_shard(tiny_project, f"new{n}", tiny.rows(60 + 20 * n)) for n in range(3)]

    def bring(file: str) -> Said:
        return data(tiny_project, "import", file, "--to", DATASET, "--config", "tiny.yaml")

    with ThreadPoolExecutor(3) as pool:
        said = list(pool.map(bring, files))
    assert [one.code for one in said] == [0, 0, 0], [one.err for one in said]
    there = shown(tiny_project)
    assert len(there["shards"]) == 6
    assert there["validation"].startswith("validated by run ")


@pytest.mark.parametrize("protected", [True, pytest.param(False, marks=pytest.mark.long)])
def test_imports_at_once_that_pass_only_without_one_another_do_not_both_come_in(
    tiny_project, protected
):
    if not protected:
        assert data(tiny_project, "unprotect", DATASET).code == 0
    files = [tiny.write_shard(tiny_project, f"same{n}", tiny.rows(60)) for n in range(2)]
    asked = ("import", "--to", DATASET, "--config", "tiny.yaml")
    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(lambda file: data(tiny_project, *asked, file), files))
    assert sorted(one.code for one in said) == [0, 4], [one.err for one in said]
    assert any("duplicate_key" in one.err for one in said)
    there = shown(tiny_project)
    assert len(there["shards"]) == 4
    assert there["validation"].startswith("validated by run ")


@pytest.mark.parametrize("protected", [True, pytest.param(False, marks=pytest.mark.long)])
def test_merges_at_once_that_pass_only_without_one_another_do_not_both_come_in(
    tiny_project, protected
):
    """What settings hold a merge to holds also where nobody protects the branch."""
    if not protected:
        assert data(tiny_project, "unprotect", DATASET).code == 0
    for name in ("mine", "yours"):
        rows_on(tiny_project, name, name, 60)

    def bring(branch: str) -> Said:
        return data(tiny_project, "merge", DATASET, branch, "--config", "tiny.yaml")

    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(bring, ("mine", "yours")))
    assert sorted(one.code for one in said) == [0, 4], [one.err for one in said]
    assert any("duplicate_key" in one.err for one in said)
    assert len(shown(tiny_project)["shards"]) == 4


def test_unprotecting_lets_everything_in_again(tiny_project):
    rows_on(tiny_project, "mine", "mine", 60)
    assert data(tiny_project, "unprotect", DATASET).code == 0
    said = data(tiny_project, "merge", DATASET, "mine")
    assert (said.code, "without validation" in said.result["merge"]["note"]) == (0, True)
    again = data(tiny_project, "unprotect", DATASET)
    assert (again.code, "is not protected" in again.err) == (9, True)


def test_a_slip_is_told(tiny_project):
    for arguments, code, words in (
        (("protect", "local://tiny/nowhere"), 9, "no branch 'nowhere'"),
        (("protect", "tiny"), 2, "no dataset reference"),
        (("accept", "local://tiny/nowhere", "--reason", "x"), 9, "'nowhere'"),
    ):
        said = data(tiny_project, *arguments)
        assert (said.code, words in said.err) == (code, True), said.err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--listen", "nowhere"), 2),
        (("--listen", "127.0.0.1:99999"), 2),
        (("--listen", "192.0.2.1:1"), 8),
        (("--config", "nowhere.yaml"), 9),
        (("--every", "nan"), 2),
    ],
)
def test_a_watch_that_cannot_be_is_told(project, arguments, code):
    said = project.raypipe("watch", *arguments, "--json")
    assert (said.code, said.result["error"]["exit"]) == (code, code), said.err


def test_a_watch_runs_on_a_new_commit_of_local_data_once(tiny_project, wait_until):
    """No server tells of it: it looks by itself. What it began ends with it."""
    tiny_project.edit("tiny.yaml", "name: tiny", "name: tiny\nruntime: {kind: inline}")
    process = tiny_project.start(
        "watch", "--listen", "127.0.0.1:0", "--every", "0.2", "--config", "tiny.yaml", "--json"
    )
    try:
        events = iter(process.stdout)  # type: ignore[arg-type]
        told = [json.loads(next(events)) for _ in range(3)]
        assert [one["event"] for one in told] == ["ready", "run_begun", "run_ended"]
        assert told[2]["exit"] == 0
    finally:
        process.terminate()
        process.communicate(timeout=60)
    runs = tiny_project.raypipe("runs", "list", "--json").result["runs"]
    assert [run["status"] for run in runs if run["pipeline"] == "tiny"] == ["waiting"]
