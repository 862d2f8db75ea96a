"""Objects in a bucket: what may pass by itself is tried again, all else is an error that helps."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest
from pyarrow.fs import LocalFileSystem, S3FileSystem

from raypipe.errors import StoreError
from raypipe.store.bucket import Bucket
from tests.lakefs import LakeFS

BUSY = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@contextlib.contextmanager
def stumbling(server: LakeFS, times: int) -> Iterator[tuple[str, list[int]]]:
    """A way to the server that is busy so many times first; gives its address, and what is left."""
    left = [times]
    host, _, port = server.endpoint.partition(":")
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def pass_on(one: socket.socket, other: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while data := one.recv(65536):
                    other.sendall(data)
            for end in (one, other):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

        def serve() -> None:
            with contextlib.suppress(OSError), contextlib.ExitStack() as open_ones:
                while True:
                    asking = open_ones.enter_context(listening.accept()[0])
                    if left[0] > 0:
                        left[0] -= 1
                        asking.recv(65536)
                        asking.sendall(BUSY)
                        asking.close()
                        continue
                    answering = socket.create_connection((host, int(port)))
                    open_ones.enter_context(answering)
                    for pair in ((asking, answering), (answering, asking)):
                        threading.Thread(target=pass_on, args=pair, daemon=True).start()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{listening.getsockname()[1]}", left
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def filesystem(server: LakeFS, **changed: object) -> S3FileSystem:
    from pyarrow.fs import AwsDefaultS3RetryStrategy

    given = {
        "access_key": server.access_key,
        "secret_key": server.secret_key,
        "endpoint_override": server.endpoint,
        "scheme": "http",
        "region": "us-east-1",
        "allow_delayed_open": True,
        "retry_strategy": AwsDefaultS3RetryStrategy(max_attempts=0),
    }
    return S3FileSystem(**given | changed)


def test_a_server_that_is_busy_for_a_while_is_asked_again(lakefs_server: LakeFS) -> None:
    base, waited = f"{lakefs_server.create()}/main/x", []
    with stumbling(lakefs_server, 2) as (endpoint, left):
        way = filesystem(lakefs_server, endpoint_override=endpoint)
        bucket = Bucket(way, base, pauses=(1, 2, 4), wait=waited.append)
        bucket.put("key", b"content")
        assert bucket.get("key") == b"content"
        assert left == [0]
        del bucket, way
    assert len(waited) == 2
    assert waited[0] < waited[1]


def test_a_server_that_stays_busy_is_an_error_that_names_bucket_and_key(
    lakefs_server: LakeFS,
) -> None:
    repo, waited = lakefs_server.create(), []
    with stumbling(lakefs_server, 1000) as (endpoint, _):
        way = filesystem(lakefs_server, endpoint_override=endpoint)
        bucket = Bucket(way, f"{repo}/main/x", pauses=(1, 2), wait=waited.append)
        with pytest.raises(StoreError, match=rf"main/x/key in bucket '{repo}'") as failed:
            bucket.get("key")
        del bucket, way
    assert failed.value.exit_code == 7
    assert len(waited) == 2


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"secret_key": "a-wrong-one"}, "ACCESS_DENIED|SIGNATURE_DOES_NOT_MATCH"),
        ({"access_key": "AKIANOBODY"}, "ACCESS_DENIED|INVALID_ACCESS_KEY_ID"),
    ],
)
def test_wrong_credentials_are_an_error_at_once_that_does_not_tell_them(
    lakefs_server: LakeFS, changed: dict[str, str], said: str
) -> None:
    base = f"{lakefs_server.create()}/main/x"
    bucket = Bucket(filesystem(lakefs_server, **changed), base, wait=lambda _: pytest.fail("waits"))
    for act in (lambda: bucket.find("key"), lambda: bucket.put("key", b"x")):
        with pytest.raises(StoreError, match=said) as failed:
            act()
        assert failed.value.hint
        told = f"{failed.value} {failed.value.hint}"
        assert not any(secret in told for secret in (*changed.values(), lakefs_server.secret_key))


def test_a_bucket_that_is_not_there_is_an_error_with_a_next_step(lakefs_server: LakeFS) -> None:
    bucket = Bucket(filesystem(lakefs_server), "nobodys-bucket/main/x")
    assert bucket.find("key") is None
    with pytest.raises(StoreError, match="NO_SUCH_BUCKET") as failed:
        bucket.put("key", b"x")
    assert "make the bucket" in str(failed.value.hint)


def test_an_object_is_whole_or_absent_where_writing_fails(tmp_path) -> None:
    bucket = Bucket(LocalFileSystem(), str(tmp_path / "objects"))
    bucket.put("a/key", b"first")
    (tmp_path / "objects" / "a" / "key").unlink()
    (tmp_path / "objects" / "a").rmdir()
    (tmp_path / "objects" / "a").write_text("in the way")
    with pytest.raises(StoreError):
        bucket.put("a/key", b"second")
    assert not list((tmp_path / "objects" / ".tmp").iterdir())
