"""What the ledger knows of outside effects: asked for once, and carried out or given up."""

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

from raypipe.engine.records import Effect
from raypipe.errors import UsageError
from raypipe.store import rows
from raypipe.store.ledger_part import LedgerPart, repeated, unknown
from raypipe.store.rows import EffectStatus, OutboxRow, dump


class EffectRecords(LedgerPart):
    """A part of the ledger; each method that writes is one transaction."""

    @repeated
    def ask_for(self, effects: Sequence[Effect]) -> None:
        """Enter effects, each key once; in one act with the fact that asks for them."""
        if not effects:
            return
        with self._db.writing():
            for effect in effects:
                self._db.do(
                    "add_effect",
                    key=effect.key,
                    kind=effect.kind,
                    payload=dump(effect.payload),
                    created=self._now(),
                )

    def outbox(self, status: EffectStatus | None = None) -> list[OutboxRow]:
        """Return the effects of a status, or all, in the order in which they were asked for."""
        wanted = get_args(EffectStatus) if status is None else (status,)
        found = [row for one in wanted for row in self._db.all("outbox", status=one)]
        return sorted(map(rows.read_effect, found), key=lambda row: row.id)

    def effect(self, key: str) -> OutboxRow:
        """Return one effect; NotFound if there is none under this key."""
        row = self._db.one("effect", key=key)
        if row is None:
            known = [one.key for one in self.outbox()]
            raise unknown("effect", key, known, "raypipe outbox list")
        return rows.read_effect(row)

    @repeated
    def begin_delivery(self, row: OutboxRow, due: float) -> OutboxRow | None:
        """Count an attempt at an effect; None if another began or ended one since it was read."""
        with self._db.writing():
            values = {"key": row.key, "attempts": row.attempts, "due": due}
            begun = self._db.do("begin_delivery", **values)
            mine = replace(row, attempts=row.attempts + 1, due=due)
            was_done = self._db.repeating and self.effect(row.key) == mine
        return mine if begun or was_done else None

    @repeated
    def delivered(self, row: OutboxRow) -> None:
        """Record that an effect was carried out."""
        with self._db.writing():
            self._db.do("delivered", key=row.key, ended=self._now())

    @repeated
    def not_delivered(self, row: OutboxRow, error: str, *, given_up: bool) -> None:
        """Record what an attempt came to; nothing if it is not the last one that began."""
        status, ended = ("given up", self._now()) if given_up else ("waiting", None)
        with self._db.writing():
            self._db.do(
                "not_delivered",
                key=row.key,
                attempts=row.attempts,
                status=status,
                ended=ended,
                error=error,
            )

    @repeated
    def redo_effect(self, key: str) -> OutboxRow:
        """Let an effect be tried again at once, as if it never had been."""
        with self._db.writing():
            if not self._db.do("redo_effect", key=key, due=self._now()):
                found = self.effect(key)
                raise UsageError(f"{found.key} was delivered", hint="it is not repeated")
            return self.effect(key)

    @repeated
    def drop_effect(self, key: str) -> OutboxRow:
        """Let an effect never be carried out."""
        with self._db.writing():
            if not self._db.do("drop_effect", key=key, ended=self._now()):
                found = self.effect(key)
                if not (self._db.repeating and found.status == "dropped"):
                    raise UsageError(f"{found.key} is {found.status} already")
            return self.effect(key)
