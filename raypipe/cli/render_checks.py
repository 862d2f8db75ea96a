"""What deepchecks found, and which checks there are, as text for people."""

from collections.abc import Iterator
from typing import Any

from raypipe.cli.render import table

Json = Any
LONG = 160


def listed(data: Json) -> str:
    """Return the checks that there are."""
    rows = [
        (one["check"], one["suite"], one["severity"], one["condition"] or "none")
        for one in data["checks"]
    ]
    where = data["missing"] or f"environment: {data['environment']}"
    said = table(("check", "suite", "when it fails", "condition"), rows)
    return f"use: {data['use']}\n{where}\n\n{said}"


def found(data: Json) -> str:
    """Return what checks came to, what is wrong first, and each that did not run by its reason."""
    rows = data["rows"]
    lines = [f"a sample of {rows['train']:,} train and {rows['validation']:,} validation rows"]
    if data["unfinished"]:
        lines.append(data["unfinished"])
    order = ("failed", "crashed", "not_run", "warning", "passed", "not_applicable")
    checks = sorted(data["checks"], key=lambda one: order.index(one["status"]))
    told = [
        (one["status"].replace("_", " "), one["check"], said)
        for one in checks
        for said in _said(one)
    ]
    lines += ["", table(("came to", "check", "what it says"), told)]
    for column, why in data["left_out"].items():
        lines.append(f"no check was given {column}: {why}")
    if data["html"]:
        lines.append(f"page: {data['html']}")
    return "\n".join(lines)


def _said(check: Json) -> Iterator[str]:
    if check["reason"]:
        yield check["reason"]
    wrong = [one for one in check["conditions"] if one["status"] != "pass"]
    for one in wrong or check["conditions"]:
        details = f": {one['details']}" if one["details"] and wrong else ""
        text = f"{one['name']}{details}"
        yield text if len(text) <= LONG else f"{text[:LONG]}…"
    if not check["reason"] and not check["conditions"]:
        yield "it has no condition"
