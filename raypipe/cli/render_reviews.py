"""Reviews and what was decided as text for people."""

from collections.abc import Iterable, Mapping
from typing import Any

from raypipe.cli.render import lines, moment, table, who

Json = Any


def asked(review: Mapping[str, Any]) -> Iterable[str]:
    """Yield how a review stands, and how it is shown and decided."""
    name = review["id"]
    yield f"review {name} of {review['step']} is {review['status']}"
    if review["status"] == "withdrawn" and review.get("newer"):
        yield f"  the newer one: raypipe review show {review['newer']}"
    if review["status"] == "open":
        yield f"  raypipe review show {name}"
        yield f"  raypipe review approve {name} --by NAME --note TEXT   (or reject)"


def reviews(data: Json) -> str:
    """Return reviews as a table."""
    if not data:
        return "No review has been asked for."
    rows = [
        (one["id"], one["status"], one["pipeline"], one["step"], one["run"],
         moment(one["created"]), who(one), one.get("note"))
        for one in data
    ]  # fmt: skip
    return table(("review", "status", "pipeline", "step", "run", "asked", "by", "note"), rows)


def review(data: Json) -> str:
    """Return a review with what it decides on, and how it is decided."""
    about = {
        "review": data["id"],
        "of": f"{data['step']} in run {data['run']} of {data['pipeline']}",
        "status": data["status"],
        "asked": moment(data["created"]),
    }
    if data["status"] == "withdrawn":
        about |= {"withdrawn": moment(data["decided"]), "why": data["note"]}
    elif data["status"] != "open":
        about |= {"by": who(data), "decided": moment(data["decided"]), "note": data["note"]}
    parts = [lines(about), lines(data["shown"])]
    if data["report"]:
        parts.append(f"report: {data['report']}")
    if data.get("data_report"):
        parts.append(f"data report: {data['data_report']}")
    if data["status"] == "open":
        parts.append("\n".join(asked(data)))
    return "\n\n".join(parts)


def decided(data: Json) -> str:
    """Return what a decision means for what comes next."""
    note = f": {data['note']}" if data.get("note") else ""
    already = "already " if data["already"] else ""
    first = f"review {data['id']} is {already}{data['status']} by {who(data)}{note}"
    if data["status"] == "approved" and data["command"]:
        return f"{first}\nIt goes on with: {data['command']}"
    return first
