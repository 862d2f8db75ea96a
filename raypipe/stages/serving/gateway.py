"""The gateway: one ASGI application that speaks for all models of a home. It knows no Ray."""

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from importlib.metadata import version as version_of
from pathlib import Path
from random import Random
from typing import Any, Literal, Protocol
from urllib.parse import unquote

import orjson

from raypipe.errors import RaypipeError, StoreError, UsageError
from raypipe.stages.serving import labels, oip
from raypipe.stages.serving.asked import Asked, kind_of
from raypipe.stages.serving.counters import Counters
from raypipe.stages.serving.route import Route
from raypipe.stages.serving.served import Answer, Served, load
from raypipe.stages.serving.together import Together

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Via = Literal["infer", "predict"]

IN_A_THREAD = 256
"""Rows from which a request is answered in a thread, so that small ones need not wait for it."""
JSON = b"application/json"
VERSION = version_of("raypipe")
ACTIONS = {"infer", "predict", "feedback", "ready"}


class Log(Protocol):
    """Where requests are kept."""

    records: int
    """Records that were kept."""
    size: int
    """Bytes of them."""

    def append(self, body: bytes) -> None:
        """Keep a record; StoreError if it cannot be."""
        ...


class Refused(Exception):
    """A request that gets an error for an answer."""

    def __init__(self, status: int, said: str, **headers: str) -> None:
        super().__init__(said)
        self.status = status
        self.headers = headers


@dataclass(frozen=True, kw_only=True)
class Model:
    """The versions of one model, and how requests are divided among them."""

    name: str
    versions: Mapping[str, Served]
    together: Mapping[str, Together]
    """Version to what answers requests of a few rows."""
    digests: Mapping[str, str]
    """Version to the digest of its bundle."""
    champion: str | None
    route: Route


@dataclass
class Request:
    """One HTTP request, and what is known of it so far."""

    method: str
    path: tuple[str, ...]
    headers: Mapping[bytes, bytes]
    id: str
    started: float
    model: str = ""
    version: str = ""
    via: str = ""
    rows: int = 0
    answer: dict[str, str] = field(default_factory=dict)
    """Headers of the answer."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What is sent back."""

    body: bytes
    status: int = 200
    kind: bytes = JSON


