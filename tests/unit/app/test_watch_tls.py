"""The gate behind a certificate answers those alone who trust it, and hangs for nobody."""

import http.client
import json
import shutil
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from raypipe.app import watch_http
from raypipe.app.gate import Answer
from raypipe.app.watch_http import GateServer
from raypipe.app.watch_tls import Certificate, certificate
from raypipe.errors import UsageError
from tests.certificates import write_certificate

TOKEN = "t" * 40
BODY = {"event_type": "pre-merge", "repository_id": "flights", "branch_id": "main"}


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return write_certificate(tmp_path)


@pytest.fixture
def server(files) -> Iterator[GateServer]:
    tls = Certificate(cert=files[0], key=files[1])
    server = GateServer(
        "127.0.0.1", 0, TOKEN, lambda asked: Answer(allowed=True, reason="good"), print, tls
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def ask(server: GateServer, trusted: Path) -> tuple[int, str]:
    context = ssl.create_default_context(cafile=trusted)
    with closing(
        http.client.HTTPSConnection(*server.server_address[:2], timeout=30, context=context)
    ) as connection:
        given = {"Authorization": f"Bearer {TOKEN}"}
        connection.request("POST", "/ask", json.dumps(BODY), given)
        with connection.getresponse() as answer:
            return answer.status, json.loads(answer.read())["reason"]


def test_who_trusts_the_certificate_is_answered(server, files):
    assert server.url.startswith("https://127.0.0.1:")
    assert ask(server, files[0]) == (200, "good")


def test_who_does_not_trust_it_is_not(server, files, tmp_path):
    (tmp_path / "other").mkdir()
    other, _ = write_certificate(tmp_path / "other")
    with pytest.raises(ssl.SSLCertVerificationError):
        ask(server, other)
    assert ask(server, files[0]) == (200, "good")


def test_what_is_said_in_the_clear_is_not_answered(server, files):
    with socket.create_connection(server.server_address[:2], timeout=30) as raw:
        raw.sendall(f"POST /ask HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
        assert b"HTTP/" not in raw.recv(100)
    assert ask(server, files[0]) == (200, "good")


def test_a_caller_that_says_nothing_keeps_nobody_else_and_is_hung_up_on(server, files, monkeypatch):
    with socket.create_connection(server.server_address[:2], timeout=30):
        assert ask(server, files[0]) == (200, "good")
    monkeypatch.setattr(watch_http, "PATIENCE", 0.3)
    with socket.create_connection(server.server_address[:2], timeout=30) as raw:
        assert raw.recv(1) == b""


def test_a_renewed_certificate_counts_at_once(server, files, tmp_path):
    (tmp_path / "new").mkdir()
    renewed = write_certificate(tmp_path / "new")
    files[1].write_text("torn")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        ask(server, files[0])
    for old, new in zip(files, renewed, strict=True):
        shutil.copy(new, old)
    assert ask(server, renewed[0]) == (200, "good")


def test_a_certificate_and_its_key_may_be_one_file(files, tmp_path):
    both = tmp_path / "both.pem"
    both.write_text(files[0].read_text() + files[1].read_text())
    assert certificate(both, None) == Certificate(cert=both)
    assert certificate(None, None) is None


def test_a_certificate_that_is_none_is_told(files, tmp_path):
    (tmp_path / "other").mkdir()
    _, hidden = write_certificate(tmp_path / "other", passphrase=b"secret")
    (tmp_path / "torn.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    for cert, key in (
        (tmp_path / "nowhere.pem", files[1]),
        (tmp_path / "torn.pem", files[1]),
        (files[0], tmp_path),
        (files[0], hidden),
        (files[0], None),
        (None, files[1]),
    ):
        with pytest.raises(UsageError) as no:
            certificate(cert, key)
        assert no.value.hint
