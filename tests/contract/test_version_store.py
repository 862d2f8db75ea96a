"""What every version store promises."""

import multiprocessing
import pickle
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from raypipe.engine.records import Actor
from raypipe.errors import NotFound, StoreError, UsageError
from raypipe.store import lakefs_repository
from raypipe.store.lakefs_access import LakeFSPlace
from raypipe.store.locations import open_location
from raypipe.store.versions import MAIN, Diff, VersionStore
from raypipe.store.versions_lakefs import LakeFSVersions
from raypipe.store.versions_local import LocalVersions

ANN = Actor(user="ann", host="desk", name="Ann")


def on_lakefs(folder: Path) -> LakeFSVersions:
    versions = LakeFSVersions(LakeFSPlace(), (folder / "repo").read_text())
    versions.check(create=True)
    return versions


STORES: dict[str, Callable[[Path], VersionStore]] = {
    "local": lambda folder: LocalVersions(folder / "repo"),
    "lakefs": on_lakefs,
}


@pytest.fixture(params=STORES)
def kind(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "lakefs":
        server = request.getfixturevalue("lakefs_server")
        for name, text in server.lakectl.items():
            monkeypatch.setenv(name, text)
        (tmp_path / "repo").write_text(f"repo-{secrets.token_hex(6)}")
    return str(request.param)


@pytest.fixture
def store(kind: str, tmp_path: Path) -> VersionStore:
    return STORES[kind](tmp_path)


@pytest.fixture
def put(store: VersionStore, tmp_path: Path) -> Callable[..., None]:
    def put(branch: str, **texts: str) -> None:
        for path, text in texts.items():
            file = tmp_path / "source"
            file.write_text(text)
            store.put(branch, path, file)

    return put


@pytest.fixture
def commit(store: VersionStore, put: Callable[..., None]) -> Callable[..., str]:
    def commit(branch: str, **texts: str) -> str:
        put(branch, **texts)
        return store.commit(branch, f"Write {', '.join(texts)}", ANN)

    return commit


def contents(store: VersionStore, ref: str) -> dict[str, str]:
    return {f.path: read(store.location(f)) for f in store.list(ref)}


def read(location: str) -> str:
    with open_location(location) as file:
        return str(file.read(), "utf-8")


def test_a_new_repository_has_an_empty_main(store):
    assert set(store.branches()) == {MAIN}
    assert store.list(MAIN) == ()
    assert [commit.parents for commit in store.log(MAIN)] == [()]


def test_what_is_put_is_seen_once_it_is_committed(store, put):
    put(MAIN, a="1")
    assert contents(store, MAIN) == {}

    store.commit(MAIN, "Write a", ANN)
    assert contents(store, MAIN) == {"a": "1"}


def test_a_commit_says_who_when_why_and_after_what(store, put):
    before = store.resolve(MAIN)
    put(MAIN, a="1")
    head = store.commit(MAIN, "Write a", ANN, {"rows": "1"})

    newest = store.log(MAIN)[0]
    assert (newest.id, newest.parents, newest.message) == (head, (before,), "Write a")
    assert (newest.actor, newest.meta) == (ANN, {"rows": "1"})
    assert newest.time > 1_500_000_000


def test_a_commit_never_changes(store, commit):
    first = commit(MAIN, a="1")
    commit(MAIN, a="2")

    assert contents(store, first) == {"a": "1"}
    assert contents(store, MAIN) == {"a": "2"}


def test_a_commit_of_nothing_new_is_the_head(store, put, commit):
    head = commit(MAIN, a="1")
    put(MAIN, a="1")

    assert store.commit(MAIN, "Write a again", ANN) == head
    assert len(store.log(MAIN)) == 2


def test_an_object_is_known_by_its_content(store, put, tmp_path):
    (tmp_path / "x").write_text("same")
    first, second = (store.put(MAIN, path, tmp_path / "x") for path in ("a", "b/c"))

    assert first.object_id == second.object_id
    assert first.object_id.startswith("blake2b:") or first.object_id.startswith("etag:")
    assert first.size == 4


def test_many_files_are_put_at_once(store, tmp_path):
    files = {f"many/{number:03}": tmp_path / f"in-{number}" for number in range(30)}
    for path, file in files.items():
        file.write_text(path)
    put = store.put_all(MAIN, files)
    store.commit(MAIN, "Write", ANN)

    assert store.list(MAIN) == put
    assert contents(store, MAIN) == {path: path for path in files}


def test_pyarrow_reads_files_of_a_commit_where_they_are(store, commit):
    head = commit(MAIN, a="1", b="2")
    filesystem, paths = store.files(store.list(head))
    again = pickle.loads(pickle.dumps(filesystem))

    assert [again.open_input_file(path).read() for path in paths] == [b"1", b"2"]
    assert [info.size for info in again.get_file_info(list(paths))] == [1, 1]


def test_files_are_listed_by_path_under_a_prefix(store, tmp_path):
    (tmp_path / "x").write_text("1")
    for path in ("b/2", "a/1", "b/1"):
        store.put(MAIN, path, tmp_path / "x")
    store.commit(MAIN, "Write", ANN)

    assert [f.path for f in store.list(MAIN)] == ["a/1", "b/1", "b/2"]
    assert [f.path for f in store.list(MAIN, "b/")] == ["b/1", "b/2"]


@pytest.mark.parametrize("path", ["", "/a", "a/", "a//b", "../a", "a/../../b", "./a"])
def test_a_path_stays_inside_the_repository(store, tmp_path, path):
    (tmp_path / "x").write_text("1")

    with pytest.raises(UsageError, match="cannot be a path"):
        store.put(MAIN, path, tmp_path / "x")


def test_removing_takes_a_path_from_the_next_commit_only(store, commit):
    before = commit(MAIN, a="1", b="2")
    store.remove(MAIN, "a")
    after = store.commit(MAIN, "Remove a", ANN)

    assert contents(store, after) == {"b": "2"}
    assert contents(store, before) == {"a": "1", "b": "2"}


def test_removing_what_is_not_there_says_so(store, commit):
    commit(MAIN, apple="1")

    with pytest.raises(NotFound, match="did you mean 'apple'"):
        store.remove(MAIN, "appel")


def test_a_branch_moves_apart_from_its_source(store, commit):
    commit(MAIN, a="1")
    store.create_branch("work")
    commit("work", b="2")

    assert contents(store, "work") == {"a": "1", "b": "2"}
    assert contents(store, MAIN) == {"a": "1"}


def test_a_branch_that_is_deleted_keeps_its_commits(store, commit):
    store.create_branch("work")
    head = commit("work", a="1")
    store.delete_branch("work")

    assert "work" not in store.branches()
    assert contents(store, head) == {"a": "1"}


def test_a_deleted_branch_takes_what_was_not_committed_with_it(store, put):
    store.create_branch("work")
    put("work", a="1")
    store.delete_branch("work")
    head = store.create_branch("work")

    assert store.commit("work", "Nothing", ANN) == head


def test_main_cannot_be_deleted(store):
    with pytest.raises(UsageError):
        store.delete_branch(MAIN)


@pytest.mark.parametrize("taken", ["work", "v1", MAIN])
def test_a_name_is_given_once(store, taken):
    store.create_branch("work")
    store.tag("v1", MAIN)

    with pytest.raises(UsageError, match="already"):
        store.create_branch(taken)
    with pytest.raises(UsageError, match="already"):
        store.tag(taken, MAIN)


@pytest.mark.parametrize("name", ["", "a/b", "-x", "a b", "f" * 64])
def test_a_name_can_stand_in_a_reference(store, name):
    with pytest.raises(UsageError, match="cannot name"):
        store.create_branch(name)


def test_a_tag_stays_where_it_was_put(store, commit):
    tagged = commit(MAIN, a="1")
    store.tag("v1", MAIN)
    commit(MAIN, a="2")

    assert store.tags() == {"v1": tagged}
    assert contents(store, "v1") == {"a": "1"}


def test_nothing_is_put_on_a_tag(store, tmp_path):
    store.tag("v1", MAIN)
    (tmp_path / "x").write_text("1")

    with pytest.raises(NotFound, match="no branch 'v1'"):
        store.put("v1", "a", tmp_path / "x")


def test_a_commit_is_found_by_its_id_and_by_the_start_of_it(store, commit):
    head = commit(MAIN, a="1")

    assert store.resolve(head) == store.resolve(head[:12]) == store.resolve(MAIN) == head


@pytest.mark.parametrize("ref", ["mian", "nothing", "abcdef123456"])
def test_an_unknown_ref_is_not_found(store, ref):
    with pytest.raises(NotFound, match=ref):
        store.resolve(ref)


def test_an_unknown_ref_is_compared_with_the_known(store):
    with pytest.raises(NotFound, match="did you mean 'main'"):
        store.resolve("mian")


def test_a_diff_names_what_was_added_removed_and_changed(store, commit):
    before = commit(MAIN, kept="1", gone="2", other="3")
    store.remove(MAIN, "gone")
    commit(MAIN, other="4", new="5")

    assert store.diff(before, MAIN) == Diff(added=("new",), removed=("gone",), changed=("other",))
    assert not store.diff(MAIN, MAIN)


def test_a_merge_into_an_older_state_of_itself_moves_the_branch_forward(store, commit):
    store.create_branch("work")
    commit("work", a="1")

    assert store.merge("work", MAIN, ANN) == store.resolve(MAIN)
    assert not store.diff("work", MAIN)
    assert store.resolve("work") in [one.id for one in store.log(MAIN)]


def test_a_merge_brings_changes_of_other_paths_together(store, commit):
    commit(MAIN, a="1", b="1", c="1")
    store.create_branch("work")
    commit("work", b="2")
    store.remove("work", "c")
    commit("work", d="1")
    commit(MAIN, a="2")

    head = store.merge("work", MAIN, ANN, "Bring it in", {"why": "test"})

    assert contents(store, MAIN) == {"a": "2", "b": "2", "d": "1"}
    merge = store.log(MAIN)[0]
    assert (merge.id, merge.message, merge.meta) == (head, "Bring it in", {"why": "test"})
    assert merge.parents[1] == store.resolve("work")


def test_a_merge_of_what_is_there_already_does_nothing(store, commit):
    store.create_branch("work")
    commit("work", a="1")
    head = store.merge("work", MAIN, ANN)
    log = store.log(MAIN)

    assert store.merge("work", MAIN, ANN) == head
    assert store.log(MAIN) == log


def test_a_merge_of_a_path_that_both_changed_is_refused_and_changes_nothing(store, commit):
    commit(MAIN, shared="1", other="1")
    store.create_branch("work")
    commit("work", shared="2", other="2")
    head = commit(MAIN, shared="3")

    with pytest.raises(StoreError, match="both sides changed shared"):
        store.merge("work", MAIN, ANN)
    assert store.resolve(MAIN) == head


def test_a_merge_takes_the_same_change_on_both_sides_for_one(store, commit):
    store.create_branch("work")
    commit("work", a="1", b="1")
    commit(MAIN, a="1")

    store.merge("work", MAIN, ANN)

    assert contents(store, MAIN) == {"a": "1", "b": "1"}


def test_a_merge_after_a_merge_compares_with_what_was_merged(store, commit):
    """The second merge of a branch brings only what came after the first."""
    commit(MAIN, a="1")
    store.create_branch("work")
    commit("work", b="1")
    commit(MAIN, c="1")
    store.merge("work", MAIN, ANN)
    commit(MAIN, b="2")
    commit("work", d="1")

    store.merge("work", MAIN, ANN)

    assert contents(store, MAIN) == {"a": "1", "b": "2", "c": "1", "d": "1"}


def test_a_merge_into_a_branch_with_changes_that_are_not_committed_is_refused(store, put, commit):
    store.create_branch("work")
    commit("work", a="1")
    put(MAIN, b="1")

    with pytest.raises(StoreError, match="not committed: b"):
        store.merge("work", MAIN, ANN)


def test_a_revert_undoes_one_commit_and_keeps_the_later_ones(store, commit):
    commit(MAIN, a="1", b="1")
    undone = commit(MAIN, b="2", c="1")
    commit(MAIN, d="1")

    head = store.revert(MAIN, undone, ANN)

    assert contents(store, MAIN) == {"a": "1", "b": "1", "d": "1"}
    assert store.log(MAIN)[0].id == head
    assert len(store.log(MAIN)) == 5


def test_a_revert_of_what_was_changed_since_is_refused(store, commit):
    undone = commit(MAIN, a="1")
    head = commit(MAIN, a="2")

    with pytest.raises(StoreError, match="both sides changed a"):
        store.revert(MAIN, undone, ANN)
    assert store.resolve(MAIN) == head


def test_a_revert_of_a_commit_of_another_branch_is_refused(store, commit):
    store.create_branch("work")
    other = commit("work", a="1")

    with pytest.raises(UsageError, match="no commit of main"):
        store.revert(MAIN, other, ANN)


def test_the_log_is_newest_first_and_names_each_commit_once(store, commit):
    commit(MAIN, a="1")
    store.create_branch("work")
    commit("work", b="1")
    commit(MAIN, c="1")
    store.merge("work", MAIN, ANN, "Merge")

    said = [commit.message for commit in store.log(MAIN)]
    assert said[0] == "Merge"
    assert set(said[1:3]) == {"Write b", "Write c"}
    assert said[3] == "Write a"
    assert len(said) == 5


def test_another_opening_sees_the_same(store, kind, commit, tmp_path):
    head = commit(MAIN, a="1")

    assert contents(STORES[kind](tmp_path), head) == {"a": "1"}


def _write_many(kind: str, folder: Path, worker: int) -> None:
    store = STORES[kind](folder)
    for number in range(3):
        branch = f"work-{worker}-{number}"
        file = folder / branch
        file.write_text(branch)
        store.create_branch(branch)
        store.put(branch, branch, file)
        store.commit(branch, f"Write {branch}", ANN)
        store.merge(branch, MAIN, ANN)


def test_many_processes_lose_none_of_their_merges(kind, tmp_path):
    """They make the repository at once, too."""
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write_many, args=(kind, tmp_path, n)) for n in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
        worker.close()

    expected = {f"work-{worker}-{n}" for worker in range(3) for n in range(3)}
    store = STORES[kind](tmp_path)
    assert set(contents(store, MAIN)) == expected
    assert {f.message for f in store.log(MAIN)} >= {f"Write {name}" for name in expected}