class Gateway:
    """Answers requests with the versions that it was told of, and keeps each in the log."""

    def __init__(self, writer: Log | None) -> None:
        self._log = writer
        self._models: dict[str, Model] = {}
        self._ready = False
        self._largest = 4 << 20
        self._counters = Counters()
        self._changing = asyncio.Lock()

    # --- what it serves -------------------------------------------------------------------------

    async def configure(self, config: Mapping[str, Any]) -> None:
        """Take up versions and routes; those under way are answered by what they began with.

        A RaypipeError that names the version where one cannot be loaded; then nothing changes.
        """
        async with self._changing:
            models = await asyncio.to_thread(self._load, config)
            self._largest = int(config.get("largest_body", self._largest))
            self._models, self._ready = models, True

    def _load(self, config: Mapping[str, Any]) -> dict[str, Model]:
        artifacts = _artifacts(Path(config["home"]))
        return {
            name: _model(name, told, self._models.get(name), artifacts)
            for name, told in config["models"].items()
        }

    # --- HTTP -----------------------------------------------------------------------------------

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever it is, the answer is JSON with the right status."""
        if scope["type"] != "http":
            await _no_http(scope, receive, send)
            return
        request = Request(
            method=scope["method"],
            path=tuple(part for part in scope["path"].split("/") if part),
            headers=dict(scope["headers"]),
            id=new_id(),
            started=time.perf_counter(),
        )
        try:
            reply = await self._answer(request, receive)
        except Refused as refused:
            request.answer |= refused.headers
            reply = self._refuse(request, refused.status, str(refused))
        except Exception as error:
            said = f"the gateway failed: {type(error).__name__}; its log says more"
            reply = self._refuse(request, 500, said)
            _complain(error)
        if request.via:
            seconds = time.perf_counter() - request.started
            self._counters.count(
                request.model, request.version, request.via, reply.status, seconds, request.rows
            )
        await _send(send, request, reply)

    async def _answer(self, request: Request, receive: Receive) -> Reply:
        match request.path:
            case ("v2", "models", name):
                return self._metadata(request, name, None)
            case ("v2", "models", name, action) if action in ACTIONS:
                return await self._act(request, receive, unquote(name), None, action)
            case ("v2", "models", name, "versions", version):
                return self._metadata(request, name, version)
            case ("v2", "models", name, "versions", version, action) if action in ACTIONS:
                return await self._act(request, receive, unquote(name), unquote(version), action)
            case _:
                return self._about(request)

    async def _act(
        self, request: Request, receive: Receive, name: str, version: str | None, action: str
    ) -> Reply:
        model = self._model(name)
        if action == "ready":
            _require(request, "GET")
            ready = bool(self._version(model, version) if version else model.route.shares)
            return _json({"name": name, "ready": ready}, 200 if ready else 503)
        _require(request, "POST")
        request.model, request.via = name, action
        body = await self._body(request, receive)
        if action == "feedback":
            return self._keep_labels(request, model, version, body)
        return await self._predictions(request, model, version, action, body)

    # --- answering ------------------------------------------------------------------------------

    async def _predictions(
        self, request: Request, model: Model, version: str | None, via: str, body: Any
    ) -> Reply:
        try:
            asked = oip.read(body) if via == "infer" else None
            rows, client, unit = (asked.columns, asked.id, asked.unit) if asked else _plain(body)
        except UsageError as error:
            raise Refused(400, _sentence(error)) from None
        unit = _unit(request) or unit
        if version is None:
            if not model.route.shares:
                raise _none_served(model)
            chosen, share = model.route.choose(unit or request.id)
        else:
            chosen, share = _resolved(model, version), 1.0
        served = self._version(model, chosen)
        request.version = chosen
        try:
            if asked is not None:
                given = served.reading.columns(asked.columns, asked.rows)
            else:
                given = served.reading.rows(rows)
        except UsageError as error:
            raise Refused(400, _sentence(error)) from None
        answer = await self._ask(model, chosen, given)
        try:
            outputs = oip.chosen(answer.outputs, asked.outputs) if asked else answer.outputs
        except UsageError as error:
            raise Refused(400, _sentence(error)) from None
        request.rows = given.rows
        how = {"share": share, "pinned": version is not None, "unit": unit, "client_id": client}
        self._keep(_record(request, given, answer, how))
        request.answer["raypipe-request-id"] = request.id
        if asked is not None:
            return _json(_infer_answer(request, model.name, served, outputs, answer, client))
        return _json(_predict_answer(request, model.name, answer, client))

    async def _ask(self, model: Model, version: str, given: Asked) -> Answer:
        try:
            if given.rows < IN_A_THREAD:
                return await model.together[version].answer(given)
            return await asyncio.to_thread(model.versions[version].answer, given)
        except UsageError as error:
            raise Refused(400, _sentence(error)) from None
        except Exception as error:
            _complain(error)
            raise Refused(
                500,
                f"{model.name} {version} failed on these rows: {type(error).__name__}; "
                "the gateway's log says more",
            ) from error

    def _keep_labels(self, request: Request, model: Model, version: str | None, body: Any) -> Reply:
        if version is not None:
            raise Refused(404, "feedback goes to the model: POST /v2/models/MODEL/feedback")
        newest = next(iter(model.versions.values()), None)
        label = newest.loaded.signature.label if newest else None
        try:
            records = labels.read(body, model.name, label, new_id, time.time())
        except UsageError as error:
            raise Refused(400, _sentence(error)) from None
        for record in records:
            self._keep(record)
        return _json({"model": model.name, "kept": len(records)}, status=202)

    def _keep(self, record: dict[str, Any]) -> None:
        """Keep a record before its answer leaves; what cannot be kept is not answered."""
        if self._log is None:
            return
        try:
            self._log.append(orjson.dumps(record))
        except StoreError as error:
            said = f"not answered, since it could not be kept: {error}"
            raise Refused(503, said, **{"retry-after": "5"}) from error

    def _refuse(self, request: Request, status: int, said: str) -> Reply:
        if request.via:
            failed = {
                "kind": "error",
                "id": request.id,
                "time": time.time(),
                "model": request.model,
                "version": request.version or None,
                "via": request.via,
                "status": status,
                "error": said,
            }
            with contextlib.suppress(Refused):  # a log that is full: that is what is said already
                self._keep(failed)
        return _json({"error": said}, status=status)

    # --- about models ---------------------------------------------------------------------------

    def _model(self, name: str) -> Model:
        if not self._ready:
            raise Refused(503, "the gateway is not ready yet", **{"retry-after": "1"})
        model = self._models.get(name)
        if model is None:
            there = ", ".join(sorted(self._models)) or "none yet"
            raise Refused(404, f"there is no model {_short(name)}; there is {there}")
        return model

    def _version(self, model: Model, version: str) -> Served:
        served = model.versions.get(_resolved(model, version))
        if served is None:
            there = ", ".join(model.versions) or "none"
            raise Refused(
                404, f"{model.name} has no version {_short(version)} here; served are {there}"
            )
        return served

    def _metadata(self, request: Request, name: str, version: str | None) -> Reply:
        _require(request, "GET")
        model = self._model(unquote(name))
        wanted = unquote(version) if version else next(iter(model.route.shares), model.champion)
        if wanted is None:
            raise _none_served(model)
        served = self._version(model, wanted)
        about = oip.metadata(
            model.name,
            served.loaded.version,
            list(model.versions),
            served.loaded.signature,
            served.datatypes,
        )
        return _json({**about, "route": dict(model.route.shares), "champion": model.champion})

    def _about(self, request: Request) -> Reply:
        match request.path:
            case () | ("v2",):
                _require(request, "GET")
                return _json(self._server())
            case ("v2", "health", "live"):
                _require(request, "GET")
                return _json({"live": True})
            case ("v2", "health", "ready"):
                _require(request, "GET")
                return _json({"live": True, "ready": self._ready}, 200 if self._ready else 503)
            case ("metrics",):
                _require(request, "GET")
                log = self._log
                text = self._counters.text(log.records if log else 0, log.size if log else 0)
                return Reply(body=text.encode(), kind=b"text/plain; version=0.0.4")
            case ("openapi.json",):
                _require(request, "GET")
                return _json(self._openapi())
            case ("docs",):
                from raypipe.stages.serving.openapi import page

                _require(request, "GET")
                text = page(self._openapi())
                return Reply(body=text.encode(), kind=b"text/html; charset=utf-8")
            case _:
                path = _short("/" + "/".join(request.path))
                raise Refused(404, f"there is nothing at {path}; GET /docs says what there is")

    def _server(self) -> dict[str, Any]:
        return {
            "name": "raypipe",
            "version": VERSION,
            "extensions": [],
            "pid": os.getpid(),
            "models": {
                name: {"versions": list(model.versions), "route": dict(model.route.shares)}
                for name, model in self._models.items()
            },
        }

    def _openapi(self) -> dict[str, Any]:
        from raypipe.stages.serving.openapi import document

        shown = {
            name: {v: served.loaded.signature for v, served in model.versions.items()}
            for name, model in self._models.items()
        }
        return document(shown, VERSION)

    # --- bodies ---------------------------------------------------------------------------------

    async def _body(self, request: Request, receive: Receive) -> Any:
        """Read the JSON of a request, no more of it than is allowed."""
        headers = request.headers
        if headers.get(b"content-encoding", b"identity") not in (b"identity", b""):
            raise Refused(415, "the body is encoded; send it as it is, without content-encoding")
        if b"inference-header-content-length" in headers:
            raise Refused(400, "binary tensors are not spoken here; send the data as JSON")
        told = headers.get(b"content-length", b"0")
        if told.isdigit() and int(told) > self._largest:
            raise self._too_large(int(told))
        parts, size = [], 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Refused(400, "the client went away before its request was whole")
            part = message.get("body", b"")
            size += len(part)
            if size > self._largest:
                raise self._too_large(size)
            parts.append(part)
            if not message.get("more_body"):
                break
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        if not data.strip():
            raise Refused(400, "the request has no body; GET /docs shows what to send")
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise Refused(400, f"the body is no JSON: {error}") from None

    def _too_large(self, size: int) -> Refused:
        return Refused(
            413,
            f"the request has {size:,} bytes or more; the most are {self._largest:,} "
            "(serving.largest_body): send fewer rows at once",
        )


# --- loading ------------------------------------------------------------------------------------


def _artifacts(home: Path) -> Callable[[str], Path]:
    from raypipe.store.artifacts import open_artifacts

    return open_artifacts(home).path


def _model(
    name: str, told: Mapping[str, Any], before: Model | None, artifacts: Callable[[str], Path]
) -> Model:
    versions: dict[str, Served] = {}
    for version, digest in told["versions"].items():
        if before is not None and before.digests.get(version) == digest:
            versions[version] = before.versions[version]
            continue
        try:
            versions[version] = load(artifacts(digest), artifacts)
        except Exception as error:
            hint = getattr(error, "hint", None)
            said = (
                str(error)
                if isinstance(error, RaypipeError)
                else f"{type(error).__name__}: {error}"
            )
            raise StoreError(f"{name} {version} cannot be loaded: {said}", hint=hint) from error
    shares = dict(told.get("shares") or {})
    champion = told.get("champion")
    if not shares and (champion or versions):
        shares = {champion or next(iter(versions)): 1.0}
    if lost := [version for version in shares if version not in versions]:
        raise StoreError(f"the route of {name} names {lost[0]}, which is not served")
    return Model(
        name=name,
        versions=versions,
        together={version: Together(served) for version, served in versions.items()},
        digests=dict(told["versions"]),
        champion=champion,
        route=Route(model=name, shares=shares),
    )


# --- small parts --------------------------------------------------------------------------------


_newest = [0]
_random = Random()  # of its own, which no code of a user's seeds
os.register_at_fork(after_in_child=_random.seed)


def new_id() -> str:
    """Return an id of 32 hexadecimal digits; those of a process sort as they were made."""
    _newest[0] = max(_newest[0] + 1, time.time_ns())
    return f"{_newest[0]:016x}{_random.getrandbits(64):016x}"


def _plain(body: Any) -> tuple[Any, str | None, str | None]:
    """Read a request as a person writes it: rows, and perhaps an id and a unit."""
    if type(body) is list:
        return body, None, None
    if type(body) is not dict:
        raise UsageError(f'the request is {kind_of(body)}; it must be an object with "rows"')
    if "rows" not in body:
        raise UsageError('the request has no "rows"; send {"rows": [{"feature": value, …}]}')
    if others := sorted(set(body) - {"rows", "id", "unit"}):
        raise UsageError(f'beside "rows", "id" and "unit" the request has {_short(others[0])}')
    return body["rows"], oip.text_of(body, "id"), oip.text_of(body, "unit")


def _resolved(model: Model, version: str) -> str:
    return model.champion if version == "champion" and model.champion else version


def _none_served(model: Model) -> Refused:
    return Refused(404, f"{model.name} has no version that is served")


def _unit(request: Request) -> str | None:
    given = request.headers.get(b"raypipe-unit")
    return given.decode("latin-1")[:256] if given else None


def _record(
    request: Request, given: Asked, answer: Answer, how: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "kind": "request",
        "id": request.id,
        "time": time.time(),
        "model": request.model,
        "version": request.version,
        "via": request.via,
        "ms": round((time.perf_counter() - request.started) * 1000, 3),
        "rows": given.rows,
        "columns": given.columns,
        "outputs": answer.outputs,
        "unseen": answer.unseen,
        **how,
    }


def _infer_answer(
    request: Request,
    model: str,
    served: Served,
    outputs: Mapping[str, Any],
    answer: Answer,
    client: str | None,
) -> dict[str, Any]:
    parameters: dict[str, Any] = {"request_id": request.id}
    if answer.unseen:
        parameters["unseen"] = ",".join(answer.unseen)
    return {
        "model_name": model,
        "model_version": request.version,
        "id": client or request.id,
        "parameters": parameters,
        "outputs": oip.tensors(outputs, served.datatypes, request.rows),
    }


def _predict_answer(
    request: Request, model: str, answer: Answer, client: str | None
) -> dict[str, Any]:
    names = list(answer.outputs)
    rows = zip(*answer.outputs.values(), strict=True)
    said: dict[str, Any] = {
        "model": model,
        "version": request.version,
        "id": client or request.id,
        "request_id": request.id,
        "predictions": [dict(zip(names, row, strict=True)) for row in rows],
    }
    if answer.unseen:
        said["unseen"] = answer.unseen
    return said


def _require(request: Request, method: str) -> None:
    if request.method != method and not (method == "GET" and request.method == "HEAD"):
        raise Refused(405, f"{request.method} does not work here; use {method}", allow=method)


def _sentence(error: RaypipeError) -> str:
    return f"{error}. {error.hint}" if error.hint else str(error)


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:59] + "…")


def _json(data: Any, status: int = 200) -> Reply:
    return Reply(body=orjson.dumps(data), status=status)


async def _send(send: Send, request: Request, reply: Reply) -> None:
    body = b"" if request.method == "HEAD" else reply.body
    headers = [
        (b"content-type", reply.kind),
        (b"content-length", str(len(reply.body)).encode()),
        *((name.encode(), value.encode()) for name, value in request.answer.items()),
    ]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _no_http(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer what is no request: an ASGI server's start and end, or a websocket."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await send({"type": "websocket.close", "code": 1003})


def _complain(error: BaseException) -> None:
    """Write a failure to the gateway's own log, with its traceback."""
    import logging

    logging.getLogger("raypipe.serving").error("a request failed", exc_info=error)
