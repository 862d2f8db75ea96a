"""Runs, their steps, trials, logs and code as text for people."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from raypipe.cli.render import base_name, cell, duration, lines, moment, size, table, who
from raypipe.cli.render_plans import reason
from raypipe.values.words import amount

Json = Any


def runs(data: Json) -> str:
    """Return runs as a table, as they come."""
    if not data:
        return "There are no runs yet: `raypipe run TARGET` makes one."
    more = list(dict.fromkeys(name for one in data for name in one.get("shown", ())))
    heads = {name: _head(data, name) for name in more}
    tags = ["tags"] if any(one.get("tags") for one in data) else []
    rows = [
        (
            one["id"],
            one["pipeline"],
            _standing(one),
            moment(one["created"]),
            _took(one),
            who(one),
            *(_cell(one, name, heads[name]) for name in more),
            *(", ".join(one.get(name, ())) for name in tags),
        )
        for one in data
    ]
    columns = ("run", "pipeline", "status", "started", "took", "by", *heads.values(), *tags)
    return table(columns, rows)


def _head(data: Json, name: str) -> str:
    """Return the whole name of what a column shows, where that is the same for all runs."""
    known = {one["shown_as"][name] for one in data if name in one.get("shown_as", {})}
    return str(known.pop()) if len(known) == 1 else name


def _cell(one: Json, name: str, head: str) -> Any:
    value = one.get("shown", {}).get(name)
    whole = one.get("shown_as", {}).get(name, head)
    return value if whole == head else f"{cell(value)} ({whole})"


def remarks(data: Json) -> str:
    """Return what is said of a run."""
    return lines({"run": data["run"], **_remarks(data)})


def _remarks(data: Json) -> dict[str, Any]:
    notes = [f"{one['text']} ({one['by']}, {moment(one['time'])})" for one in data.get("notes", ())]
    return {"tags": ", ".join(data.get("tags", ())), "notes": notes}


def run(data: Json) -> str:
    """Return one run: what it was, what became of each step, and where its curves ended."""
    about = {
        "run": data["id"],
        "pipeline": data["pipeline"],
        "status": _standing(data),
        **_withdrawn(data),
        "started": moment(data["created"]),
        "took": _took(data),
        "by": who(data),
        **(data["parameters"] or {}),
        "commits": data["commits"],
        "code": data["code"][:12],
        "goes on from": data["resumes"],
        **_remarks(data),
    }
    steps = list(_folded(data["steps"]))
    troubled = [
        (one["step"], str(one["attempt"]), one["status"], (one["error"] or {}).get("message", ""))
        for one in data["executions"]
        if one["attempt"] > 1 or one["status"] != "succeeded"
    ]
    parts = [
        lines({key: value for key, value in about.items() if value}),
        table(("step", "action", "reason", "took"), steps) if steps else "",
        _at_work(data),
        table(("step", "attempt", "status", "error"), troubled) if troubled else "",
        trials(data["trials"]) if data.get("trials") else "",
        "\n".join(f"warning: {one['text']}" for one in data.get("undeclared", ())),
        lines({"metrics": data["metrics"]}) if data["metrics"] else "",
        f"error: {data['error']['message']}" if data["error"] else "",
    ]
    return "\n\n".join(part for part in parts if part)


MOST_AT_WORK = 20
FOLDED = 8
"""Items of a step that are shown one by one; more that are alike share a row."""


def _folded(steps: Sequence[Json]) -> Iterable[tuple[str, str, str, str]]:
    """Yield a row for each step; many items that are alike share one, with all that they took."""
    alike: dict[tuple[str, str, str], list[Json]] = {}
    for one in steps:
        kind = (base_name(one["name"]), one["action"], reason(one["reason"]))
        alike.setdefault(kind, []).append(one)
    for (base, action, why), group in alike.items():
        if len(group) > FOLDED:
            took = sum(one["seconds"] or 0.0 for one in group)
            yield f"{base} ×{len(group):,}", action, why, f"{duration(took)} in all"
        else:
            yield from ((one["name"], action, why, duration(one["seconds"])) for one in group)


def _at_work(data: Json) -> str:
    """Return the steps that are at work in a run that is under way, and how many are to come."""
    now = datetime.now().timestamp()
    rows = []
    for one in data["at_work"][:MOST_AT_WORK]:
        took = now - one["since"]
        done, total = one.get("done", 0), one.get("total", 0)
        left = duration(took * (total - done) / done) if done and total else "-"
        far = f"{done:g}/{total:g} {one['what']}".rstrip() if total else "-"
        rows.append((one["step"], far, duration(took), left, one["reason"]))
    hidden = len(data["at_work"]) - len(rows)
    told = [f"{amount(hidden, 'step')} more at work"] if hidden else []
    told += [f"{amount(data['to_come'], 'step')} to come"] if data["to_come"] else []
    more = ", ".join(told)
    shown = table(("at work", "progress", "for", "left", "reason"), rows) if rows else ""
    return "\n".join(part for part in (shown, more) if part)


def code(data: Json) -> str:
    """Return the files of a run's code, or where they were written."""
    files = data["files"]
    if data["out"]:
        return f"{amount(len(files), 'file')} of run {data['run']} written to {data['out']}"
    return table(("file", "size"), [(name, size(count)) for name, count in files.items()])


