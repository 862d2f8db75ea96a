"""A gateway in this process, as its replicas hold it, and a way to ask it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from raypipe.app.look import look
from raypipe.app.routes import served
from raypipe.stages.serving.gateway import Gateway
from raypipe.store.segments import SegmentWriter


class Asked:
    """A gateway that is asked without a network: an ASGI application is a function."""

    def __init__(self, home: Path, gateway: Gateway, loop: asyncio.AbstractEventLoop) -> None:
        self.home = home
        self.gateway = gateway
        self.loop = loop
        self.headers: dict[str, str] = {}

    def configure(self, **changed: Any) -> None:
        """Tell it what the ledger of its home says."""
        models = {
            name: {
                "versions": dict(model.versions),
                "champion": model.champion,
                "shares": dict(model.shares),
            }
            for name, model in served(look(self.home), keep=3).items()
        }
        config = {"home": str(self.home), "models": models, **changed}
        self.loop.run_until_complete(self.gateway.configure(config))

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Return status and JSON (or text) of an answer; bytes are sent as they are."""
        return self.loop.run_until_complete(self._ask(method, path, body, headers))

    def ask_all(self, *asked: tuple[str, str, Any]) -> list[tuple[int, Any]]:
        """Ask as many clients would that ask at the same moment."""

        async def main() -> list[tuple[int, Any]]:
            return await asyncio.gather(*(self._ask(*one) for one in asked))

        return self.loop.run_until_complete(main())

    async def _ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        data = b"" if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": data, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": [(n.encode(), v.encode()) for n, v in (headers or {}).items()],
        }
        await self.gateway(scope, receive, send)
        start, answer = sent
        self.headers = {name.decode(): value.decode() for name, value in start["headers"]}
        text = answer["body"]
        kind = self.headers["content-type"]
        return start["status"], orjson.loads(text) if "json" in kind and text else text.decode()

    def predict(self, rows: list[dict[str, Any]], version: str = "", **more: Any) -> Any:
        """Ask for rows; they must be answered."""
        place = f"/versions/{version}" if version else ""
        status, answer = self.ask("POST", f"/v2/models/tiny{place}/predict", {"rows": rows, **more})
        assert status == 200, answer
        return answer


@contextmanager
def gateway_of(home: Path, **options: Any) -> Iterator[Asked]:
    """Have a gateway for a home in the body, told of what the ledger says."""
    writer = SegmentWriter(home / "requests", **options)
    loop = asyncio.new_event_loop()
    asked = Asked(home, Gateway(writer), loop)
    try:
        asked.configure()
        yield asked
    finally:
        writer.close()
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
