"""What people say of runs: tags, to find them by, and notes, to read."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from raypipe.app.look import look, workshop_of
from raypipe.engine.records import Json
from raypipe.errors import UsageError
from raypipe.store.ledger_finding import RemarkKind
from raypipe.store.rows import Remark

LONGEST_TAG = 100
LONGEST_NOTE = 10_000
"""Letters."""
_TAG = re.compile(r"[^\s,'\"]+")


def tag_run(
    run: str, names: Sequence[str], *, off: bool = False, by: str | None, home: Path | None
) -> Json:
    """Give a run tags, or take them off it; what it has, or has not, already stays so."""
    for name in names:
        if len(name) > LONGEST_TAG or not _TAG.fullmatch(name):
            raise UsageError(
                f"{name[:60]!r} is no tag",
                hint=f"a tag is one word of at most {LONGEST_TAG} letters, without quotes and "
                "commas; a sentence is a note: `raypipe runs note RUN TEXT`",
            )
    return _say(run, "tag", names, off=off, by=by, home=home)


def note_run(run: str, text: str, *, off: bool = False, by: str | None, home: Path | None) -> Json:
    """Add a note to a run, or take back the one of this text."""
    said = text.strip()
    if not said or len(said) > LONGEST_NOTE:
        raise UsageError(
            f"a note has {len(said):,} letters; it must have 1 to {LONGEST_NOTE:,}",
            hint="put long texts in a file beside the code, and name it in the note",
        )
    return _say(run, "note", [said], off=off, by=by, home=home)


def _say(
    run: str,
    kind: RemarkKind,
    said: Sequence[str],
    *,
    off: bool,
    by: str | None,
    home: Path | None,
) -> Json:
    look(home)  # a home that is not there is not made
    workshop = workshop_of(home, by=by)
    ledger = workshop.ledger
    record = ledger.get_run(run)
    if off:
        ledger.remove_remarks(record.id, kind, said)
    else:
        ledger.add_remarks(record.id, kind, said, workshop.actor)
    return {"run": record.id, **told(ledger.remarks([record.id]).get(record.id, ()))}


def told(remarks: Iterable[Remark]) -> Json:
    """Return tags and notes of a run as records."""
    said = list(remarks)
    return {
        "tags": [one.said for one in said if one.kind == "tag"],
        "notes": [
            {"text": one.said, "by": one.actor.name or one.actor.user, "time": one.time}
            for one in said
            if one.kind == "note"
        ],
    }
