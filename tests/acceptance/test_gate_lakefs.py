"""A protected branch of a real lakeFS: whoever comes is held to the rule, and no answer is a no."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lakefs
import pyarrow.parquet as pq
import pytest
from lakefs.exceptions import LakeFSException
from lakefs_sdk.exceptions import ApiException
from pyarrow.fs import S3FileSystem

from tests.acceptance import tiny
from tests.certificates import write_certificate
from tests.conftest import Project, Said
from tests.lakefs import LakeFS, Unavailable
from tests.lakefs import lakefs as a_server


@dataclass
class Guarded:
    """The tiny dataset on a protected branch, and the watch that lakeFS asks."""

    project: Project
    server: LakeFS
    repo: str
    port: int
    watches: list["subprocess.Popen[str]"] = field(default_factory=list)

    @property
    def dataset(self) -> str:
        return f"lakefs://{self.repo}/main"

    def watch(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a watch, and wait until it is ready."""
        where = ("--listen", f"127.0.0.1:{self.port}")
        process = self.project.start("watch", *(arguments or where), "--json")
        self.watches.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()
        assert json.loads(line)["event"] == "ready"
        return process

    def end(self, process: "subprocess.Popen[str]") -> tuple[str, str]:
        """End a watch as Ctrl-C does; return what it had to say."""
        process.send_signal(signal.SIGINT)
        self.watches.remove(process)
        return process.communicate(timeout=60)

    def data(self, command: str, *arguments: str) -> Said:
        return self.project.raypipe("data", command, *arguments, "--json")

    def shown(self, branch: str = "main") -> dict[str, Any]:
        said = self.data("show", f"lakefs://{self.repo}/{branch}")
        assert said.code == 0, said.err
        return said.result["dataset"]

    @property
    def client(self) -> lakefs.Client:
        """lakeFS's own client, which knows nothing of raypipe."""
        server = self.server
        return lakefs.Client(
            host=server.url, username=server.access_key, password=server.secret_key
        )

    @property
    def repository(self) -> lakefs.Repository:
        return lakefs.Repository(self.repo, client=self.client)

    @property
    def head(self) -> str:
        return self.repository.branch("main").get_commit().id

    def write(self, branch: str, name: str, first_day: int) -> None:
        """Put a shard on a branch by S3 alone, and commit it by lakeFS's client."""
        table = tiny.rows(first_day)
        server = self.server
        files = S3FileSystem(
            access_key=server.access_key,
            secret_key=server.secret_key,
            endpoint_override=server.endpoint,
            scheme="http",
            region="us-east-1",
            force_virtual_addressing=False,
        )
        pq.write_table(table, f"{self.repo}/{branch}/{name}.parquet", filesystem=files)


@pytest.fixture
def unguarded(project: Project, lakefs_server: LakeFS, monkeypatch) -> Iterator[Guarded]:
    """The tiny dataset in a repository of its own; its home has the token that lakeFS has."""
    with tiny_on(project, lakefs_server, monkeypatch) as made:
        yield made


@contextlib.contextmanager
def tiny_on(project: Project, server: LakeFS, monkeypatch: pytest.MonkeyPatch) -> Iterator[Guarded]:
    """Import the tiny dataset into a server; at the end no watch of it is left."""
    for name, text in server.lakectl.items():
        monkeypatch.setenv(name, text)
    repo = f"tiny-{os.urandom(4).hex()}"
    project.write("tiny.yaml", tiny.SETTINGS.replace("local://tiny/main", f"lakefs://{repo}/main"))
    project.write("my_features.py", tiny.FEATURES)
    project.write("my_helpers.py", tiny.HELPERS)
    project.write("my_model.py", tiny.MODEL)
    (project.folder / ".raypipe").mkdir(mode=0o700)
    token = project.write(".raypipe/gate_token", server.gate_token)
    token.chmod(0o600)
    made = Guarded(project, server, repo, _free_port())
    files = [tiny.write_shard(project, f"part{n}", tiny.rows(n * 20)) for n in range(2)]
    said = made.data("import", *files, "--to", made.dataset, "--config", "tiny.yaml", "--create")
    assert said.code == 0, said.err
    try:
        yield made
    finally:
        for process in made.watches:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


