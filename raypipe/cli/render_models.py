"""Models, their versions and what those were made of as text for people."""

from typing import Any

from raypipe.cli.render import lines, table, who
from raypipe.values.words import amount

Json = Any


def lineage(data: Json) -> str:
    """Return what a version was made of, in a line for each thing; --json has every digest."""
    made = data["lineage"]
    asked = data["review"]
    about = {
        "model": f"{data['model']}@{data['version']}",
        "run": data["run"],
        "commits": data["commits"],
        "shards": amount(len(made["shards"]), "shard"),
        "code": amount(len(made["code"]), "function or class", "functions and classes"),
        "review": f"{asked['id']} approved by {who(asked)}" if asked else "-",
        **{name: value for name, value in made.items() if name not in {"shards", "code"}},
    }
    return lines(about)


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
