"""What the parts of a ledger have in common: acts, and how a row is found by its name."""

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from raypipe.errors import NotFound, UsageError
from raypipe.store.database import Database, Row

LAST = "\U0010ffff"
"""Sorts after every character that an id may go on with."""


class LedgerPart:
    """A part of the ledger; each method that writes is one transaction.

    It may be carried out twice where a server was lost while it committed, so that each is written
    to leave the second time what the first one left.
    """

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._db = database
        self._now = now


Part = TypeVar("Part", bound=LedgerPart)
Given = ParamSpec("Given")
Made = TypeVar("Made")


def repeated(
    method: Callable[Concatenate[Part, Given], Made],
) -> Callable[Concatenate[Part, Given], Made]:
    """Carry a method out again where its server is lost before it returns."""

    @wraps(method)
    def again(part: Part, /, *given: Given.args, **named: Given.kwargs) -> Made:
        return part._db.repeat(lambda: method(part, *given, **named))

    return again


def only(found: Sequence[Row], what: str, name: str, known: Sequence[str], command: str) -> Row:
    """Return the one row that a name stands for: the first, if it has just this id."""
    if not found:
        raise unknown(what, name, known, command)
    if len(found) > 1 and found[0]["id"] != name:
        raise UsageError(f"several {what}s are named {name!r}…", hint="give more of the id")
    return found[0]


def unknown(what: str, name: str, known: Sequence[str], command: str) -> NotFound:
    """Return what is raised for a name that nothing has; the closest is named."""
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"`{command}` lists those that there are"
    return NotFound(f"there is no {what} {name!r}", hint=hint)
