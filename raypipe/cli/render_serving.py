"""The gateway, routes and answers as text for people."""

from collections.abc import Mapping
from typing import Any

from raypipe.cli.render import lines, moment, table

Json = Any


def gateway(data: Json) -> str:
    """Return what is up, and how it is asked."""
    already = "is up already" if data.get("already") else "is up"
    parts = [f"The gateway {already} at {data['url']} (pid {data['pid']})."]
    parts.append(_models(data["models"]))
    parts += [f"It could not load this: {fault}" for fault in data["faults"]]
    parts.append(f"  {data['url']}/docs   how it is asked\n  raypipe serve stop   ends it")
    return "\n".join(parts)


def standing(data: Json) -> str:
    """Return whether the gateway is up, and what it holds."""
    if not data["up"]:
        if data.get("status") == "ready":
            return (
                f"The gateway (pid {data['pid']}) does not answer at {data['url']} just now: what "
                "listens there has ended and comes back, or it is overloaded.\n"
                "→ raypipe serve status again in some seconds; raypipe serve stop ends it"
            )
        if data.get("status"):
            return "The gateway is starting."
        end = ": its process ended before it was stopped" if data["crashed"] else ""
        return f"The gateway is not up{end}.\n→ raypipe serve start"
    about = {
        "gateway": data["url"],
        "pid": data["pid"],
        "since": moment(data["since"]),
        "replicas": ", ".join(map(str, data["replicas"])),
    }
    faults = [f"It could not load this: {fault}" for fault in data["faults"]]
    return "\n\n".join([lines(about), _models(data["models"]), *faults])


def stopped(data: Json) -> str:
    """Return what was ended."""
    if not data["stopped"]:
        return "No gateway is up in this home."
    left = data["processes"]
    more = f"; {left} of its processes had to be ended" if left else ""
    return f"The gateway at {data['url']} has ended{more}."


def _models(models: Mapping[str, Any]) -> str:
    if not models:
        return "There is no model yet; `raypipe run` will tell it of the first."
    rows = [
        (name, version, "champion" if version == model["champion"] else "", _share(model, version))
        for name, model in models.items()
        for version in model["versions"]
    ]
    return table(("model", "version", "", "share"), rows)


def _share(model: Mapping[str, Any], version: str) -> str:
    share = model["shares"].get(version)
    return "pinned only" if share is None else percent(share)


def percent(share: float) -> str:
    """Return a share as a percentage, with as many digits as it has."""
    return f"{share * 100:.10g} %"


def route(data: Json) -> str:
    """Return how requests are divided, and how they were before."""
    now = [
        (version, "champion" if version == data["champion"] else "", percent(share))
        for version, share in data["shares"].items()
    ]
    shown = table(("version", "", "share"), now) if now else "No version answers: none is promoted."
    before = [
        (moment(one["time"]), one["actor"]["name"] or one["actor"]["user"], _shares(one["shares"]))
        for one in data["history"]
    ]
    return shown + (f"\n\n{table(('set', 'by', 'shares'), before)}" if before else "")


def routed(data: Json) -> str:
    """Return what was done to a route, and whether the gateway follows it."""
    first = f"{data['model']}: {_shares(data['shares'])}"
    match data.get("did"):
        case "promoted":
            first = f"{data['model']}@{data['version']} is the champion{_instead(data)}."
        case "rolled back":
            first = f"{data['model']}@{data['version']} is the champion again{_instead(data)}."
        case "challenges":
            first = f"{data['model']}@{data['version']} challenges: {_shares(data['shares'])}."
    return f"{first}\n{serving(data['serving'])}"


def _instead(data: Json) -> str:
    match data["before"]:
        case None:
            return ""
        case before if before == data["version"]:
            return ", as before"
        case before:
            return f", instead of {before}"


def serving(data: Json) -> str:
    """Return whether a gateway follows what was done."""
    if data is None:
        return "It is not serving: `raypipe serve start` brings the gateway up."
    if data.get("error"):
        return f"The gateway at {data['url']} does not follow: {data['error']}"
    return f"The gateway at {data['url']} follows."


def _shares(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{version} {percent(share)}" for version, share in shares.items())


def answers(data: Json) -> str:
    """Return where the answers lie, or the first of them as a table."""
    about = {key: value for key, value in data.items() if key not in {"answers", "note"}}
    parts = [lines(about)]
    if first := data.get("answers"):
        parts.append(table(tuple(first[0]), [tuple(one.values()) for one in first]))
    if note := data.get("note"):
        parts.append(note)
    return "\n\n".join(parts)
