"""Claims in a ledger that several hosts share: while one makes a result, others wait for it.

A claim is a row, named by its key and its holder; so is a beat, which the holder moves. Each act is
one transaction that is alone with its key, and takes over no row but the one that was looked at: a
holder who wakes up late finds his gone, and lets go of nothing else.
"""

import json
import os
import random
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Literal

from raypipe.engine.ports import Claim, Claims
from raypipe.errors import StoreError
from raypipe.store.database import Database, Row
from raypipe.store.owners import BEATS, FORGOTTEN, LAPSE, Owner, Watch, machine, process_of
from raypipe.store.postgres_url import PostgresUrl

_serial = count()


@dataclass(frozen=True)
class LedgerClaim:
    """A claim that is held; it lapses when its process is gone, or does not move for long."""

    claims: "LedgerClaims"
    key: str
    owner: str

    def release(self) -> None:
        """Let others have the key; where another took it over, that claim stays."""
        self.claims.let_go(self.key, self.owner)


class LedgerClaims:
    """Claims for the processes of several hosts; they only save work.

    `connect` makes a connection of its own, so that a beat moves while the ledger is busy.
    """

    def __init__(
        self,
        connect: Callable[[], Database],
        lapse: float = LAPSE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connect = connect
        self._lapse = lapse
        self._watch = Watch(Path(), lapse, clock)
        self._name = os.urandom(8).hex()
        self._opened: Database | None = None
        self._lock = Lock()
        self._held: set[str] = set()
        self._over = Event()

    def claim(self, key: str, *, firm: bool = False) -> Claim | None:
        """Return a claim on a key; None while another process, or this one, holds it.

        A holder who has not moved for long loses it, but for a `firm` one: that is the holder's for
        as long as his process is there.
        """
        return self._take(key, shared=False, firm=firm)

    def share(self, key: str) -> Claim:
        """Return a claim that others may hold too, once nobody has it for himself."""
        while (claim := self._take(key, shared=True, firm=False)) is None:
            time.sleep(random.uniform(0.05, 0.2))
        return claim

    def is_held(self, key: str) -> bool:
        """Say whether a process holds a claim, moving or not; nothing is made."""
        return self.standing(key) != "free"

    def standing(self, key: str) -> Literal["free", "held", "still", "lapsed"]:
        """Say how a claim stands; nothing is made.

        `still`: at a glance its holder seems not to move. `lapsed`: this object has seen for long
        that he does not.
        """
        rows = self._database.all("claims_of", key=key)
        found = [(row, self._standing_of(row)) for row in rows]
        there = [(row, standing) for row, standing in found if standing != "gone"]
        if not there:
            return "free"
        if all(standing == "lapsed" for _, standing in there):
            return "lapsed"
        return "still" if all(self._seems_still(row) for row, _ in there) else "held"

    def sweep(self) -> None:
        """Remove what processes left behind that are gone."""
        with suppress(StoreError):
            forgotten = _now() - int(1000 * FORGOTTEN)
            for row in self._database.all("every_claim"):
                owner = _read(row)
                if (owner.process is None) if owner.is_near else owner.beat < forgotten:
                    with self._database.writing():
                        self._drop(row)

    def let_go(self, key: str, owner: str) -> None:
        """Remove one's own claim."""
        self._drop_hold(owner)

        def act() -> None:
            with self._database.writing():
                self._database.do("let_go", key=key, owner=owner)

        with suppress(StoreError):  # it lapses with this process
            self._database.repeat(act)

    # --- taking ---------------------------------------------------------------------------------

    @property
    def _database(self) -> Database:
        if self._opened is None:
            self._opened = self._connect()
        return self._opened

    def _take(self, key: str, *, shared: bool, firm: bool) -> Claim | None:
        owner = self._owner()

        def act() -> bool:
            with self._database.writing(f"claim {key}"):
                for row in self._database.all("claims_of", key=key):
                    if row["owner"] == owner:
                        return True
                    if self._may_go(row, firm=firm) and self._drop(row):
                        continue
                    if not (shared and row["shared"]):
                        return False
                values = {"key": key, "owner": owner, "shared": int(shared), "beat": _now()}
                self._database.do("add_claim", **values)
                return True

        self._hold(owner)
        taken = False
        try:
            taken = self._database.repeat(act)
        finally:
            if not taken:
                self._drop_hold(owner)
        return LedgerClaim(self, key, owner) if taken else None

    def _owner(self) -> str:
        """Return what this process tells of itself, under a name that no claim had before."""
        known = process_of(os.getpid())
        about = Owner(
            host=socket.gethostname(),
            machine=machine(),
            pid=os.getpid(),
            started=known.started if known else 0,
            lapse=self._lapse,
        )
        told = {name: value for name, value in asdict(about).items() if name != "beat"}
        return f"{self._name}.{next(_serial)} {json.dumps(told)}"

    def _may_go(self, row: Row, *, firm: bool) -> bool:
        standing = self._standing_of(row)
        return standing == "gone" or (standing == "lapsed" and not firm)

    def _drop(self, row: Row) -> bool:
        """Remove a claim, unless its holder has moved since it was looked at."""
        seen = {"key": row["key"], "owner": row["owner"], "beat": row["beat"]}
        return bool(self._database.do("drop_claim", **seen))

    # --- beating and looking --------------------------------------------------------------------

    def _hold(self, owner: str) -> None:
        with self._lock:
            if not self._held:
                self._over = Event()
                Thread(
                    target=self._go_on, args=(self._over,), name="raypipe-beat", daemon=True
                ).start()
            self._held.add(owner)

    def _drop_hold(self, owner: str) -> None:
        with self._lock:
            self._held.discard(owner)
            if not self._held:
                self._over.set()

    def _go_on(self, over: Event) -> None:
        """Move the beat while anything is held; one that is missed is made up for by the next."""
        while not over.wait(self._lapse / BEATS):
            with self._lock:
                held = sorted(self._held)
            with suppress(StoreError):
                self._database.repeat(lambda held=held: self._beat(held))  # type: ignore[misc]

    def _beat(self, held: list[str]) -> None:
        with self._database.writing():
            self._database.do("beat", owners=held, beat=_now())

    def _standing_of(self, row: Row) -> Literal["gone", "there", "lapsed"]:
        return self._watch.judge(row["owner"].partition(".")[0], _read(row))

    def _seems_still(self, row: Row) -> bool:
        owner = _read(row)
        if owner.is_near and (process := owner.process):
            return process.stopped
        return _now() - owner.beat > 1000 * max(owner.lapse, self._lapse)


def claims_in(url: PostgresUrl, lapse: float) -> LedgerClaims:
    """Return claims in a ledger that is there; what is lost with its server only costs work."""

    def connect() -> Database:
        from raypipe.store.postgres import PostgresDatabase

        return PostgresDatabase(url, write=True, durable=False)

    return LedgerClaims(connect, lapse)


def _read(row: Row) -> Owner:
    """Return the holder that a row tells of."""
    return Owner(**json.loads(row["owner"].partition(" ")[2]), beat=row["beat"])


def _now() -> int:
    """Return a beat: milliseconds of this machine's clock, which others only see to move."""
    return int(1000 * time.time())


def _fits(claims: LedgerClaims) -> Claims:
    return claims
