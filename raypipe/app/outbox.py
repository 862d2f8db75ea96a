"""Effects outside the ledger, carried out once each, by whoever comes next.

An effect is entered in one act with the fact that asks for it, so that neither is without the
other. Whoever carries it out claims it, counts the attempt, asks the target whether it was done
before, does it with its key, and records that. Killed anywhere, the next one goes on from there.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from raypipe.app.look import look, workshop_of
from raypipe.engine.records import Json
from raypipe.errors import EffectRefused, RaypipeError, StoreError
from raypipe.fault_points import fault_point
from raypipe.store.rows import OutboxRow

if TYPE_CHECKING:
    from raypipe.app.assemble import Workshop

FIRST_WAIT = 0.5
"""Seconds before the second attempt, about; each further wait is twice as long."""
LONGEST_WAIT = 3600.0
MOST_ATTEMPTS = 12
PATIENCE = 5.0
"""Seconds that a run has at its end for further attempts."""
TURN = 120.0
"""Seconds that somebody else has who carries out an effect that is wanted now."""
LOOK = 0.05
"""Seconds between two looks at what became due, or at what another does."""
SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class Handler:
    """How effects of one kind are carried out."""

    do: "Callable[[Workshop, OutboxRow], None]"
    """RaypipeError where that did not work; EffectRefused where it never will."""
    already_done: "Callable[[Workshop, OutboxRow], bool]" = lambda workshop, row: False
    """Asks the target; where it cannot be asked, it is told the effect's key."""
    at_rest: bool = True
    """Any run carries it out at its end."""


HANDLERS = {
    "gateway": "raypipe.app.routes:GATEWAY_TOLD",
    "notice": "raypipe.app.notices:NOTICE",
    "mlflow": "raypipe.app.mirror:MLFLOW",
    "captured": "raypipe.app.captured:CAPTURED",
}
"""Kind to where its handler is, imported when there is such an effect."""

# --- decisions (pure) ---------------------------------------------------------------------------


def wait_after(attempts: int, jitter: float) -> float:
    """Return the seconds before the next attempt; `jitter` is from 0 to 1."""
    longest = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (attempts - 1))
    return longest * (0.5 + jitter / 2)


def is_due(row: OutboxRow, now: float) -> bool:
    """Say whether an effect may be tried; one due later than any wait is, for a clock jumped."""
    return row.due <= now or row.due > now + LONGEST_WAIT


def is_over(row: OutboxRow, error: RaypipeError) -> bool:
    """Say whether an effect is given up after this attempt."""
    return isinstance(error, EffectRefused) or row.attempts >= MOST_ATTEMPTS


# --- carrying out -------------------------------------------------------------------------------


def handler_of(kind: str) -> Handler:
    """Return how effects of a kind are carried out."""
    if kind not in HANDLERS:
        raise StoreError(
            f"an effect of kind {kind!r} is not known to this raypipe", hint="upgrade raypipe"
        )
    module, _, name = HANDLERS[kind].partition(":")
    found = getattr(import_module(module), name)
    assert isinstance(found, Handler)
    return found


def attempt(workshop: "Workshop", row: OutboxRow, handler: Handler) -> bool:
    """Try an effect that is claimed; False if another was first. Its fault is recorded and raised.

    The next attempt is due later from the start, so that one who is killed is not followed at once.
    """
    ledger = workshop.ledger
    now = workshop.ports().now()
    begun = ledger.begin_delivery(row, now + wait_after(row.attempts + 1, random.random()))
    if begun is None:
        return False
    fault_point("effect.begun")
    try:
        if not handler.already_done(workshop, begun):
            handler.do(workshop, begun)
        fault_point("effect.done")
    except RaypipeError as error:
        ledger.not_delivered(begun, _said(error), given_up=is_over(begun, error))
        raise
    ledger.delivered(begun)
    fault_point("effect.recorded")
    return True


def _said(error: RaypipeError) -> str:
    return str(error) if error.hint is None else f"{error} ({error.hint})"


@contextmanager
def _claimed(workshop: "Workshop", key: str) -> Iterator[bool]:
    """Be the one who carries an effect out, in the body; gives False while another does."""
    claim = workshop.claims.claim(f"effect-{key}")
    try:
        yield claim is not None
    finally:
        if claim is not None:
            claim.release()


