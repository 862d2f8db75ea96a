"""What is removed from a home, what is held, and what `doctor` found, as text for people."""

from typing import Any

from raypipe.cli.render import lines, size, table
from raypipe.values.words import amount

Json = Any


def cleaning(data: Json) -> str:
    """Return what would be, or was, removed."""
    what = f"{amount(data['count'], 'thing')}, {size(data['bytes'])}"
    shown = "".join(f"  {one}\n" for one in (*data.get("shown", []), *_rows(data)))
    if data["dry_run"]:
        return f"{shown}{what} could be removed. `raypipe clean --yes` removes them."
    left = "".join(f"\nnot removed: {one}" for one in data.get("left", ()))
    return f"{shown}{what} removed.{left}"


def held(data: Json) -> str:
    """Return what is kept from being removed from now on."""
    return f"The {data['kind']} {data['name']} is kept until `raypipe hold remove {data['name']}`."


def let_go(data: Json) -> str:
    """Return what may be removed again."""
    return f"The {data['kind']} {data['name']} may be removed again, once nothing else needs it."


def holds(data: Json) -> str:
    """Return what is kept, one thing a line."""
    if not data:
        return "Nothing is held."
    rows = [(one["kind"], one["name"][:40], one["by"], one["note"]) for one in data]
    return table(("kind", "name", "by", "note"), rows)


def _rows(data: Json) -> list[str]:
    """Return what of the ledger, and of the index of source files, has had its time."""
    rows = data.get("ledger", {})
    named = {
        "runs": "run",
        "curves": "run's curve",
        "results": "superseded result",
        "unused": "unused result",
        "effects": "ended effect",
        "reviews": "open review withdrawn",
        "withdrawn": "withdrawn review",
    }
    told = [amount(rows[one], what) for one, what in named.items() if rows.get(one)]
    if data.get("modules"):
        told.append(f"{amount(data['modules'], 'module')} of the index whose files are gone")
    if (log := data.get("requests", {})).get("segments"):
        told.append(
            f"{amount(log['segments'], 'segment')} of the request log: "
            f"{amount(log['requests'], 'request')}, {amount(log['labels'], 'label')}"
        )
    if "kept" in log:
        told.append(f"nothing of the request log: {log['kept']}")
    return [*told, *([f"nothing of the ledger: {rows['kept']}"] if "kept" in rows else [])]


def fault_points(data: Json) -> str:
    """Return the points at which a process can be made to die."""
    how = "RAYPIPE_FAULT=NAME kills the process there, NAME:2 when it comes there a second time."
    return f"{how}\n\n{lines(data)}"


def checks(data: Json) -> str:
    """Return what `doctor` found."""
    return table(
        ("", "what", "found"),
        [("ok" if one["ok"] else "FAULT", one["name"], one["detail"]) for one in data],
    )
