"""What an audit of the request log found, as text for people."""

from typing import Any

from raypipe.cli.render import moment, table
from raypipe.values.words import amount

Json = Any


def audit(data: Json) -> str:
    """Return what an audit of the request log found."""
    if not data["segments"] and not data["removed"]["segments"]:
        return "The request log is empty."
    kinds = [
        (one["kind"], one["model"], one["version"], f"{one['records']:,}") for one in data["kinds"]
    ]
    where = f"{amount(data['segments'], 'segment')}, {data['open']} of them open"
    said = [table(("kind", "model", "version", "records"), kinds), ""]
    said.append(f"{amount(data['records'], 'record')} in {where}.")
    if data["torn"]:
        said.append(f"{data['torn']:,} bytes at ends were never acknowledged.")
    gone = data["removed"]
    if gone["segments"]:
        said.append(
            f"{amount(gone['requests'], 'request')} and {amount(gone['labels'], 'label')} until "
            f"{moment(gone['last'])} were removed by rule (store.keep.requests)."
        )
    said += [f"FAULT {fault}" for fault in data["faults"]]
    said += [f"FAULT request {one} is there twice" for one in data["twice"]]
    if "acknowledged" in data:
        kept = data["acknowledged"] - data["missing"] - gone["acknowledged"]
        by_rule = f", {gone['acknowledged']:,} are of what was removed" if gone["segments"] else ""
        said.append(f"Of {data['acknowledged']:,} acknowledged ids, {kept:,} are kept{by_rule}.")
        said += [f"MISSING {one}" for one in data["ids"]]
    said.append("All of it is whole." if data["whole"] else "It is not whole.")
    return "\n".join(said)