@pytest.fixture
def guarded(unguarded: Guarded) -> Guarded:
    """The same, protected."""
    unguarded.watch()
    said = unguarded.data("protect", unguarded.dataset)
    assert said.code == 0, said.err
    return unguarded


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def refused(act: Callable[[], Any]) -> str:
    """Return what lakeFS says to who may not do something."""
    with pytest.raises((LakeFSException, ApiException, OSError)) as no:
        act()
    return str(no.value)


def action_logs(guarded: Guarded) -> str:
    """Return what lakeFS keeps of the times that it asked."""
    actions, repo = guarded.client.sdk_client.actions_api, guarded.repo
    kept = []
    for run in actions.list_repository_runs(repo).results:
        hooks = actions.list_run_hooks(repo, run.run_id).results
        kept += [actions.get_run_hook_output(repo, run.run_id, one.hook_run_id) for one in hooks]
    return "\n".join(map(str, kept))


def test_every_client_is_held_to_the_rule(guarded: Guarded) -> None:
    """lakeFS's own client, and S3 alone: main takes nothing that nobody validated or accepted."""
    main, head = guarded.repository.branch("main"), guarded.head
    sdk = guarded.client.sdk_client
    theirs = guarded.repository.branch("theirs").create("main")
    guarded.write("theirs", "theirs", 40)
    theirs.commit("Rows of ours")

    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda _: refused(lambda: theirs.merge_into(main)), range(8)))
    assert all("status code: 412" in one for one in said)
    assert "protected branch" in refused(lambda: main.object("x.parquet").upload(b"x"))
    assert refused(lambda: guarded.write("main", "x", 60))
    assert "protected branch" in refused(lambda: main.commit("Mine"))
    assert "protected branch" in refused(
        lambda: sdk.experimental_api.hard_reset_branch(guarded.repo, "main", "theirs")
    )
    assert "status code: 412" in refused(lambda: main.cherry_pick(theirs.get_commit().id))
    assert "status code: 412" in refused(lambda: main.revert("main", parent_number=1))
    assert guarded.head == head
    shown = guarded.shown()
    assert [path["path"] for path in shown["shards"]] == [
        "part-part0.parquet",
        "part-part1.parquet",
    ]
    whys = [one["why"] for one in shown["refused"]]
    assert "raypipe data revert" in whys[0]
    assert whys[-1] == f"what {guarded.dataset} would be (3 shards) was never validated"
    assert shown["refused"][-1]["what"] == "theirs"

    said = guarded.data(
        "accept", f"lakefs://{guarded.repo}/theirs", "--reason", "ours", "--by", "B"
    )
    assert said.code == 0, said.err
    theirs.merge_into(main)
    shown = guarded.shown()
    assert len(shown["shards"]) == 3
    assert shown["validation"] == "accepted by B: ours"


@pytest.mark.long
def test_what_others_wrote_comes_in_once_raypipe_validated_it(guarded: Guarded) -> None:
    theirs = guarded.repository.branch("theirs").create("main")
    guarded.write("theirs", "theirs", 40)
    theirs.commit("Rows of ours")
    no = guarded.data("merge", guarded.dataset, "theirs")
    assert (no.code, "was never validated" in no.err) == (4, True), no.err
    assert sorted(one.id for one in guarded.repository.branches()) == ["main", "theirs"]

    said = guarded.data("merge", guarded.dataset, "theirs", "--config", "tiny.yaml")
    assert said.code == 0, said.err
    assert said.result["merge"]["validation"]["verdict"] in {"pass", "warn"}
    assert len(guarded.shown()["shards"]) == 3
    (newest, *_) = guarded.data("log", guarded.dataset).result["commits"]
    runs = guarded.project.raypipe("runs", "list", "--json").result["runs"]
    assert newest["meta"]["raypipe.run"] in {run["id"] for run in runs}
    assert {"raypipe.data", "raypipe.evidence"} <= newest["meta"].keys()
    undone = guarded.data("revert", guarded.dataset, said.result["merge"]["commit"])
    assert undone.code == 0, undone.err
    assert len(guarded.shown()["shards"]) == 2