def log_line(data: Json) -> str:
    """Return a line of a log: when, which step, which attempt where it is not the first, what."""
    attempt = f" try {data['attempt']}" if (data["attempt"] or 1) > 1 else ""
    level = "" if data["level"] == "info" else f"{data['level'].upper()} "
    clock = datetime.fromtimestamp(data["time"]).astimezone().strftime("%H:%M:%S")
    return f"{clock} {data['step']}{attempt} | {level}{data['text']}"


def trials(data: Json) -> str:
    """Return the trials of a sweep: what each tried, and what that came to; the best is marked."""
    settings = list(dict.fromkeys(key for one in data for key in one["chosen"]))
    metrics = list(dict.fromkeys(name for one in data for name in one["metrics"]))
    faults = ["failed"] if any(one["failed"] for one in data) else []
    rows = [
        (
            f"{one['number']}{' best' if one['best'] else ''}",
            *(one["chosen"].get(key) for key in settings),
            *(one["metrics"].get(name) for name in metrics),
            _trial_took(one),
            *(one[name] for name in faults),
        )
        for one in data
    ]
    short = (key.removeprefix("training.") for key in settings)
    return table(("trial", *short, *metrics, "took", *faults), rows)


def sweep(data: Json) -> str:
    """Return a sweep: its trials, how much each setting mattered, where its report is."""
    mattered = [(key, f"{share:.0%}") for key, share in data["importance"].items()]
    parts = [
        trials(data["trials"]),
        table(("setting", f"mattered for {data['metric']}"), mattered)
        if mattered
        else "Too few trials came to their end, or all to the same, to say what mattered.",
        f"The report is {data['out']}"
        if data["out"]
        else "`--out FILE.html` writes it with pictures.",
    ]
    return "\n\n".join(parts)


def _trial_took(one: Json) -> str:
    if one["like"] is not None:
        return f"same as {one['like']}"
    early = one.get("stopped")
    return duration(one["seconds"]) + (f", ended after epoch {early}" if early else "")


def _standing(one: Mapping[str, Any]) -> str:
    """Return a run's status; of a waiting one, what was decided, and whether it is to be run again.

    A run that waits never changes: another goes on from there.
    """
    decided = {review["status"] for review in one.get("reviews", ()) if review["status"] != "open"}
    if one["status"] != "waiting" or not decided:
        return str(one["status"])
    if decided == {"withdrawn"}:
        return "waiting (withdrawn: nobody is asked)"
    said = "rejected" if "rejected" in decided else "approved"
    if all(review["status"] == "approved" and not review["went_on"] for review in one["reviews"]):
        said += ": run again"
    return f"waiting ({said})"


def _withdrawn(one: Mapping[str, Any]) -> dict[str, str]:
    """Return why reviews that a run waits for are asked no more, by their ids."""
    gone = (review for review in one.get("reviews", ()) if review["status"] == "withdrawn")
    return {f"review {review['id']}": f"withdrawn: {review['note']}" for review in gone}


def _took(one: Mapping[str, Any]) -> str:
    return duration(one["ended"] - one["created"]) if one.get("ended") else "-"


def cancelled(data: Json) -> str:
    """Return what became of a run that was cancelled."""
    first = f"run {data['run']} is {'already ' if data['already'] else ''}{data['why']}"
    return first if data["ended"] else f"{first}\nIts driver, on another machine, ends by itself."
