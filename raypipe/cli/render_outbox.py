"""Effects outside the ledger as text for people."""

from typing import Any

from raypipe.cli.render import moment, table
from raypipe.values.words import amount

Json = Any


def effects(data: Json) -> str:
    """Return a row for each effect."""
    if not data:
        return "Nothing waits to be carried out."
    rows = [
        (one["key"], one["status"], one["attempts"], moment(one["created"]), one["error"])
        for one in data
    ]
    return table(("key", "status", "attempts", "since", "why"), rows)


def delivered(data: Json) -> str:
    """Return what became of effects that were tried."""
    said = f"{amount(data['delivered'], 'effect')} carried out."
    return f"{said}\n\n{effects(data['left'])}" if data["left"] else said


def effect(data: Json) -> str:
    """Return how an effect stands."""
    return f"{data['key']} is {data['status']}."


def undelivered(data: Json) -> str:
    """Return what a run says of effects that it could not carry out."""
    said = [f"{amount(data['waiting'], 'effect')} not carried out yet"] if data["waiting"] else []
    if data["given_up"]:
        said.append(f"{amount(data['given_up'], 'effect')} given up")
    why = "".join(f"\n  {one}" for one in data["errors"])
    return f"raypipe: {', '.join(said)}:{why}\n→ `raypipe outbox list` shows them."