@pytest.mark.long
def test_a_revert_is_one_command_whatever_comes_of_it(guarded: Guarded) -> None:
    """Reverted to what nobody saw yet: it says what to type, and that does it; so does --config."""
    commits = []
    for number in (2, 3):
        file = tiny.write_shard(guarded.project, f"part{number}", tiny.rows(number * 20))
        done = guarded.data("import", file, "--to", guarded.dataset, "--config", "tiny.yaml")
        assert done.code == 0, done.err
        commits.append(done.result["import"]["commit"])
    head = guarded.head

    unseen = guarded.data("revert", guarded.dataset, commits[0])
    assert (unseen.code, "was never validated" in unseen.err) == (4, True), unseen.err
    assert guarded.head == head
    typed = re.search(r"raypipe data (merge \S+ revert-\w+ --config) FILE", unseen.err)
    assert typed, unseen.err
    merged = guarded.data(*typed[1].split(), "tiny.yaml")
    assert merged.code == 0, merged.err
    left = ["part-part0.parquet", "part-part1.parquet", "part-part3.parquet"]
    assert [one["path"] for one in guarded.shown()["shards"]] == left

    undone = guarded.data("revert", guarded.dataset, commits[1], "--config", "tiny.yaml")
    assert undone.code == 0, undone.err
    assert undone.result["revert"]["validation"]["verdict"] in {"pass", "warn"}
    assert [one["path"] for one in guarded.shown()["shards"]] == left[:2]
    assert [*guarded.shown(commits[1])["shards"]] != []


@pytest.mark.long
def test_a_commit_that_another_client_picks_comes_in_once_it_is_let_in(guarded: Guarded) -> None:
    """lakeFS says which commit is picked, so that what comes of it is known beforehand."""
    repository, main, head = guarded.repository, guarded.repository.branch("main"), guarded.head
    theirs = repository.branch("theirs").create("main")
    guarded.write("theirs", "theirs", 40)
    one = theirs.commit("Rows of ours").get_commit().id
    assert "status code: 412" in refused(lambda: main.cherry_pick(one))
    said = guarded.data("accept", f"lakefs://{guarded.repo}/theirs", "--reason", "ours")
    assert said.code == 0, said.err
    guarded.write("theirs", "more", 60)
    more = theirs.commit("More of ours").get_commit().id
    assert "status code: 412" in refused(lambda: main.cherry_pick(more))
    assert guarded.head == head
    main.cherry_pick(one)
    assert len(guarded.shown()["shards"]) == 3

    guarded.write("theirs", "told", 80)
    told = theirs.commit("Ours", metadata={"cherry-pick-origin": one}).get_commit().id
    assert "status code: 412" in refused(lambda: main.cherry_pick(told))
    joined = repository.branch("joined").create("main")
    theirs.merge_into(joined)
    merge = joined.get_commit().id
    assert "status code: 412" in refused(lambda: main.cherry_pick(merge, parent_number=1))
    whys = [one["why"] for one in guarded.shown()["refused"][:2]]
    assert all("raypipe data merge" in why for why in whys)


