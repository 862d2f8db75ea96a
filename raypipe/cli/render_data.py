"""Versioned data as text for people: commits, datasets, statistics, and what differs."""

from collections.abc import Iterator, Mapping
from typing import Any

from raypipe.cli.render import cell, lines, moment, size, table, who
from raypipe.values.words import amount

Json = Any


def commits(data: Json) -> str:
    """Return commits as a table, as they come."""
    rows = [(one["id"][:12], moment(one["time"]), who(one), _told(one)) for one in data]
    return table(("commit", "time", "by", "message"), rows)


def _told(commit: Json) -> str:
    """Return what a commit says, and which changes a person expected of it."""
    meta = commit["meta"].items()
    expected = [f"{key} ({said})" for key, said in meta if key.startswith("accept ")]
    return "; ".join([commit["message"], *expected])


def dataset(data: Json) -> str:
    """Return a dataset: its commit, a row for each shard, and its columns."""
    about = {"commit": data["commit"], "rows": f"{data['rows']:,}", **guarded(data)}
    if data["schemas"]:
        about["schema"] = f"of {', '.join(data['schemas'])}: `raypipe data schema` shows it"
    shards = [(one["path"], f"{one['rows']:,}", size(one["bytes"])) for one in data["shards"]]
    columns = data["columns"].items()
    parts = (
        lines(about),
        table(("shard", "rows", "size"), shards),
        table(("column", "type"), columns),
    )
    return "\n\n".join(parts)


def schemas(data: Json) -> str:
    """Return the schemas of a commit as files are, with what else is known as their comments."""
    about = [f"# commit {data['commit']}", *_about_schemas(data)]
    return "\n".join([*about, *data["schemas"].values()])


def _about_schemas(data: Json) -> Iterator[str]:
    if (let_in := data.get("accepted")) is not None:
        yield f"# run {let_in['run']} let it in by {_compared(let_in)}"
    if (file := data.get("file")) is not None:
        said = _compared(file) if file["exists"] else "not there: a run writes it"
        yield f"# {file['path']} is {said}"


def _compared(one: Json) -> str:
    if "differs" not in one:
        return "a schema that does not go with the data"
    if not one["differs"]:
        return "this schema"
    return "another schema:\n" + "\n".join(f"#   {said}" for said in one["differs"])


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
        name: _top(value) if isinstance(value, list) else cell(value)
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
    count = (
        f"{rows['before']:,} → {amount(rows['after'], 'row')} ({rows['after'] - rows['before']:+,})"
    )
    named += [f"~ schema of {of}, {one}" for of, said in data["schemas"].items() for one in said]
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
