"""The local version store: what is on disk is whole, whatever happens to the process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from raypipe.engine.records import Actor
from raypipe.errors import NotFound, StoreError
from raypipe.store.versions import MAIN, open_store, repositories
from raypipe.store.versions_local import LocalVersions
from raypipe.values.uri import parse_uri

ANN = Actor(user="ann", host="desk")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("content")
    return path


def test_equal_files_are_kept_once_and_read_only(tmp_path, file):
    store = LocalVersions(tmp_path / "repo")
    places = {store.location(store.put(MAIN, path, file)) for path in ("a", "b")}

    assert len(places) == 1
    assert not Path(places.pop()).stat().st_mode & 0o222


def test_a_damaged_object_is_mended_by_putting_it_again(tmp_path, file):
    store = LocalVersions(tmp_path / "repo")
    place = Path(store.location(store.put(MAIN, "a", file)))
    place.chmod(0o644)
    place.write_text("torn")

    store.put(MAIN, "a", file)
    assert place.read_text() == "content"


def test_bytes_that_are_gone_are_named(tmp_path, file):
    store = LocalVersions(tmp_path / "repo")
    stored = store.put(MAIN, "a", file)
    Path(store.location(stored)).unlink()

    with pytest.raises(StoreError, match="The bytes of a "):
        store.location(stored)


def test_a_commit_id_follows_from_content_parents_message_and_time(tmp_path, file):
    ids = []
    for name, now in (("x", 1.0), ("y", 1.0), ("z", 2.0)):
        store = LocalVersions(tmp_path / name, now=lambda now=now: now)
        store.put(MAIN, "a", file)
        ids.append(store.commit(MAIN, "Write", ANN))

    assert ids[0] == ids[1] != ids[2]
    assert ids[0] == "c6b5fa0ddcb3bcd5f9926e1db097e6948c322a230883b52e94edca164717d2e5"


def test_nothing_is_left_aside(tmp_path, file):
    store = LocalVersions(tmp_path / "repo")
    store.put(MAIN, "a", file)
    with pytest.raises(StoreError):
        store.put(MAIN, "b", tmp_path / "absent")

    assert list((tmp_path / "repo" / "aside").iterdir()) == []


def test_what_a_killed_process_left_aside_goes_after_a_day(tmp_path, file):
    store = LocalVersions(tmp_path / "repo")
    old, new = (tmp_path / "repo" / "aside" / name for name in ("old", "new"))
    for left in (old, new):
        left.write_text("half")
    os.utime(old, (1, 1))

    store.put(MAIN, "a", file)
    assert (old.exists(), new.exists()) == (False, True)


KILLED = """
import sys
from pathlib import Path
from raypipe.engine.records import Actor
from raypipe.store.versions_local import LocalVersions
folder = Path(sys.argv[1])
store = LocalVersions(folder)
number = 0
while True:
    name = f"n{number}"
    (folder / "in").write_text(name)
    store.create_branch(name)
    store.put(name, name, folder / "in")
    store.commit(name, "Write " + name, Actor(user="ann", host="desk"))
    store.merge(name, "main", Actor(user="ann", host="desk"))
    store.delete_branch(name)
    print(name, flush=True)
    number += 1
"""


def test_a_kill_leaves_every_merge_that_was_answered(tmp_path):
    folder = tmp_path / "repo"
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder)], stdout=subprocess.PIPE, text=True
    ) as process:
        answered = [process.stdout.readline().strip() for _ in range(5)]
        process.send_signal(signal.SIGKILL)
        answered += process.stdout.read().split()

    store = LocalVersions(folder)
    held = {f.path: Path(store.location(f)).read_text() for f in store.list(MAIN)}
    assert set(answered) <= set(held)
    assert all(path == text for path, text in held.items())
    assert len(held) <= len(answered) + 1


def test_a_folder_that_cannot_be_written_is_a_store_error(tmp_path):
    (tmp_path / "taken").write_text("a file")

    with pytest.raises(StoreError, match="taken"):
        LocalVersions(tmp_path / "taken" / "repo")


def test_a_repository_is_made_only_when_asked_for(tmp_path):
    uri = parse_uri("local://flights/main")
    with pytest.raises(NotFound, match="no repository 'flights'"):
        open_store(uri, tmp_path)
    assert list(tmp_path.iterdir()) == []

    open_store(uri, tmp_path, create=True)
    assert open_store(uri, tmp_path).branches().keys() == {MAIN}
    assert repositories(tmp_path) == ["flights"]


def test_an_unknown_repository_is_compared_with_the_known(tmp_path):
    open_store(parse_uri("local://flights/main"), tmp_path, create=True)

    with pytest.raises(NotFound, match="did you mean 'flights'"):
        open_store(parse_uri("local://fligths/main"), tmp_path)


def objects(folder: Path) -> list[str]:
    return [file.read_text() for file in folder.rglob("objects/*/*")]


def texts(store: LocalVersions, ref: str) -> dict[str, str]:
    return {f.path: Path(store.location(f)).read_text() for f in store.list(ref)}


def test_bytes_that_no_commit_and_no_branch_holds_are_collected(tmp_path):
    store = LocalVersions(tmp_path / "repo")
    for branch, text in (("kept", "committed"), ("open", "staged"), ("gone", "dropped")):
        store.create_branch(branch)
        (tmp_path / "in").write_text(text)
        store.put(branch, branch, tmp_path / "in")
    store.commit("kept", "Write", ANN)
    store.delete_branch("kept")
    store.delete_branch("gone")

    garbage = store.unreached()
    assert (len(garbage.names), garbage.size) == (1, len("dropped"))
    assert len(objects(tmp_path)) == 3

    assert store.collect(garbage) == 1
    assert sorted(objects(tmp_path)) == ["committed", "staged"]


def test_bytes_that_were_put_again_since_stay(tmp_path, file):
    store = LocalVersions(tmp_path / "repo")
    store.create_branch("work")
    store.put("work", "a", file)
    store.delete_branch("work")
    garbage = store.unreached()
    store.put(MAIN, "b", file)

    assert store.collect(garbage) == 0
    assert objects(tmp_path) == ["content"]


COLLECTING = """
import sys
from pathlib import Path
from raypipe.store.versions_local import LocalVersions
store = LocalVersions(Path(sys.argv[1]))
print(flush=True)
while True:
    store.collect(store.unreached())
