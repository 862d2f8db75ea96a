"""The endpoint that lakeFS asks: what comes is bounded, and whatever is wrong with it is a no."""

import hmac
import json
import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import BoundedSemaphore, Timer
from typing import Any

from raypipe.app.gate import Answer, Asked, read_asked
from raypipe.app.watch_tls import Certificate
from raypipe.errors import ClusterError, RaypipeError, UsageError

LARGEST = 1 << 20
"""Bytes of a request's body: metadata of a commit, which lakeFS sends along, may be long."""
PATIENCE = 10.0
"""Seconds that a caller has to say what it wants, however little of it comes at a time."""
AT_ONCE = 64
"""Callers at the same time; more are hung up on, which is a no."""
NAME = "raypipe gate"

log = logging.getLogger("raypipe.watch")


class GateServer(ThreadingHTTPServer):
    """Listens for lakeFS; each request is a thread, of which there are not many at once."""

    daemon_threads = True
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(
        self,
        host: str,
        port: int,
        token: str,
        decide: Callable[[Asked], Answer],
        news: Callable[[Asked], None],
        tls: Certificate | None = None,
    ) -> None:
        self.token = token
        self.tls = tls
        self.decide = decide
        self.news = news
        self.room = BoundedSemaphore(AT_ONCE)
        if ":" in host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            raise ClusterError(
                f"nothing can listen at {host}, port {port}: "
                f"{getattr(error, 'strerror', None) or error}",
                hint="choose another with --listen HOST:PORT",
            ) from error

    @property
    def url(self) -> str:
        """Where it is asked from this machine."""
        host, port = self.server_address[:2]
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(str(host), str(host))
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self.room.acquire(blocking=False):
            log.warning(
                "more than %d ask at once: one of %s is refused", AT_ONCE, client_address[0]
            )
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread to be had
            self.room.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of callers that went away."""


class _Handler(BaseHTTPRequestHandler):
    server: GateServer
    timeout = PATIENCE
    server_version = NAME
    sys_version = ""

    def do_GET(self) -> None:
        self._say(200 if self.path == "/health" else 404, {"name": NAME})

    def setup(self) -> None:
        if self.server.tls is not None:
            self.request = self._encrypted(self.server.tls)
        super().setup()
        self.hang_up = Timer(PATIENCE, _end, [self.connection])
        self.hang_up.daemon = True
        self.hang_up.start()

    def _encrypted(self, tls: Certificate) -> ssl.SSLSocket:
        try:
            return tls.wrapped(self.request)
        except OSError as error:
            log.error("the certificate cannot be used, so that nobody can ask: %s", error)
            raise

    def handle(self) -> None:
        if isinstance(self.request, ssl.SSLSocket):
            try:
                self.request.do_handshake()
            except OSError as error:
                log.warning("a caller of %s is not understood: %s", self.client_address[0], error)
                return
        super().handle()

    def finish(self) -> None:
        self.hang_up.cancel()
        super().finish()
        if self.server.tls is not None:  # what the server knows is not connected any more
            self.server.shutdown_request(self.request)

    def do_POST(self) -> None:
        given = self.headers.get("Authorization", "")
        wanted = f"Bearer {self.server.token}"
        if not hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode()):
            log.warning("a request of %s has a wrong token", self.client_address[0])
            self._say(401, {"allowed": False, "reason": "the token is wrong"})
            return
        body = self._body()
        if body is None:
            return
        try:
            asked = read_asked(_parsed(body))
        except UsageError as error:
            log.warning("a request of %s is refused: %s", self.client_address[0], error)
            self._say(400, {"allowed": False, "reason": str(error)})
            return
        if asked.is_news:
            self.server.news(asked)
            self._say(200, {"told": True})
            return
        self._decide(asked)

    def _decide(self, asked: Asked) -> None:
        what = (
            f"{asked.event} of {asked.source or 'what is there'} into {asked.repo}/{asked.branch}"
        )
        try:
            answer = self.server.decide(asked)
        except RaypipeError as error:
            log.error("%s is refused, for nobody can look: %s", what, error)
            self._say(503, {"allowed": False, "reason": str(error)})
            return
        except Exception:
            log.exception("%s is refused, for looking failed", what)
            self._say(500, {"allowed": False, "reason": "a fault of raypipe's own"})
            return
        log.info("%s is %s: %s", what, "let in" if answer.allowed else "refused", answer.reason)
        self._say(
            200 if answer.allowed else 412, {"allowed": answer.allowed, "reason": answer.reason}
        )

    def _body(self) -> bytes | None:
        """Return what was sent; None where it was refused for its size."""
        told = self.headers.get("Content-Length", "")
        if not (told.isascii() and told.isdecimal()):
            self._say(411, {"allowed": False, "reason": "the request does not say how long it is"})
            return None
        if len(told) > 10 or int(told) > LARGEST:
            self._say(413, {"allowed": False, "reason": f"more than {LARGEST} bytes"})
            return None
        body = self.rfile.read(int(told))
        self.hang_up.cancel()
        if len(body) < int(told):
            self._say(400, {"allowed": False, "reason": "the request was cut off"})
            return None
        return body

    def _say(self, status: int, told: dict[str, Any]) -> None:
        text = json.dumps(told).encode()
        self.close_connection = True  # what is left of a refused body is not read
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing: what a request came to is logged where it is decided."""


def _end(connection: socket.socket) -> None:
    with suppress(OSError):  # it is closed already
        connection.shutdown(socket.SHUT_RDWR)


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise UsageError("the request is no JSON") from None
