"""Plans, what a run came to, and why a step is to be executed, as text for people."""

from collections.abc import Mapping, Sequence
from typing import Any

from raypipe.cli.render import base_name, duration, lines, table
from raypipe.cli.render_reviews import asked
from raypipe.values.words import amount

Json = Any


def reason(data: Mapping[str, str]) -> str:
    """Return a reason in one line."""
    return ": ".join(part for part in (data["kind"], data["what"], data["detail"]) if part)


def plan(data: Json) -> str:
    """Return a plan as a table; steps that are alike share a row."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for step in data["steps"]:
        alike = (base_name(step["name"]), step["action"], reason(step["reason"]))
        rows.setdefault(alike, []).append(step["name"])
    body = [
        (names[0] if len(names) == 1 else f"{base} ×{len(names)}", action, why)
        for (base, action, why), names in rows.items()
    ]
    shown = table(("step", "action", "reason"), body)
    summed = f"{data['pipeline']}: {_count(data['steps'])}{_estimated(data.get('estimate'))}"
    return "\n".join([shown, "", summed, *map(_left_behind, data.get("stale", ()))])


def _estimated(estimate: Json) -> str:
    """Return how long it takes, as far as that is known from earlier runs."""
    if not estimate or not (estimate["steps"] or estimate["unknown"]):
        return ""
    sure, most = estimate["seconds"], estimate["most"]
    known = [f"about {duration(sure)}"] if sure or most == sure else []
    if most > sure:
        known.append(f"up to {duration(most)} if what is open is executed")
    if unknown := estimate["unknown"]:
        of = unknown[0] if len(unknown) == 1 else f"{len(unknown)} steps"
        known.append(f"nothing is known of {of}")
    if not estimate["steps"]:
        known = known[-1:]
    return f"; {', '.join(known)}"


def _left_behind(one: Mapping[str, Any]) -> str:
    """Return which deployed version falls behind, and by the making of what."""
    name = f"{one['model']} {one['version']} ({', '.join(one['roles'])})"
    why = reason(one["reason"])
    if one["certain"]:
        return f"{name} was made by {one['step']}, which would be executed ({why})"
    return f"{name} may fall behind: it came from {one['step']}, which would be executed ({why})"


_ACTIONS = {
    "execute": "to execute",
    "hit": "kept",
    "skipped": "skipped",
    "wait": "waiting for a review",
    "open": "open until an upstream output is known",
}


def _count(steps: Sequence[Json]) -> str:
    actions = [_certain(step) for step in _without_maps(steps)]
    counts = {action: actions.count(action) for action in _ACTIONS}
    said = [f"{count} {_ACTIONS[action]}" for action, count in counts.items() if count]
    return ", ".join(said) or "no steps"


def _without_maps(steps: Sequence[Json]) -> list[Json]:
    """Return the steps without maps whose items are among them: these are the steps."""
    maps = {step["name"].rpartition("[")[0] for step in steps}
    return [step for step in steps if step["name"] not in maps]


def _certain(step: Json) -> str:
    """Return what becomes of a step; of an open one that runs in any case, that it is executed."""
    if step["reason"]["kind"] == "skipped":
        return "skipped"
    certain = step["reason"]["detail"].endswith("runs in any case")
    return "execute" if step["action"] == "open" and certain else str(step["action"])


def summary(data: Json) -> str:
    """Return what a run came to."""
    counted = _without_maps(data["steps"])
    executed = [step for step in counted if step["action"] == "execute" and step["digest"]]
    ended = [_certain(step) for step in counted]
    skipped = f", {ended.count('skipped')} skipped" if "skipped" in ended else ""
    parts = [
        f"run {data['run']} of {data['pipeline']}: {_STATUS.get(data['status'], data['status'])}",
        f"  {amount(len(executed), 'step')} executed, {ended.count('hit')} kept{skipped}",
    ]
    if data["outputs"]:
        parts += ["outputs", *(f"  {line}" for line in lines(data["outputs"]).splitlines())]
    parts += [f"{_PAGES.get(step, step)}: {path}" for step, path in data.get("pages", {}).items()]
    parts += [line for one in data["reviews"] for line in asked(one)]
    if told := data.get("serving"):
        parts.append(_served(told))
    return "\n".join(parts)


def _served(told: Mapping[str, Any]) -> str:
    if told.get("error"):
        return f"not serving it: {told['error']}"
    if told["served"]:
        return f"serving: {told['url']}"
    return "not serving: `raypipe serve start` brings the gateway up"


_PAGES = {"report_data": "data report"}
_STATUS = {"waiting": "waiting for a review"}
MOST_CHANGES = 40


def why(data: Json) -> str:
    """Return what is to be done about a step, the reason, and the lines of code that differ."""
    parts = [f"{data['name']}: {data['action']}", f"  {reason(data['reason'])}"]
    if len(data["changes"]) > 1:
        parts.append("  all that differs:")
        told = [(one["kind"], one["what"], one["how"]) for one in data["changes"][:MOST_CHANGES]]
        parts += [f"    {': '.join(one)}" for one in told]
        if (more := len(data["changes"]) - len(told)) > 0:
            parts.append(f"    … and {more} more; --json has all")
    parts += [f"    {line}" for line in data["lines"]]
    if data["widened"]:
        parts.append("  more code counts than is named, since that cannot be told from it:")
        parts += [f"    {line}" for line in data["widened"]]
    return "\n".join(parts)