def test_other_bytes_under_the_metadata_of_validated_ones_are_not_let_in(guarded: Guarded) -> None:
    """A forger can write all that raypipe says of an object, but not what lakeFS finds it is."""
    main, head = guarded.repository.branch("main"), guarded.head
    theirs = guarded.repository.branch("theirs").create("main")
    path = guarded.shown()["shards"][0]["path"]
    validated = main.object(path)
    content = bytearray(validated.reader(mode="rb").read())
    content[100:104] = bytes(4)
    told = validated.stat().metadata
    assert {"raypipe-blake2b", "raypipe-md5"} <= told.keys()
    theirs.object(path).upload(bytes(content), metadata=told)
    theirs.commit("As before, believe me")
    assert "status code: 412" in refused(lambda: theirs.merge_into(main))
    assert guarded.head == head
    assert "never validated" in guarded.shown()["refused"][0]["why"]


@pytest.mark.long
def test_a_rejected_import_stays_until_a_person_lets_it_in(guarded: Guarded) -> None:
    bad = tiny.rows(40)
    bad = bad.set_column(bad.column_names.index("number"), "number", tiny.rows(20)["number"])
    file = tiny.write_shard(guarded.project, "part2", bad)
    head = guarded.head
    no = guarded.data("import", file, "--to", guarded.dataset, "--config", "tiny.yaml")
    assert no.code == 4, no.err
    assert guarded.head == head
    (branch,) = [one.id for one in guarded.repository.branches() if one.id != "main"]
    assert guarded.shown(branch)["validation"].startswith("stopped by the validation of run ")
    theirs = guarded.repository.branch(branch)
    assert "412" in refused(lambda: theirs.merge_into(guarded.repository.branch("main")))

    accepted = guarded.data("accept", f"lakefs://{guarded.repo}/{branch}", "--reason", "a recount")
    assert accepted.result["accept"]["evidence"] != "nothing was looked at"
    merged = guarded.data("merge", guarded.dataset, branch)
    assert merged.code == 0, merged.err
    assert len(guarded.shown()["shards"]) == 3


def test_no_answer_is_a_no_and_says_so(guarded: Guarded) -> None:
    """Whatever becomes of the watch; once it is up again, what waited on its branch comes in."""
    head = guarded.head
    os.killpg(guarded.watches[0].pid, signal.SIGKILL)
    file = tiny.write_shard(guarded.project, "part2", tiny.rows(40))
    down = guarded.data("import", file, "--to", guarded.dataset, "--config", "tiny.yaml")
    assert down.code == 7, down.err
    assert "the gate does not answer" in down.err
    assert "is `raypipe watch` running" in down.err
    assert f"raypipe data merge {guarded.dataset} import-" in down.err
    assert guarded.head == head

    token = guarded.project.folder / ".raypipe" / "gate_token"
    right = token.read_text()
    token.write_text("x" * 64)
    other = guarded.watch()
    (branch,) = [one.id for one in guarded.repository.branches() if one.id != "main"]
    stranger = guarded.data("merge", guarded.dataset, branch)
    assert (stranger.code, "does not take lakeFS's token" in stranger.err) == (7, True)
    assert guarded.head == head
    said = "".join(guarded.end(other)) + down.out + down.err + stranger.out + stranger.err

    token.write_text(right)
    guarded.watch()
    merged = guarded.data("merge", guarded.dataset, branch)
    assert merged.code == 0, merged.err
    said += "".join(guarded.end(guarded.watches[-1])) + merged.out + merged.err
    kept = [file for file in guarded.project.folder.rglob("*") if file.is_file() and file != token]
    assert right not in said
    assert [file for file in kept if right.encode() in file.read_bytes()] == []


def commands_now() -> str:
    """Return the command lines of all processes, as `ps` shows them to everybody."""
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.append(file.read_bytes().decode("utf-8", "replace"))
    return "\n".join(lines)


