"""The branch of an import that was killed goes; one of a running or a rejected import stays."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raypipe.app import data
from raypipe.app.assemble import Workshop, open_workshop
from raypipe.app.clean import clean
from raypipe.app.imports import left_behind, remove_left, under_way
from raypipe.errors import Interrupted, ValidationStopped
from raypipe.store.ledger_place import VARIABLE
from raypipe.store.versions import VersionStore, open_store
from raypipe.values.uri import parse_uri

URI = parse_uri("local://tiny/main")
BRANCH = "import-20260101-000000-abcdef"


@pytest.fixture(params=["sqlite", "postgres"])
def workshop(request, tmp_path: Path, monkeypatch) -> Workshop:
    if request.param == "postgres":
        monkeypatch.setenv(VARIABLE, request.getfixturevalue("postgres").url())
    monkeypatch.chdir(tmp_path)
    return open_workshop(tmp_path, tmp_path / ".raypipe", write=True)


@pytest.fixture
def versions(workshop: Workshop) -> VersionStore:
    return open_store(URI, workshop.paths.home, create=True)


def begun(workshop: Workshop, versions: VersionStore, ends_with: BaseException | None) -> None:
    """Have an import make its branch, and end so."""
    with under_way(workshop, URI) as begin:
        begin(BRANCH)
        versions.create_branch(BRANCH)
        if ends_with is not None:
            raise ends_with


@pytest.mark.parametrize("error", [Interrupted("Ctrl-C"), KeyboardInterrupt()])
def test_what_an_interrupted_import_left_goes_with_the_next(workshop, versions, error):
    with pytest.raises(type(error)):
        begun(workshop, versions, error)
    assert [left.branch for left in left_behind(workshop)] == [BRANCH]
    remove_left(workshop, parse_uri("local://other/main"), versions)
    assert BRANCH in versions.branches()
    remove_left(workshop, URI, versions)
    assert set(versions.branches()) == {"main"}
    assert list(workshop.paths.imports.iterdir()) == []


def test_a_branch_that_an_import_ended_with_is_nobodys_to_remove(workshop, versions):
    with pytest.raises(ValidationStopped):
        begun(workshop, versions, ValidationStopped("not these rows"))
    remove_left(workshop, URI, versions)
    assert BRANCH in versions.branches()


def test_a_running_import_keeps_its_branch_whoever_cleans_or_imports(workshop, versions):
    with under_way(workshop, URI) as begin:
        begin(BRANCH)
        versions.create_branch(BRANCH)
        other = open_workshop(workshop.root, workshop.paths.home, write=True)
        remove_left(other, URI, versions)
        assert clean(workshop.paths.home, dry_run=False)["count"] == 0
        assert BRANCH in versions.branches()


def test_clean_says_which_branches_it_removes(workshop, versions):
    with pytest.raises(KeyboardInterrupt):
        begun(workshop, versions, KeyboardInterrupt())
    said = clean(workshop.paths.home, dry_run=True)
    assert said["shown"] == [f"branch {BRANCH} of local://tiny/main"]
    assert BRANCH in versions.branches()
    clean(workshop.paths.home, dry_run=False)
    assert BRANCH not in versions.branches()
    assert clean(workshop.paths.home, dry_run=True)["count"] == 0


@pytest.mark.slow
def test_a_server_that_does_not_answer_keeps_nothing_else_from_going(workshop, monkeypatch):
    """The branch of an import that was killed is on it, and stays noted for the next time."""
    monkeypatch.setenv("LAKECTL_SERVER_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("LAKECTL_CREDENTIALS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY", "secret")
    workshop.paths.imports.mkdir()
    note = workshop.paths.imports / BRANCH
    note.write_text("lakefs://tiny/main")
    run = workshop.paths.runs / "20260101-000000-abcdef"
    run.mkdir(parents=True)
    said = clean(workshop.paths.home, dry_run=False)
    assert said["shown"] == [f"run {run.name}"]
    assert said["left"][0].startswith(f"branch {BRANCH} of lakefs://tiny/main: ")
    assert (run.exists(), note.exists()) == (False, True)


@pytest.mark.parametrize("text", ["", "local://ti"])
def test_a_note_that_was_not_written_out_is_of_no_branch(workshop, versions, text):
    workshop.paths.imports.mkdir()
    note = workshop.paths.imports / BRANCH
    note.write_text(text)
    remove_left(workshop, URI, versions)
    assert not note.exists()


def test_a_rejected_import_keeps_its_branch_through_the_next_one(workshop, versions):
    def take(name: str, **columns: list[int]) -> None:
        pq.write_table(pa.table(columns), Path(name))
        data.import_files([Path(name)], str(URI), home=workshop.paths.home)

    take("a.parquet", x=[1])
    with pytest.raises(ValidationStopped, match="import-"):
        take("b.parquet", y=[1])
    (rejected,) = set(versions.branches()) - {"main"}
    take("c.parquet", x=[2])
    assert set(versions.branches()) == {"main", rejected}
    assert list(workshop.paths.imports.iterdir()) == []
