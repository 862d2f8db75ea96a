"""Where a home's ledger is: in a file of its own, or in the Postgres that it was bound to."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from raypipe.errors import StoreError, UsageError
from raypipe.store.content import replace_file
from raypipe.store.faults import disk_faults
from raypipe.store.paths import HomePaths
from raypipe.store.postgres_url import PostgresUrl, parse

VARIABLE = "RAYPIPE_LEDGER"
"""Which ledger a home has if no settings say so: postgresql://USER:PASSWORD@HOST/DATABASE."""
_WHERE = ("host", "hostaddr", "port", "dbname", "service", "options")


@dataclass(frozen=True, kw_only=True)
class LedgerPlace:
    """A database, without its password."""

    url: str
    password: str | None = None
    """Name of the environment variable that holds it; None: what libpq finds by itself."""


def ledger_of(paths: HomePaths, place: LedgerPlace | None, *, write: bool) -> Path | PostgresUrl:
    """Return where a home's ledger is; `place` is what settings say.

    A home keeps the ledger that it was first written with. With `write` it is bound to one.
    """
    before, named = bound(paths), os.environ.get(VARIABLE)
    asked = place or (LedgerPlace(url=parse(named).shown) if named else None)
    if asked is None and before is None:
        return paths.ledger
    if asked is not None and (before is not None or paths.ledger.exists()):
        _require_same(paths, before, asked)
    found = place or before or asked
    assert found is not None
    if write and found != before:
        _bind(paths, found)
    return parse(found.url, _password(found, named))


def bound(paths: HomePaths) -> LedgerPlace | None:
    """Return the ledger that a home is bound to; None: a file of its own, or none yet."""
    try:
        return LedgerPlace(**json.loads(paths.bound_ledger.read_text()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError) as error:
        raise StoreError(
            f"{str(paths.bound_ledger)!r}, which says where the ledger is, cannot be read: {error}",
            hint="restore it from a copy, or remove it and name the ledger in store.ledger",
        ) from error


def _bind(paths: HomePaths, place: LedgerPlace) -> None:
    file = paths.bound_ledger
    with disk_faults(f"{str(file)!r} cannot be written"):
        replace_file(file, json.dumps(asdict(place), indent=1))


def _require_same(paths: HomePaths, before: LedgerPlace | None, asked: LedgerPlace) -> None:
    """Raise UsageError where a home has another ledger; how it is reached may change."""
    if before is not None and _identity(before.url) == _identity(asked.url):
        return
    has = str(paths.ledger) if before is None else before.url
    raise UsageError(
        f"the home {str(paths.home)!r} has its ledger in {has}, not in {asked.url}",
        hint="choose another home with --home, or set store.ledger to what it has",
    )


def _identity(url: str) -> tuple[object, ...]:
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    where = parts.netloc.rpartition("@")[2].removesuffix(":5432")
    return (where, parts.path, *(query.get(name) for name in _WHERE))


def _password(place: LedgerPlace, named: str | None) -> str | None:
    if place.password is not None:
        if not os.environ.get(place.password):
            raise StoreError(
                f"the environment variable {place.password} is not set, which store names for the "
                "ledger's password",
                hint=f"set {place.password}, or let libpq find it: PGPASSWORD, ~/.pgpass",
            )
        return os.environ[place.password]
    return parse(named).secrets.get("password") if named else None