def test_no_secret_is_kept_or_shown_by_who_guards(guarded: Guarded) -> None:
    """Neither the gate's token nor lakeFS's credentials, in whatever came of merges."""
    repository, seen = guarded.repository, [commands_now()]
    theirs = repository.branch("theirs").create("main")
    guarded.write("theirs", "theirs", 40)
    theirs.commit("Rows of ours")
    seen.append(refused(lambda: theirs.merge_into(repository.branch("main"))))
    with ThreadPoolExecutor(1) as pool:
        done = threading.Event()

        def look() -> list[str]:
            looked = []
            while not done.wait(0.05):
                looked.append(commands_now())
            return looked

        looking = pool.submit(look)
        reason = ("--reason", "ours")
        said = [
            guarded.data("merge", guarded.dataset, "theirs"),
            guarded.data("revert", guarded.dataset, "nothing"),
            guarded.data("accept", f"lakefs://{guarded.repo}/theirs", *reason),
            guarded.data("merge", guarded.dataset, "theirs"),
            guarded.data("show", guarded.dataset),
            guarded.data("protect", guarded.dataset),
            guarded.project.raypipe("doctor"),
        ]
        done.set()
        seen += looking.result()
    assert [one.code for one in said[:5]] == [4, 9, 0, 0, 0]
    seen += [text for one in said for text in (one.out, one.err)]
    seen += guarded.end(guarded.watches[0])
    seen.append(action_logs(guarded))
    assert "is refused: " in seen[-2]
    assert "is let in: " in seen[-2]
    assert any("raypipe\0watch" in text for text in seen)  # what was looked at was there

    token = guarded.project.folder / ".raypipe" / "gate_token"
    kept = [file for file in guarded.project.folder.rglob("*") if file.is_file() and file != token]
    assert {"ledger.db", "watch.json"} & {file.name for file in kept}
    for secret in (token.read_text(), guarded.server.access_key, guarded.server.secret_key):
        assert [text for text in seen if secret in text] == []
        assert [file for file in kept if secret.encode() in file.read_bytes()] == []


def test_what_came_in_unseen_is_undone(unguarded: Guarded, wait_until) -> None:
    """lakeFS reads what it is to ask from what is merged: that may know nothing of the gate."""
    repository = unguarded.repository
    before = repository.branch("main").get_commit().id
    unguarded.watch("--listen", f"127.0.0.1:{unguarded.port}", "--every", "0.5")
    assert unguarded.data("protect", unguarded.dataset).code == 0
    protected = unguarded.head
    old = repository.branch("old").create(before)
    unguarded.write("old", "old", 40)
    old.commit("From before")
    came = old.merge_into(repository.branch("main"))

    wait_until(lambda: unguarded.head not in {protected, came})
    shown = unguarded.shown()
    assert len(shown["shards"]) == 2
    assert "was undone by" in shown["refused"][0]["why"]

    cutter = repository.branch("cutter").create("main")
    cutter.object("_lakefs_actions/raypipe.yaml").delete()
    cutter.commit("Who needs this")
    cut = cutter.merge_into(repository.branch("main"))
    wait_until(lambda: unguarded.head != cut)
    assert repository.branch("main").object("_lakefs_actions/raypipe.yaml").exists()
    assert "makes lakeFS ask" in unguarded.shown()["refused"][0]["why"]
    told = "".join(unguarded.end(unguarded.watches[0]))
    assert told.count("held what nobody let in") >= 2
    assert told.count('"event":"undone"') == 2


@pytest.mark.long
def test_a_branch_of_that_name_on_another_server_is_not_judged(
    unguarded: Guarded, monkeypatch
) -> None:
    """The same one under another name here: what counts is where the protected one was."""
    repository = unguarded.repository
    before = repository.branch("main").get_commit().id
    first = unguarded.watch()
    assert unguarded.data("protect", unguarded.dataset).code == 0
    unguarded.end(first)
    there = os.environ["LAKECTL_SERVER_ENDPOINT_URL"]
    monkeypatch.setenv("LAKECTL_SERVER_ENDPOINT_URL", there.replace("127.0.0.1", "localhost"))
    watch = unguarded.watch("--listen", f"127.0.0.1:{unguarded.port}", "--every", "0.2")
    old = repository.branch("old").create(before)
    unguarded.write("old", "old", 40)
    old.commit("From before")
    came = old.merge_into(repository.branch("main"))
    time.sleep(3)  # ten looks and more
    assert unguarded.head == came
    said = "".join(unguarded.end(watch))
    assert f"{unguarded.dataset} is protected in the lakeFS at {there}" in said


