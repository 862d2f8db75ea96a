"""Records as text for people: pure, and plain enough to be piped."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

Json = Any

# --- small parts --------------------------------------------------------------------------------


def table(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return columns under their headers; the last column is not padded."""
    cells = [
        [str(header) for header in headers],
        *([_cell(value) for value in row] for row in rows),
    ]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(_pad(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    return number(value) if isinstance(value, float) else " ".join(str(value).split())


def number(value: float) -> str:
    """Return a number short enough to read: six digits, all of them where it is large or tiny."""
    return f"{value:.6g}" if 1e-4 <= abs(value) < 1e6 else repr(value)


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _pad(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def duration(seconds: float | None) -> str:
    """Return a duration in the unit that suits it."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 90:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def moment(seconds: float | None) -> str:
    """Return a time as the local clock shows it."""
    if seconds is None:
        return "-"
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def size(count: float) -> str:
    """Return a number of bytes in the unit that suits it."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def several(count: int, thing: str) -> str:
    """Return a number of things, the plural made."""
    return f"{count:,} {thing}" + ("" if count == 1 else "s")


def base_name(step: str) -> str:
    """Return the name that the items and further calls of a step share: f of f#2 and f[3]."""
    return step.partition("[")[0].partition("#")[0]


def lines(data: Json) -> str:
    """Return nested data as indented lines, for what has no table of its own."""
    return "\n".join(_lines(data, 0))


def _lines(data: Json, depth: int) -> Iterable[str]:
    indent = "  " * depth
    if isinstance(data, Mapping):
        for key, value in data.items():
            if isinstance(value, Mapping | list) and value:
                yield f"{indent}{key}:"
                yield from _lines(value, depth + 1)
            else:
                yield f"{indent}{key}: {_cell(value) if value not in ([], {}) else '-'}"
    elif isinstance(data, list):
        for item in data:
            if isinstance(item, Mapping):
                first, *rest = list(_lines(item, depth + 1)) or [f"{indent}  -"]
                yield f"{indent}- {first.strip()}"
                yield from rest
            else:
                yield from _lines(item, depth)
    else:
        yield from (f"{indent}{line}" for line in str(data).splitlines() or [""])


# --- plans and runs -----------------------------------------------------------------------------


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
        f"  {several(len(executed), 'step')} executed, {ended.count('hit')} kept{skipped}",
    ]
    if data["outputs"]:
        parts += ["outputs", *(f"  {line}" for line in lines(data["outputs"]).splitlines())]
    parts += [f"{_PAGES.get(step, step)}: {path}" for step, path in data.get("pages", {}).items()]
    parts += [line for one in data["reviews"] for line in _asked(one)]
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


def _asked(review: Mapping[str, Any]) -> Iterable[str]:
    name = review["id"]
    yield f"review {name} of {review['step']} is {review['status']}"
    if review["status"] == "withdrawn" and review.get("newer"):
        yield f"  the newer one: raypipe review show {review['newer']}"
    if review["status"] == "open":
        yield f"  raypipe review show {name}"
        yield f"  raypipe review approve {name} --by NAME --note TEXT   (or reject)"


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


def runs(data: Json) -> str:
    """Return runs as a table, as they come."""
    if not data:
        return "There are no runs yet: `raypipe run TARGET` makes one."
    rows = [
        (one["id"], one["pipeline"], _standing(one), moment(one["created"]), _took(one), _who(one))
        for one in data
    ]
    return table(("run", "pipeline", "status", "started", "took", "by"), rows)


def run(data: Json) -> str:
    """Return one run: what it was, what became of each step, and where its curves ended."""
    about = {
        "run": data["id"],
        "pipeline": data["pipeline"],
        "status": _standing(data),
        **_withdrawn(data),
        "started": moment(data["created"]),
        "took": _took(data),
        "by": _who(data),
        **(data["parameters"] or {}),
        "commits": data["commits"],
        "code": data["code"][:12],
        "goes on from": data["resumes"],
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
    told = [f"{several(hidden, 'step')} more at work"] if hidden else []
    told += [f"{several(data['to_come'], 'step')} to come"] if data["to_come"] else []
    more = ", ".join(told)
    shown = table(("at work", "progress", "for", "left", "reason"), rows) if rows else ""
    return "\n".join(part for part in (shown, more) if part)


def code(data: Json) -> str:
    """Return the files of a run's code, or where they were written."""
    files = data["files"]
    if data["out"]:
        return f"{several(len(files), 'file')} of run {data['run']} written to {data['out']}"
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
            duration(one["seconds"]) if one["like"] is None else f"same as {one['like']}",
            *(one[name] for name in faults),
        )
        for one in data
    ]
    short = (key.removeprefix("training.") for key in settings)
    return table(("trial", *short, *metrics, "took", *faults), rows)


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


def _who(one: Mapping[str, Any]) -> str:
    actor = one.get("actor") or {}
    return actor.get("name") or actor.get("user") or "-"


# --- reviews ------------------------------------------------------------------------------------


def reviews(data: Json) -> str:
    """Return reviews as a table."""
    if not data:
        return "No review has been asked for."
    rows = [
        (one["id"], one["status"], one["pipeline"], one["step"], one["run"],
         moment(one["created"]), _who(one), one.get("note"))
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
        about |= {"by": _who(data), "decided": moment(data["decided"]), "note": data["note"]}
    parts = [lines(about), lines(data["shown"])]
    if data["report"]:
        parts.append(f"report: {data['report']}")
    if data.get("data_report"):
        parts.append(f"data report: {data['data_report']}")
    if data["status"] == "open":
        parts.append("\n".join(_asked(data)))
    return "\n\n".join(parts)


def decided(data: Json) -> str:
    """Return what a decision means for what comes next."""
    note = f": {data['note']}" if data.get("note") else ""
    already = "already " if data["already"] else ""
    first = f"review {data['id']} is {already}{data['status']} by {_who(data)}{note}"
    if data["status"] == "approved" and data["command"]:
        return f"{first}\nIt goes on with: {data['command']}"
    return first


def cancelled(data: Json) -> str:
    """Return what became of a run that was cancelled."""
    first = f"run {data['run']} is {'already ' if data['already'] else ''}{data['why']}"
    return first if data["ended"] else f"{first}\nIts driver, on another machine, ends by itself."


def lineage(data: Json) -> str:
    """Return what a version was made of, in a line for each thing; --json has every digest."""
    made = data["lineage"]
    asked = data["review"]
    about = {
        "model": f"{data['model']}@{data['version']}",
        "run": data["run"],
        "commits": data["commits"],
        "shards": several(len(made["shards"]), "shard"),
        "code": several(len(made["code"]), "function and class"),
        "review": f"{asked['id']} approved by {_who(asked)}" if asked else "-",
        **{name: value for name, value in made.items() if name not in {"shards", "code"}},
    }
    return lines(about)


# --- data and models ----------------------------------------------------------------------------


def commits(data: Json) -> str:
    """Return commits as a table, as they come."""
    rows = [(one["id"][:12], moment(one["time"]), _who(one), _told(one)) for one in data]
    return table(("commit", "time", "by", "message"), rows)


def _told(commit: Json) -> str:
    """Return what a commit says, and which changes a person expected of it."""
    expected = [f"{key} ({said})" for key, said in commit["meta"].items() if key[:7] == "accept "]
    return "; ".join([commit["message"], *expected])


def dataset(data: Json) -> str:
    """Return a dataset: its commit, a row for each shard, and its columns."""
    about = {"commit": data["commit"], "rows": f"{data['rows']:,}", **guarded(data)}
    shards = [(one["path"], f"{one['rows']:,}", size(one["bytes"])) for one in data["shards"]]
    columns = data["columns"].items()
    parts = (
        lines(about),
        table(("shard", "rows", "size"), shards),
        table(("column", "type"), columns),
    )
    return "\n\n".join(parts)


def guarded(data: Json) -> Json:
    """Return how a dataset stands: whether it was validated, what its branch does not let in."""
    said = {"validation": data["validation"]} if "validation" in data else {}
    if (held := data.get("protected")) is None:
        return said
    since = f"{moment(held['since'])} by {held['by']}"
    said["protected"] = f"since {since}" + (f", gate {held['gate']}" if "gate" in held else "")
    refused = [f"{moment(one['time'])} {one['what'][:40]}: {one['why']}" for one in data["refused"]]
    return {**said, "refused": refused} if refused else said


def profile(data: Json) -> str:
    """Return a row for each column, with those statistics that any of them has."""
    told = {name: _facts(column) for name, column in data.items()}
    facts = list(dict.fromkeys(name for column in told.values() for name in column))
    rows = [(name, *(column.get(fact) for fact in facts)) for name, column in told.items()]
    return table(("column", *facts), rows) + "\n\n~ is an estimate; top of a ~ is of a sample."


def _facts(column: Mapping[str, Any]) -> dict[str, str]:
    said = {
        name: _top(value) if isinstance(value, list) else _cell(value)
        for name, value in column.items()
        if name != "approximate"
    }
    if "nulls" in column:
        said["nulls"] = f"{column['nulls']:.1%}"
    return {
        name: f"~ {text}" if name in column.get("approximate", ()) else text
        for name, text in said.items()
    }


def _top(values: list[Any]) -> str:
    return ", ".join(f"{one['value']} ({one['count']:,})" for one in values)


def changes(data: Json) -> str:
    """Return what differs: files, rows, columns, and the statistics of columns, each by a line."""
    signs = {"added": "+", "removed": "-", "changed": "~"}
    files = [f"{sign} {path}" for kind, sign in signs.items() for path in data[kind]]
    if not files:
        return "Nothing differs."
    rows, columns = data["rows"], data["columns"]
    named = [f"+ column {name}" for name in columns["added"]]
    named += [f"- column {name}" for name in columns["removed"]]
    named += [
        f"~ column {name}: {kind['before']} → {kind['after']}"
        for name, kind in columns["types"].items()
    ]
    count = f"{rows['before']:,} → {rows['after']:,} rows ({rows['after'] - rows['before']:+,})"
    parts = ["\n".join(files), count, "\n".join(named), _statistics(data["statistics"])]
    return "\n\n".join(part for part in parts if part)


def _statistics(columns: Mapping[str, Any]) -> str:
    """Return a row for each column, the farthest from what it was first."""
    if not columns:
        return ""
    facts = list(dict.fromkeys(fact for one in columns.values() for fact in one))
    far = sorted(columns.items(), key=lambda pair: -pair[1].get("distance", 0))
    rows = [(name, *(_then_and_now(one.get(fact)) for fact in facts)) for name, one in far]
    return table(("column", *facts), rows)


def _then_and_now(fact: Any) -> str | None:
    if not isinstance(fact, dict):
        return None if fact is None else f"{fact:.3g}"
    then, now = (_facts({"of": fact[side]})["of"] for side in ("before", "after"))
    return f"{then} → {now}"


def models(data: Json) -> str:
    """Return a row for each version of each model."""
    if not data:
        return "There are no models yet: `raypipe run FILE` makes one, once its review is approved."
    rows = []
    for one in data:
        for version in one["versions"]:
            aliases = [alias for alias, named in one["aliases"].items() if named == version]
            rows.append((one["model"], version, ", ".join(sorted(aliases))))
    return table(("model", "version", "aliases"), rows)


# --- requests -----------------------------------------------------------------------------------


def audit(data: Json) -> str:
    """Return what an audit of the request log found."""
    if not data["segments"] and not data["removed"]["segments"]:
        return "The request log is empty."
    kinds = [
        (one["kind"], one["model"], one["version"], f"{one['records']:,}") for one in data["kinds"]
    ]
    where = f"{several(data['segments'], 'segment')}, {data['open']} of them open"
    said = [table(("kind", "model", "version", "records"), kinds), ""]
    said.append(f"{several(data['records'], 'record')} in {where}.")
    if data["torn"]:
        said.append(f"{data['torn']:,} bytes at ends were never acknowledged.")
    gone = data["removed"]
    if gone["segments"]:
        said.append(
            f"{several(gone['requests'], 'request')} and {several(gone['labels'], 'label')} until "
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


# --- home ---------------------------------------------------------------------------------------


def cleaning(data: Json) -> str:
    """Return what would be, or was, removed."""
    what = f"{several(data['count'], 'thing')}, {size(data['bytes'])}"
    shown = "".join(f"  {one}\n" for one in (*data.get("shown", []), *_rows(data)))
    if data["dry_run"]:
        return f"{shown}{what} could be removed. `raypipe clean --yes` removes them."
    return f"{shown}{what} removed."


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
    told = [several(rows[one], what) for one, what in named.items() if rows.get(one)]
    if data.get("modules"):
        told.append(f"{several(data['modules'], 'module')} of the index whose files are gone")
    if (log := data.get("requests", {})).get("segments"):
        told.append(
            f"{several(log['segments'], 'segment')} of the request log: "
            f"{several(log['requests'], 'request')}, {several(log['labels'], 'label')}"
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
