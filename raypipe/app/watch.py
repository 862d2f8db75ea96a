"""The watch: a gate that lakeFS asks, and an eye on branches whose commits begin runs."""

import contextlib
import ipaddress
import logging
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from raypipe.app.assemble import lakefs_named
from raypipe.app.gate import answer
from raypipe.app.gate_place import gate_token, gate_told
from raypipe.app.look import workshop_of
from raypipe.app.triggers import Eye, Watched
from raypipe.app.watch_http import GateServer
from raypipe.app.watch_tls import certificate
from raypipe.config.cycle import CycleConfig
from raypipe.config.load import load
from raypipe.config.store import StoreConfig
from raypipe.engine.records import Json
from raypipe.errors import UsageError

HOST, PORT = "127.0.0.1", 8422
EVERY = 10.0
"""Seconds between two looks at branches, where nobody tells of news."""

log = logging.getLogger("raypipe.watch")


@dataclass(frozen=True, kw_only=True)
class WatchRequest:
    """What a person asks of a watch."""

    configs: Sequence[Path] = ()
    """Settings files that a commit of their dataset's branch begins a run of."""
    listen: str = f"{HOST}:{PORT}"
    every: float = EVERY
    tls_cert: Path | None = None
    tls_key: Path | None = None
    """Left out where the certificate's file has it."""
    home: Path | None = None


def watch(request: WatchRequest, say: Callable[[Json], None]) -> None:
    """Answer lakeFS and look at branches until this process is interrupted.

    `say` is told when it is ready, and of each run that begins or ends.
    """
    host, port = read_address(request.listen)
    if math.isnan(request.every):  # waiting so long is not waiting at all
        raise UsageError("--every nan is no number of seconds", hint="write it so: --every 10")
    tls = certificate(request.tls_cert, request.tls_key)
    watched = [watched_of(file) for file in request.configs]
    workshop = workshop_of(
        request.home,
        near=request.configs[0] if request.configs else None,
        store=_store_of([one.config for one in watched]),
    )
    eye = Eye(workshop, watched, say)
    token = gate_token(workshop.paths)
    server = GateServer(host, port, token, lambda asked: answer(workshop, asked), eye.wake, tls)
    if tls is None and not _is_of_this_machine(host):
        log.warning("%s is reached from elsewhere, unencrypted: give it --tls-cert", server.url)
    with _listening(server), gate_told(workshop.paths, server.url):
        say({"event": "ready", "gate": server.url, "watches": eye.named()})
        with contextlib.suppress(KeyboardInterrupt):  # how it is ended
            eye.look_on(request.every)
    eye.end()


def _store_of(configs: Sequence[CycleConfig]) -> StoreConfig | None:
    """Return what settings say of home and lakeFS; UsageError where they say two things."""
    places = {lakefs_named(one.store): one.store for one in configs}
    without = places.pop(None, None)
    if len(places) > 1:
        raise UsageError(
            "the settings files name more than one lakeFS server, and a watch asks one",
            hint="start a watch for each, each with a home of its own",
        )
    return next(iter(places.values()), without)


def read_address(text: str) -> tuple[str, int]:
    """Read `HOST:PORT`; UsageError where it is none."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535 or not host:
        raise UsageError(
            f"--listen {text!r} is no HOST:PORT", hint=f"write it so: --listen {HOST}:{PORT}"
        )
    return host.strip("[]"), int(port)


def _is_of_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def watched_of(file: Path) -> Watched:
    """Return what of a settings file is watched; SettingsError where it cannot be read."""
    return Watched(file=file.absolute(), config=load(file))


@contextlib.contextmanager
def _listening(server: GateServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, name="raypipe-gate", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