@pytest.mark.long
def test_protection_comes_to_the_branches_that_there_are_and_goes_again(unguarded: Guarded) -> None:
    repository, main = unguarded.repository, unguarded.repository.branch("main")
    theirs = repository.branch("theirs").create("main")
    unguarded.write("theirs", "theirs", 40)
    theirs.commit("Rows of ours")
    repository.branch("busy").create("main").object("x").upload(b"x")
    no = unguarded.data("protect", unguarded.dataset)
    assert (no.code, "raypipe watch" in no.err) == (2, True)

    unguarded.watch()
    said = unguarded.data("protect", unguarded.dataset, "--secret-in-repository")
    assert said.code == 0, said.err
    assert said.result["protect"]["not asked about"] == ["busy"]
    assert "status code: 412" in refused(lambda: theirs.merge_into(main))
    again = unguarded.data("protect", unguarded.dataset)
    assert again.code == 0, again.err

    assert unguarded.data("unprotect", unguarded.dataset).code == 0
    assert "protected" not in unguarded.shown()
    theirs.merge_into(main)
    assert len(unguarded.shown()["shards"]) == 3
    assert unguarded.data("unprotect", unguarded.dataset).code == 9


@pytest.mark.long
def test_a_merge_begins_one_run_whatever_number_of_watches(guarded: Guarded, wait_until) -> None:
    """Told by lakeFS alone: neither looks by itself for an hour."""
    guarded.end(guarded.watches[0])
    written = guarded.project.folder / "tiny.yaml"
    written.write_text(written.read_text() + "runtime: {kind: inline}\n")
    settings = ("--config", "tiny.yaml", "--every", "3600")
    begun = [
        guarded.watch("--listen", f"127.0.0.1:{guarded.port}", *settings),
        guarded.watch("--listen", "127.0.0.1:0", *settings),
    ]

    def runs() -> list[dict[str, Any]]:
        said = guarded.project.raypipe("runs", "list", "--json").result["runs"]
        return [run for run in said if run["pipeline"] == "tiny"]

    wait_until(lambda: [run["status"] for run in runs()] == ["waiting"])
    file = tiny.write_shard(guarded.project, "part2", tiny.rows(40))
    said = guarded.data("import", file, "--to", guarded.dataset, "--config", "tiny.yaml")
    assert said.code == 0, said.err
    wait_until(lambda: [run["status"] for run in runs()] == ["waiting", "waiting"])
    for process in begun:
        guarded.end(process)
    again = guarded.watch("--listen", "127.0.0.1:0", *settings)
    guarded.end(again)
    assert len(runs()) == 2


@pytest.mark.long
def test_a_gate_that_hangs_is_a_no(guarded: Guarded) -> None:
    """lakeFS waits for a minute, and then lets nothing in."""
    head = guarded.head
    file = tiny.write_shard(guarded.project, "part2", tiny.rows(40))
    os.kill(guarded.watches[0].pid, signal.SIGSTOP)
    hung = guarded.data("import", file, "--to", guarded.dataset, "--config", "tiny.yaml")
    os.kill(guarded.watches[0].pid, signal.SIGCONT)
    assert (hung.code, "the gate does not answer in time" in hung.err) == (7, True), hung.err
    assert guarded.head == head


