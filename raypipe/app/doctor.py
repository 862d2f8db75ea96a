"""Whether everything that raypipe needs is there and whole."""

import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from raypipe.app.assemble import Workshop
from raypipe.app.look import look
from raypipe.engine.plan import LOST
from raypipe.errors import RaypipeError, StoreError
from raypipe.store.ledger import SqlLedger
from raypipe.store.ledger_place import ledger_of
from raypipe.store.segments import being_read
from raypipe.store.segments import reading as segments
from raypipe.values.words import amount

NEEDED = ("ray", "torch", "pyarrow", "pydantic", "safetensors", "altair", "vl-convert-python")


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool
    detail: str


def doctor(home: Path | None) -> list[Check]:
    """Look at Python, the packages, the home, the ledger, temporary and shared memory."""
    return [
        Check(name="python", ok=sys.version_info >= (3, 11), detail=platform.python_version()),
        *(_package(name) for name in NEEDED),
        _clean_environment(),
        _examined("home", lambda: str(look(home).paths.home)),
        _examined("ledger", lambda: amount(len(look(home).ledger.list_runs(limit=1000)), "run")),
        _space("temporary folder", Path(os.environ.get("TMPDIR", "/tmp"))),
        _space("shared memory", Path("/dev/shm")),
    ]


def verify(home: Path | None) -> list[Check]:
    """Read every artifact of the home and its request log, and say what is not what it was.

    Results with an artifact that is torn or gone go out of use, so that the next run makes them
    anew.
    """
    workshop = look(home)
    artifacts = workshop.artifacts
    live = workshop.ledger.live_artifacts()  # before the look: what is recorded later is there
    found = set(artifacts.list())
    torn = {digest for digest in found if not artifacts.verify(digest)}
    gone = live - found
    lost = [(digest, "torn") for digest in sorted(torn)] + [(d, "gone") for d in sorted(gone)]
    checks = [
        Check(
            name=f"artifact {digest[:12]}",
            ok=False,
            detail=f"{how}: {_give_up(workshop, digest, how)}",
        )
        for digest, how in lost
    ]
    checks = checks or [Check(name="artifacts", ok=True, detail=f"{len(found):,}, all whole")]
    return [*checks, *_request_log(workshop.paths.requests)]


def _give_up(workshop: Workshop, digest: str, how: str) -> str:
    """Take the results that an artifact is a part of out of use; return what follows."""
    keys = workshop.ledger.live_keys(digest)
    if not keys:
        return "no live result needs it"
    try:
        ledger = SqlLedger.open(ledger_of(workshop.paths, None, write=True))
        for key in keys:
            ledger.supersede(key, f"{LOST}: {how}, as `raypipe doctor --verify` found")
    except StoreError as error:
        return f"its result is still in use: {error}"
    return "the next run makes it anew"


def _request_log(folder: Path) -> list[Check]:
    if not folder.is_dir():
        return []
    with being_read(folder):
        found = [segments.verify(one) for one in segments.inspect(folder)]
    detail = f"{sum(one.segment.records for one in found):,} records"
    whole = all(one.is_whole for one in found)
    damaged = "damaged: `raypipe requests audit` says what is missing"
    return [Check(name="request log", ok=whole, detail=detail if whole else damaged)]


def _package(name: str) -> Check:
    try:
        return Check(name=name, ok=True, detail=version(name))
    except PackageNotFoundError:
        return Check(name=name, ok=False, detail="missing: install raypipe again")


def _clean_environment() -> Check:
    slow = importlib.util.find_spec("rfc3987_syntax") is not None
    detail = "rfc3987_syntax is installed: it triples the start of every Ray process; uninstall it"
    return Check(name="quick Ray start", ok=not slow, detail=detail if slow else "yes")


def _examined(name: str, look_at: Callable[[], str]) -> Check:
    try:
        return Check(name=name, ok=True, detail=look_at())
    except RaypipeError as error:
        return Check(name=name, ok=False, detail=str(error))


def _space(name: str, folder: Path, needed: int = 2**30) -> Check:
    if not folder.is_dir():
        return Check(name=name, ok=False, detail=f"{folder} is missing")
    free = shutil.disk_usage(folder).free
    return Check(name=name, ok=free >= needed, detail=f"{free / 2**30:.1f} GiB free in {folder}")
