"""Runs side by side as text."""

from collections.abc import Mapping, Sequence
from typing import Any

from raypipe.cli.render import duration, moment, table
from raypipe.values.words import amount

Json = Any


def comparison(data: Json) -> str:
    """Return what differs between runs; what is alike is counted only."""
    heads = [run["id"] for run in data["runs"]]
    tags = ["tags"] if any(run["tags"] for run in data["runs"]) else []
    rows = [
        (
            *(run["id"], run["pipeline"], run["status"], moment(run["created"])),
            *(", ".join(run[name]) for name in tags),
        )
        for run in data["runs"]
    ]
    kinds = ("setting", "parameter", "commit", "row")
    parts = [
        table(("run", "pipeline", "status", "started", *tags), rows),
        *(_beside(name, data[f"{name}s"], heads) for name in kinds),
        _code(data["code"]["changes"], several_runs=len(heads) > 2),
        _steps(data["steps"], heads),
        _beside("metric", data["metrics"], heads),
    ]
    return "\n\n".join(part for part in parts if part)


def _beside(name: str, values: Mapping[str, Json], heads: Sequence[str]) -> str:
    rows = [(key, *each) for key, each in values.items()]
    return table((f"{name}s" if name == "row" else name, *heads), rows) if rows else ""


def _code(changes: Json, *, several_runs: bool) -> str:
    where = ("in",) if several_runs else ()
    rows = [
        (
            *(one["kind"], one["what"], one["how"], _few(one["steps"])),
            *(_few(one["runs"]) for _ in where),
        )
        for one in changes
    ]
    return table(("code", "name", "how", "reached by", *where), rows) if rows else ""


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _steps(steps: Json, heads: Sequence[str]) -> str:
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
    more = f"{amount(same, 'step')} alike" if same else ""
    shown = table(("step", *heads, "output"), rows) if rows else ""
    return "\n".join(part for part in (shown, more) if part)