@pytest.mark.long
def test_two_branches_of_a_repository_are_told_by_one_file(guarded: Guarded) -> None:
    repository = guarded.repository
    repository.branch("dev").create("main")
    dev = f"lakefs://{guarded.repo}/dev"
    said = guarded.data("protect", dev)
    assert said.code == 0, said.err
    theirs = repository.branch("theirs").create("main")
    guarded.write("theirs", "theirs", 40)
    theirs.commit("Rows of ours")
    for name in ("main", "dev"):
        assert "412" in refused(lambda name=name: theirs.merge_into(repository.branch(name)))
    assert guarded.data("unprotect", dev).code == 0
    assert "412" in refused(lambda: theirs.merge_into(repository.branch("main")))
    file = tiny.write_shard(guarded.project, "part2", tiny.rows(40))
    done = guarded.data("import", file, "--to", guarded.dataset, "--config", "tiny.yaml")
    assert done.code == 0, done.err


@pytest.mark.long
def test_protecting_that_is_killed_is_done_again(unguarded: Guarded) -> None:
    """Killed with its file on a branch of its own: nothing is protected, nothing in the way."""
    unguarded.watch("--listen", f"127.0.0.1:{unguarded.port}", "--every", "0.2")
    killed = unguarded.project.raypipe(
        "data", "protect", unguarded.dataset, RAYPIPE_FAULT="import.object"
    )
    assert killed.code == -9
    head = unguarded.head
    said = unguarded.data("protect", unguarded.dataset)
    assert said.code == 0, said.err
    assert [one.id for one in unguarded.repository.branches()] == ["main"]
    assert unguarded.head != head
    assert unguarded.shown()["refused"] == []


@pytest.fixture
def trusting(tmp_path: Path) -> Iterator[tuple[LakeFS, Path, Path]]:
    """A server that trusts one certificate, with that and its key."""
    cert, key = write_certificate(tmp_path)
    try:
        with a_server(trusts=cert) as server:
            yield server, cert, key
    except Unavailable as missing:
        pytest.skip(str(missing))


@pytest.mark.long
@pytest.mark.slow
def test_lakefs_asks_a_gate_by_tls(
    project: Project, trusting: tuple[LakeFS, Path, Path], tmp_path: Path, monkeypatch
) -> None:
    """It asks one whose certificate it trusts; another, and one without, let nothing in."""
    server, *files = trusting
    with tiny_on(project, server, monkeypatch) as made:
        named = ("--tls-cert", str(files[0]), "--tls-key", str(files[1]))
        made.watch("--listen", f"127.0.0.1:{made.port}", *named)
        said = made.data("protect", made.dataset)
        assert said.code == 0, said.err
        assert said.result["protect"]["gate"] == f"https://127.0.0.1:{made.port}"
        theirs = made.repository.branch("theirs").create("main")
        made.write("theirs", "theirs", 40)
        theirs.commit("Rows of ours")
        main, head = made.repository.branch("main"), made.head
        assert "status code: 412" in refused(lambda: theirs.merge_into(main))

        (tmp_path / "other").mkdir()
        kept = [file.read_bytes() for file in files]
        for file, other in zip(files, write_certificate(tmp_path / "other"), strict=True):
            file.write_bytes(other.read_bytes())
        stranger = made.data("merge", made.dataset, "theirs", "--config", "tiny.yaml")
        assert (stranger.code, "does not trust the gate" in stranger.err) == (7, True), stranger.err
        assert "SSL_CERT_FILE" in stranger.err
        assert made.head == head
        for file, content in zip(files, kept, strict=True):
            file.write_bytes(content)
        merged = made.data("merge", made.dataset, "theirs", "--config", "tiny.yaml")
        assert merged.code == 0, merged.err
        assert len(made.shown()["shards"]) == 3

        made.end(made.watches[0])
        made.watch("--listen", f"127.0.0.1:{made.port}")  # and speaks no TLS now
        made.write("theirs", "more", 60)
        theirs.commit("More of ours")
        assert "does not look like a TLS handshake" in refused(lambda: theirs.merge_into(main))