def deliver_now(
    workshop: "Workshop", keys: Sequence[str], handlers: Mapping[str, Handler] | None = None
) -> None:
    """Carry out these effects, whenever they are due; the first fault is raised.

    Where another process is about one, that is waited for.
    """
    deadline = time.monotonic() + TURN
    left = list(keys)
    while left:
        row = workshop.ledger.effect(left[0])
        if row.status != "waiting":
            left.pop(0)
            continue
        with _claimed(workshop, row.key) as mine:
            if mine:
                attempt(workshop, row, (handlers or {}).get(row.kind) or handler_of(row.kind))
            elif time.monotonic() > deadline:
                raise StoreError(
                    f"another process has been about effect {row.key} for {TURN:.0f} s",
                    hint="`raypipe outbox list` shows what became of it",
                )
            else:
                time.sleep(LOOK)


def waiting(workshop: "Workshop", kind: str) -> list[str]:
    """Return the keys of the effects of a kind that wait."""
    return [row.key for row in workshop.ledger.outbox("waiting") if row.kind == kind]


def deliver_due(
    workshop: "Workshop", *, patience: float = PATIENCE, every_kind: bool = False
) -> list[OutboxRow]:
    """Carry out what is due, and for some seconds what becomes so; return what is left.

    Nothing is raised: what goes wrong is recorded, and is tried again by whoever comes next.
    """
    deadline = time.monotonic() + patience
    tried: set[str] = set()
    try:
        while rows := _ready(workshop, every_kind):
            now = workshop.ports().now()
            due = [row for row in rows if is_due(row, now)]
            soonest = min((row.due - now for row in rows), default=0.0)
            if not due and time.monotonic() + soonest > deadline:
                break
            for row in due:
                if time.monotonic() > deadline and row.key in tried:
                    continue
                tried.add(row.key)
                _try(workshop, row)
            if time.monotonic() > deadline:
                break
            time.sleep(LOOK)
    except (RaypipeError, KeyboardInterrupt):  # the ledger fails, or nobody wants to wait
        return []
    return [row for row in map(workshop.ledger.effect, sorted(tried)) if _is_open(row)]


def _ready(workshop: "Workshop", every_kind: bool) -> list[OutboxRow]:
    rows = workshop.ledger.outbox("waiting")
    return [row for row in rows if every_kind or _at_rest(row.kind)]


def _at_rest(kind: str) -> bool:
    return kind in HANDLERS and handler_of(kind).at_rest


def _is_open(row: OutboxRow) -> bool:
    return row.status in {"waiting", "given up"}


def _try(workshop: "Workshop", row: OutboxRow) -> None:
    with _claimed(workshop, row.key) as mine:
        if mine:
            try:
                attempt(workshop, row, handler_of(row.kind))
            except RaypipeError:
                if workshop.ledger.effect(row.key).error is None:  # not even that was recorded
                    raise


# --- what a person asks -------------------------------------------------------------------------


def list_effects(home: Path | None, status: str | None = None) -> list[Json]:
    """Return the effects of a status, or those that are open, newest last."""
    rows = look(home).ledger.outbox()
    if status != "all":
        rows = [row for row in rows if (row.status == status if status else _is_open(row))]
    return [asdict(row) for row in rows]


def deliver(home: Path | None, key: str | None = None) -> Json:
    """Carry out what waits, or one effect, due or not; return what became of it."""
    looked = look(home)
    keys = [row.key for row in looked.ledger.outbox("waiting")]
    if key is not None:
        keys = [_named(looked, key).key]
    if not keys:
        return {"delivered": 0, "left": []}
    workshop = workshop_of(home)
    for one in keys:
        row = workshop.ledger.effect(one)
        if row.status == "waiting":
            _try(workshop, row)
    rows = [workshop.ledger.effect(one) for one in keys]
    return {
        "delivered": sum(row.status == "delivered" for row in rows),
        "left": [asdict(row) for row in rows if _is_open(row)],
    }


def change(home: Path | None, key: str, what: Literal["retry", "drop"]) -> Json:
    """Let an effect be tried again as if it never had been, or never any more."""
    name = _named(look(home), key).key
    ledger = workshop_of(home).ledger
    return asdict(ledger.redo_effect(name) if what == "retry" else ledger.drop_effect(name))


def _named(workshop: "Workshop", key: str) -> OutboxRow:
    """Return the effect whose key is so, or starts so and is the only one that does."""
    found = [row for row in workshop.ledger.outbox() if row.key.startswith(key)]
    exact = [row for row in found if row.key == key]
    return exact[0] if exact else found[0] if len(found) == 1 else workshop.ledger.effect(key)


def told(rows: Sequence[OutboxRow]) -> Json:
    """Return what a run says of effects that it could not carry out; None if there are none."""
    if not rows:
        return None
    return {
        "waiting": sum(row.status == "waiting" for row in rows),
        "given_up": sum(row.status == "given up" for row in rows),
        "errors": [f"{row.kind}: {row.error}" for row in rows[:SHOWN]],
    }