"""


@pytest.mark.slow
def test_nothing_is_lost_that_is_put_while_garbage_is_collected(tmp_path):
    folder = tmp_path / "repo"
    store = LocalVersions(folder)
    with subprocess.Popen(
        [sys.executable, "-c", COLLECTING, str(folder)], stdout=subprocess.PIPE, text=True
    ) as process:
        process.stdout.readline()
        for number in range(60):
            (tmp_path / "in").write_text(f"text {number}")
            store.put(MAIN, f"{number:02}", tmp_path / "in")
            if number % 3 == 0:
                store.commit(MAIN, "Write", ANN)
        store.commit(MAIN, "Write", ANN)
        process.kill()

    assert texts(store, MAIN) == {f"{number:02}": f"text {number}" for number in range(60)}
    assert len(objects(tmp_path)) == 60


def test_a_kill_while_garbage_is_collected_takes_nothing_that_is_held(tmp_path):
    folder = tmp_path / "repo"
    store = LocalVersions(folder)
    for number in range(6):
        (tmp_path / "in").write_text(f"text {number}")
        store.put(MAIN, "same path", tmp_path / "in")
    store.commit(MAIN, "Write", ANN)
    killed = subprocess.run(
        [sys.executable, "-c", COLLECTING, str(folder)],
        env={**os.environ, "RAYPIPE_FAULT": "object.removed:2"},
        check=False,
        capture_output=True,
    )

    assert killed.returncode == -signal.SIGKILL
    assert len(objects(tmp_path)) == 4
    assert texts(store, MAIN) == {"same path": "text 5"}
    assert store.collect(store.unreached()) == 3


DYING = """
import sys
from pathlib import Path
from raypipe.engine.records import Actor
from raypipe.store.versions_local import LocalVersions
folder, act = Path(sys.argv[1]), sys.argv[2]
store, ann = LocalVersions(folder), Actor(user="ann", host="desk")
if act == "commit":
    store.commit("main", "Write", ann)
else:
    store.merge("work", "main", ann)
"""


def act(folder: Path, name: str, fault: str = "") -> int:
    asked = {"RAYPIPE_FAULT": fault} if fault else {}
    command = [sys.executable, "-c", DYING, str(folder), name]
    return subprocess.run(command, env={**os.environ, **asked}, check=False).returncode


@pytest.mark.parametrize(
    ("name", "point"),
    [
        ("commit", "commit.recorded"),
        ("commit", "branch.moved"),
        ("merge", "commit.recorded"),
        ("merge", "branch.moved"),
        ("forward", "branch.moved"),
    ],
)
def test_a_commit_or_a_merge_that_dies_there_changed_nothing(tmp_path, name, point):
    store = LocalVersions(tmp_path / "repo")
    (tmp_path / "in").write_text("text")
    store.create_branch("work")
    if name != "commit":
        store.put("work", "theirs", tmp_path / "in")
        store.commit("work", "Write", ANN)
    if name != "forward":
        store.put(MAIN, "ours", tmp_path / "in")
    if name == "merge":
        store.commit(MAIN, "Write", ANN)
    before, log = store.branches(), store.log(MAIN)

    assert act(tmp_path / "repo", name, point) == -signal.SIGKILL
    assert (store.branches(), store.log(MAIN)) == (before, log)
    assert store.unreached().names == frozenset()

    assert act(tmp_path / "repo", name) == 0
    wanted = {"commit": {"ours"}, "merge": {"ours", "theirs"}, "forward": {"theirs"}}[name]
    assert set(texts(store, MAIN)) == wanted
