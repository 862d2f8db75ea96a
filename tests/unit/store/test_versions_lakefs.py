"""The version store on lakeFS: what becomes of a server that is away, and of others' objects."""

import contextlib
import http.client
import http.server
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow.fs
import pytest

from raypipe.engine.records import Actor
from raypipe.errors import NotFound, StoreError
from raypipe.store.lakefs_access import LakeFSPlace, find_access
from raypipe.store.lakefs_server import LakeFSServer
from raypipe.store.locations import open_location
from raypipe.store.versions import MAIN
from raypipe.store.versions_lakefs import LakeFSVersions
from tests.lakefs import LakeFS


class Busy:
    """A proxy that passes all on as it is, but says 503 as often as it is told to."""

    def __init__(self, endpoint: str) -> None:
        self.left = 0
        outer, host = self, endpoint

        class Handler(http.server.BaseHTTPRequestHandler):
            def pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if outer.left:
                    outer.left -= 1
                    self.send_response(503)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                server = http.client.HTTPConnection(host, timeout=60)
                with contextlib.closing(server):
                    server.putrequest(
                        self.command, self.path, skip_host=True, skip_accept_encoding=True
                    )
                    for name, value in self.headers.items():
                        server.putheader(name, value)
                    server.endheaders(body)
                    answer = server.getresponse()
                    content = answer.read()
                self.send_response_only(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() != "transfer-encoding":
                        self.send_header(name, value)
                if "Content-Length" not in answer.headers:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = pass_on

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def says_no(self, times: int) -> None:
        self.left = times

    def __enter__(self) -> "Busy":
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


ANN = Actor(user="ann", host="desk")


@pytest.fixture
def server(lakefs_server: LakeFS, monkeypatch: pytest.MonkeyPatch) -> LakeFS:
    for name, text in lakefs_server.lakectl.items():
        monkeypatch.setenv(name, text)
    return lakefs_server


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("content")
    return path


def away(server: LakeFS, repo: str) -> LakeFSVersions:
    """Open a store whose server is killed now, and comes back as soon as the store waits for it."""
    stops: Iterator[None] = server.stops()
    asked = LakeFSServer(LakeFSPlace(), wait=lambda seconds: next(stops, None))
    store = LakeFSVersions(LakeFSPlace(), repo, server=asked)
    store.check()
    next(stops)
    return store


@pytest.mark.parametrize("act", ["put", "commit", "merge", "branch", "list"])
def test_a_server_that_starts_again_is_waited_for(server, file, act):
    repo = server.create()
    store = LakeFSVersions(LakeFSPlace(), repo)
    store.create_branch("work")
    store.put("work", "a", file)
    if act == "merge":
        store.commit("work", "Write a", ANN)
    store = away(server, repo)

    match act:
        case "put":
            assert store.put("work", "b", file).size == 7
        case "commit":
            assert store.commit("work", "Write a", ANN) == store.resolve("work")
            assert [one.message for one in store.log("work")][:1] == ["Write a"]
        case "merge":
            assert store.merge("work", MAIN, ANN) == store.resolve(MAIN)
            assert [one.path for one in store.list(MAIN)] == ["a"]
        case "branch":
            assert store.create_branch("more") == store.branches()["more"]
        case "list":
            assert store.list(MAIN) == ()


@pytest.fixture
def busy(server: LakeFS, monkeypatch: pytest.MonkeyPatch) -> Iterator[Busy]:
    """The server behind a proxy that can be made to say 503."""
    with Busy(server.endpoint) as proxy:
        monkeypatch.setenv("LAKECTL_SERVER_ENDPOINT_URL", proxy.url)
        yield proxy


def test_a_busy_server_is_asked_again(server, busy, file):
    repo = server.create()
    waited: list[float] = []
    store = LakeFSVersions(
        LakeFSPlace(), repo, server=LakeFSServer(LakeFSPlace(), wait=waited.append)
    )
    busy.says_no(3)
    store.put(MAIN, "a", file)
    busy.says_no(2)
    head = store.commit(MAIN, "Write a", ANN)

    assert head == store.resolve(MAIN)
    assert len(waited) == 5
    assert 0.1 <= waited[0] < waited[2] * 3
    assert len(store.log(MAIN)) == 2


def test_a_busy_gateway_is_read_again(server, busy, file):
    store = LakeFSVersions(LakeFSPlace(), server.create())
    store.put(MAIN, "a", file)
    store.commit(MAIN, "Write a", ANN)
    place = store.location(store.list(MAIN)[0])
    busy.says_no(2)

    with open_location(place) as opened:
        assert opened.read() == b"content"
    assert busy.left == 0


def test_a_server_that_stays_busy_is_named(server, busy):
    busy.says_no(100)
    asked = LakeFSServer(LakeFSPlace(), wait=lambda seconds: None)
    with pytest.raises(StoreError, match=f"{busy.url} cannot be asked: it says 503"):
        LakeFSVersions(LakeFSPlace(), "any", server=asked).resolve(MAIN)


def test_an_act_whose_answer_was_lost_is_not_done_twice(server, file):
    """A commit is done, its answer is lost, and it is asked for again: it is found by its mark."""
    repo = server.create()
    store = LakeFSVersions(LakeFSPlace(), repo)
    asked = store._server
    import lakefs_sdk
    import urllib3

    store.put(MAIN, "a", file)
    sdk = asked._sdk
    real, calls = sdk.commits_api.commit, []

    def cut(*args, **kwargs):
        calls.append(real(*args, **kwargs))
        raise urllib3.exceptions.ProtocolError("cut")

    sdk.commits_api.commit = cut
    head = store.commit(MAIN, "Write a", ANN)

    assert len(calls) == 1
    assert isinstance(calls[0], lakefs_sdk.Commit)
    assert head == calls[0].id == store.resolve(MAIN)


def test_a_server_that_stays_away_is_named_with_what_to_do(server, monkeypatch):
    monkeypatch.setenv("LAKECTL_SERVER_ENDPOINT_URL", "http://127.0.0.1:9")
    asked = LakeFSServer(LakeFSPlace(), wait=lambda seconds: None)
    store = LakeFSVersions(LakeFSPlace(), "any", server=asked)

    with pytest.raises(StoreError, match=r"http://127\.0\.0\.1:9 .* nothing answers") as refused:
        store.resolve(MAIN)
    assert refused.value.exit_code == 7
    assert "run again" in str(refused.value.hint)


def test_objects_of_others_are_known_by_their_etag(server, file):
    repo = server.create()
    store = LakeFSVersions(LakeFSPlace(), repo)
    s3 = pyarrow.fs.S3FileSystem(
        access_key=server.access_key,
        secret_key=server.secret_key,
        endpoint_override=server.endpoint,
        scheme="http",
        region="us-east-1",
        allow_delayed_open=True,  # one request, as of most clients; of several, the tag is another
    )
    with s3.open_output_stream(f"{repo}/{MAIN}/theirs") as stream:
        stream.write(b"content")
    store.put(MAIN, "ours", file)
    store.commit(MAIN, "Write", ANN)

    ours, theirs = store.list(MAIN)
    assert ours.object_id.startswith("blake2b:")
    assert theirs.object_id == "etag:9a0364b9e99bb480dd25e1f0284c8555"
    with open_location(store.location(theirs)) as opened:
        assert opened.read() == b"content"


def test_many_objects_are_listed_page_by_page(server, file, tmp_path):
    store = LakeFSVersions(LakeFSPlace(), server.create())
    store.put_all(MAIN, {f"{number:04}": file for number in range(1100)})
    store.commit(MAIN, "Write", ANN)

    assert [f.path for f in store.list(MAIN)] == [f"{number:04}" for number in range(1100)]
    assert len(store.diff(store.log(MAIN)[-1].id, MAIN).added) == 1100


def test_a_path_may_hold_any_sign(server, file):
    store = LakeFSVersions(LakeFSPlace(), server.create())
    for path in ("with space", "a?b=c&d", "ü#%41", "plus+"):
        store.put(MAIN, path, file)
    store.commit(MAIN, "Write", ANN)

    for stored in store.list(MAIN):
        with open_location(store.location(stored)) as opened:
            assert opened.read() == b"content", stored.path


def test_nothing_that_is_pickled_or_shown_holds_credentials(server, file):
    store = LakeFSVersions(LakeFSPlace(), server.create())
    store.put(MAIN, "a", file)
    store.commit(MAIN, "Write", ANN)
    filesystem, paths = store.files(store.list(MAIN))
    access = find_access(LakeFSPlace())

    told = [pickle.dumps(filesystem), pickle.dumps(store.list(MAIN)), repr(store).encode()]
    told += [repr(access).encode(), store.location(store.list(MAIN)[0]).encode()]
    for secret in (server.access_key, server.secret_key):
        assert not [one for one in told if secret.encode() in one]
    with pytest.raises(TypeError, match="do not travel"):
        pickle.dumps(access)
    assert pickle.loads(told[0]).open_input_file(paths[0]).read() == b"content"


def test_a_missing_repository_is_compared_with_the_known(server):
    name = server.create("flights")
    with pytest.raises(NotFound, match=f"did you mean '{name}'"):
        LakeFSVersions(LakeFSPlace(), name[:-1]).check()


def test_lakectl_s_file_says_where_and_who(server, tmp_path, monkeypatch):
    for name in server.lakectl:
        monkeypatch.delenv(name)
    file = tmp_path / "lakectl.yaml"
    monkeypatch.setenv("LAKECTL_CONFIG_FILE", str(file))
    with pytest.raises(StoreError, match="no lakeFS server is named"):
        find_access(LakeFSPlace())

    file.write_text(
        f"server: {{endpoint_url: '{server.url}/api/v1'}}\n"
        f"credentials: {{access_key_id: {server.access_key}, "
        f"secret_access_key: {server.secret_key}}}\n"
    )
    LakeFSVersions(LakeFSPlace(), server.create()).check()

    file.write_text(f"credentials: [{server.secret_key}: {{")
    with pytest.raises(StoreError, match="cannot be read") as refused:
        find_access(LakeFSPlace(endpoint=server.url))
    assert server.secret_key not in str(refused.value)
