"""The gate's endpoint says yes to nothing but what the decision says yes to."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from raypipe.app import watch_http
from raypipe.app.gate import Answer, Asked
from raypipe.app.watch_http import AT_ONCE, LARGEST, GateServer
from raypipe.errors import ClusterError, StoreError

TOKEN = "t" * 40
BODY = {"event_type": "pre-merge", "repository_id": "flights", "branch_id": "main"}


class Decisions:
    """Lets in what comes from the branch `good`, and remembers what it was told."""

    def __init__(self) -> None:
        self.news: list[Asked] = []
        self.wait = threading.Event()
        self.wait.set()

    def decide(self, asked: Asked) -> Answer:
        self.wait.wait()
        if asked.source == "lost":
            raise StoreError("lakeFS cannot be asked")
        if asked.source == "broken":
            raise ValueError("a fault")
        return Answer(allowed=asked.source == "good", reason=f"it is {asked.source}")


@pytest.fixture
def decisions() -> Decisions:
    return Decisions()


@pytest.fixture
def server(decisions: Decisions) -> Iterator[GateServer]:
    server = GateServer("127.0.0.1", 0, TOKEN, decisions.decide, decisions.news.append)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    decisions.wait.set()
    server.shutdown()
    thread.join()
    server.server_close()


def ask(
    server: GateServer, body: Any, token: str | None = TOKEN, **headers: str
) -> tuple[int, dict[str, Any]]:
    given = {} if token is None else {"Authorization": f"Bearer {token}"}
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    with closing(http.client.HTTPConnection(*server.server_address[:2], timeout=30)) as connection:
        connection.request("POST", "/ask", sent, {**given, **headers})
        with connection.getresponse() as answer:
            return answer.status, json.loads(answer.read())


def test_a_decision_is_told_with_its_reason(server):
    assert ask(server, {**BODY, "merge_source": "good"}) == (
        200,
        {"allowed": True, "reason": "it is good"},
    )
    assert ask(server, {**BODY, "merge_source": "bad"}) == (
        412,
        {"allowed": False, "reason": "it is bad"},
    )


def test_news_are_told_and_nothing_is_decided(server, decisions):
    assert ask(server, {**BODY, "event_type": "post-merge"})[0] == 200
    assert [asked.event for asked in decisions.news] == ["post-merge"]


@pytest.mark.parametrize("token", [None, "", "x", TOKEN + "x", TOKEN[:-1], "ü" * 20])
def test_who_has_not_the_token_is_told_nothing(server, decisions, token, caplog):
    headers = {"Authorization": f"Bearer {token}".encode()} if token == "ü" * 20 else {}
    status, said = ask(
        server, {**BODY, "merge_source": "good"}, None if headers else token, **headers
    )
    assert (status, said) == (401, {"allowed": False, "reason": "the token is wrong"})
    assert TOKEN not in caplog.text
    assert not decisions.news


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"\xff\xfe", 400),
        (b"{", 400),
        (b"[" * 100_000, 400),
        (b"null", 400),
        (b'{"event_type": "pre-merge"}', 400),
    ],
)
def test_garbage_is_a_no(server, body, status):
    assert ask(server, body)[0] == status


def test_too_large_a_body_is_a_no_before_it_is_read(server):
    with socket.create_connection(server.server_address[:2], timeout=30) as raw:
        raw.sendall(
            f"POST /ask HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"Content-Length: {LARGEST + 1}\r\n\r\n".encode()
        )
        assert b" 413 " in raw.recv(100)


@pytest.mark.parametrize("length", ["-1", "", "0x10", "١٢", "9" * 5000, "chunked"])
def test_a_body_of_no_length_is_a_no(server, length):
    said = (
        "Transfer-Encoding: chunked" if length == "chunked" else f"Content-Length: {length}"
    ).encode("utf-8")
    with socket.create_connection(server.server_address[:2], timeout=30) as raw:
        raw.sendall(
            b"POST /ask HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer "
            + TOKEN.encode() + b"\r\n" + said + b"\r\n\r\n"
        )  # fmt: skip
        assert raw.recv(100).split()[1] in {b"411", b"413"}


def test_a_body_that_is_cut_off_is_a_no(server):
    with socket.create_connection(server.server_address[:2], timeout=30) as raw:
        raw.sendall(
            f"POST /ask HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {TOKEN}\r\n"
            "Content-Length: 100\r\n\r\n{".encode()
        )
        raw.shutdown(socket.SHUT_WR)
        assert b" 400 " in raw.recv(100)


@pytest.mark.parametrize(("source", "status"), [("lost", 503), ("broken", 500)])
def test_who_cannot_look_says_no_and_no_more_than_that(server, source, status):
    code, said = ask(server, {**BODY, "merge_source": source})
    assert (code, said["allowed"]) == (status, False)
    assert "ValueError" not in said["reason"]


def test_a_caller_that_dawdles_is_hung_up_on(server, monkeypatch):
    """However small the pieces are in which it speaks, so that it holds no thread for ever."""
    monkeypatch.setattr(watch_http, "PATIENCE", 0.3)
    with socket.create_connection(server.server_address[:2], timeout=30) as raw:
        raw.sendall(b"POST /ask HTTP/1.1\r\n")
        answered = b""
        for letter in b"X-Header: " + b"x" * 200:
            try:
                raw.sendall(bytes([letter]))
                raw.settimeout(0.02)
                answered = raw.recv(1)
                break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            pytest.fail("it listened on")
        assert answered in {b"", b"H"}
    assert ask(server, {**BODY, "merge_source": "good"})[0] == 200


def test_of_too_many_at_once_some_are_refused_and_none_is_let_in_by_that(server, decisions):
    decisions.wait.clear()
    refused: list[int] = []

    def one(number: int) -> int:
        try:
            return ask(server, {**BODY, "merge_source": "bad"})[0]
        except (OSError, http.client.HTTPException):
            refused.append(number)
            if len(refused) == 20:
                decisions.wait.set()
            return 0

    with ThreadPoolExecutor(AT_ONCE + 20) as pool:
        statuses = list(pool.map(one, range(AT_ONCE + 20)))
    assert sorted(statuses) == [0] * 20 + [412] * AT_ONCE
    assert ask(server, {**BODY, "merge_source": "good"})[0] == 200


def test_it_tells_who_it_is_and_nothing_else(server):
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=30)
    connection.request("GET", "/health")
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())) == (200, {"name": "raypipe gate"})
    assert TOKEN not in str(answer.headers)
    connection.request("GET", "/ask")
    assert connection.getresponse().status == 404
    connection.close()


def test_a_taken_port_is_told(server):
    with pytest.raises(ClusterError, match="nothing can listen") as no:
        GateServer("127.0.0.1", server.server_address[1], TOKEN, lambda asked: None, print)
    assert "--listen" in str(no.value.hint)
