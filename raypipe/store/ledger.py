"""The ledger: what is known of runs, results, reviews, models and effects, in one database.

Its parts are the modules `ledger_*`, whose methods it has: runs, results, reviews, models, effects;
what is known of data that was judged is its `gate`.
"""

import time
from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from raypipe.engine.ports import Ledger
from raypipe.engine.records import Actor
from raypipe.store import rows
from raypipe.store.database import Database
from raypipe.store.ledger_finding import FindingRecords
from raypipe.store.ledger_gate import GateRecords
from raypipe.store.ledger_models import ModelRecords
from raypipe.store.ledger_part import Made, repeated
from raypipe.store.ledger_results import ResultRecords
from raypipe.store.ledger_reviews import ReviewRecords
from raypipe.store.ledger_runs import RunRecords
from raypipe.store.postgres_url import PostgresUrl
from raypipe.store.rows import HoldRow, dump
from raypipe.store.sqlite import BUSY, SqliteDatabase

if TYPE_CHECKING:
    from raypipe.store.retention import Keep, Old


class SqlLedger(RunRecords, FindingRecords, ResultRecords, ReviewRecords, ModelRecords):
    """A ledger in a SQLite file or in Postgres; safe for threads and processes."""

    def __init__(self, database: Database, now: Callable[[], float] = time.time) -> None:
        self._db = database
        self._now = now

    @classmethod
    def open(
        cls,
        place: Path | PostgresUrl,
        *,
        create: bool = True,
        now: Callable[[], float] = time.time,
        busy: float = BUSY,
    ) -> Self:
        """Open a ledger; with `create` false to look only, and where there is none an empty one.

        `busy` is for how many seconds what another process holds, or a server that went away, is
        waited for.
        """
        if isinstance(place, Path):
            return cls(SqliteDatabase.open(place, create=create, busy=busy), now)
        from raypipe.store.postgres import PostgresDatabase

        opened = PostgresDatabase.open(place, create=create, busy=busy)
        return cls(opened or SqliteDatabase.empty(), now)

    def close(self) -> None:
        """Let go of the database."""
        self._db.close()

    @cached_property
    def gate(self) -> GateRecords:
        """What is known of data that was judged, of protected branches and of their gate."""
        return GateRecords(self._db, self._now)

    def together(self, act: Callable[[], Made]) -> Made:
        """Make what is written by an act of several one transaction.

        It is carried out again where the server is lost before it answers, so that the act gives
        the same the second time: keys that are drawn are drawn outside it.
        """

        def whole() -> Made:
            with self._db.writing():
                return act()

        return self._db.repeat(whole)

    # --- holds ----------------------------------------------------------------------------------

    @repeated
    def add_hold(self, kind: str, name: str, note: str, actor: Actor) -> HoldRow:
        """Keep something from being removed; what is kept already stays as it is."""
        row = HoldRow(kind=kind, name=name, note=note, actor=actor, time=self._now())
        with self._db.writing():
            self._db.do("add_hold", **{**asdict(row), "actor": dump(asdict(actor))})
        return next(one for one in self.holds() if (one.kind, one.name) == (kind, name))

    def holds(self) -> list[HoldRow]:
        """Return what people keep from being removed, newest first."""
        return [rows.read_hold(row) for row in self._db.all("holds")]

    @repeated
    def remove_hold(self, kind: str, name: str) -> None:
        """Let something be removed again."""
        with self._db.writing():
            self._db.do("remove_hold", kind=kind, name=name)

    # --- retention ------------------------------------------------------------------------------

    def find_old(self, keep: "Keep") -> "Old":
        """Return what has had its time and nothing needs."""
        from raypipe.store.retention import find_old

        return find_old(self._db, keep)

    def remove_old(self, old: "Old") -> None:
        """Remove what has had its time."""
        from raypipe.store.retention import remove_old

        remove_old(self._db, old, self._now())


if TYPE_CHECKING:
    _fits: Ledger = SqlLedger(SqliteDatabase.empty())