AT_ONCE = 4


def _all_at_once(folder: Path, kind: str, do: Callable[[VersionStore, int], str]) -> list[str]:
    """Let several do something at the same moment; return what each has of it, or was told."""
    start = threading.Barrier(AT_ONCE)

    def one(number: int) -> str:
        store = STORES[kind](folder)
        store.resolve(MAIN)  # its connection stands
        start.wait()
        try:
            return do(store, number)
        except (UsageError, StoreError) as error:
            return str(error)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, range(AT_ONCE)))


def test_a_repository_that_several_make_at_once_is_one(kind, tmp_path):
    for number in range(5):
        folder = tmp_path / str(number)
        folder.mkdir()
        if kind == "lakefs":
            (folder / "repo").write_text(f"repo-{secrets.token_hex(6)}")
        start = threading.Barrier(AT_ONCE)

        def make(_: int, folder: Path = folder, start: threading.Barrier = start) -> str:
            start.wait()
            return STORES[kind](folder).resolve(MAIN)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            assert len(set(pool.map(make, range(AT_ONCE)))) == 1


@pytest.mark.parametrize("given", ["branch", "tag"])
def test_a_name_that_several_give_at_once_is_one_of_theirs(store, kind, given, tmp_path, commit):
    head = commit(MAIN, a="1")
    for number in range(3):
        name = f"name-{number}"

        def give(store: VersionStore, _: int, name: str = name) -> str:
            return store.tag(name, MAIN) if given == "tag" else store.create_branch(name)

        told = _all_at_once(tmp_path, kind, give)
        assert told.count(head) == 1
        assert all(f"{name!r} names a {given} already" in one for one in told if one != head)


def test_no_name_is_a_branch_and_a_tag(store, kind, tmp_path, commit):
    head = commit(MAIN, a="1")
    for number in range(5):
        name = f"name-{number}"

        def give(store: VersionStore, which: int, name: str = name) -> str:
            return store.tag(name, MAIN) if which % 2 else store.create_branch(name)

        told = _all_at_once(tmp_path, kind, give)
        given = [name in names for names in (store.branches(), store.tags())]
        assert sum(given) == told.count(head) <= 1


def test_a_repository_where_a_deleted_one_lay_says_so(lakefs_server, monkeypatch):
    for name, text in lakefs_server.lakectl.items():
        monkeypatch.setenv(name, text)
    monkeypatch.setattr(lakefs_repository, "MEANWHILE", 0.2)
    repo = lakefs_server.create()
    lakefs_server.ask("DELETE", f"/repositories/{repo}")

    with pytest.raises(StoreError, match="perhaps a deleted one") as said:
        LakeFSVersions(LakeFSPlace(), repo).check(create=True)
    assert "store.lakefs.storage" in (said.value.hint or "")
