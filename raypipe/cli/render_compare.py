"""Two runs side by side as text."""

from collections.abc import Mapping
from typing import Any

from raypipe.cli.render import duration, moment, several, table

Json = Any


def comparison(data: Json) -> str:
    """Return what differs between two runs; what is alike is counted only."""
    first, second = (run["id"] for run in data["runs"])
    heads = (first, second)
    parts = [
        table(
            ("run", "pipeline", "status", "started"),
            [(r["id"], r["pipeline"], r["status"], moment(r["created"])) for r in data["runs"]],
        ),
        *(_pairs(name, data[f"{name}s"], heads) for name in ("setting", "parameter", "commit")),
        _code(data["code"]["changes"]),
        _steps(data["steps"], heads),
        _pairs("metric", data["metrics"], heads),
    ]
    return "\n\n".join(part for part in parts if part)


def _pairs(name: str, pairs: Mapping[str, Json], heads: tuple[str, str]) -> str:
    rows = [(key, *values) for key, values in pairs.items()]
    return table((name, *heads), rows) if rows else ""


def _code(changes: Json) -> str:
    rows = [(one["kind"], one["what"], one["how"], _few(one["steps"])) for one in changes]
    return table(("code", "name", "how", "reached by"), rows) if rows else ""


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _steps(steps: Json, heads: tuple[str, str]) -> str:
    """Return the steps that differ, or gave something else."""
    other = [one for one in steps if not (one["same"] and one["gave the same"])]
    rows = [
        (
            one["name"],
            *(
                f"{action}, {duration(seconds)}" if action else None
                for action, seconds in zip(one["actions"], one["seconds"], strict=True)
            ),
            "the same" if one["gave the same"] else "another",
        )
        for one in other
    ]
    same = len(steps) - len(other)
    more = f"{several(same, 'step')} alike" if same else ""
    shown = table(("step", *heads, "output"), rows) if rows else ""
    return "\n".join(part for part in (shown, more) if part)
