"""Who notices are posted to: a server of a test's own, which fails as it is told to."""

import json
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any


class Receiver:
    """What was posted, and how the next posts are answered."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/hook/secret-path"
        self.answers: deque[int | str] = deque()
        """A status, `drop` (it is taken, and not answered) or `hang`; then 200."""
        self.posts: list[tuple[str, Any]] = []
        """Each post with its idempotency key, repeated ones too."""
        self.taking: Callable[[], None] = lambda: None
        """Called when a post was taken, before it is answered."""
        self.over = Event()

    @property
    def taken(self) -> dict[str, Any]:
        """What was taken: a key that came before is the same thing again."""
        return dict(self.posts)

    @property
    def events(self) -> list[str]:
        return [body["event"] for body in self.taken.values()]


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Have a receiver in the body."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"]))
            answer = made.answers.popleft() if made.answers else 200
            if answer in {200, "drop"}:
                made.posts.append((self.headers["Idempotency-Key"], json.loads(text)))
                made.taking()
            if answer == "hang":
                made.over.wait(60)
            if isinstance(answer, int):
                self.send_response(answer)
                self.send_header("Content-Length", "0")
                self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = Receiver(server.server_address[1])
        thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield made
        finally:
            made.over.set()
            server.shutdown()
            thread.join()
