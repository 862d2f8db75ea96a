"""Sets of edge cases as text for people."""

from typing import Any

from raypipe.cli.render import moment, table
from raypipe.pages.text import visible
from raypipe.values.words import amount

Json = Any
SHOWN = 50
"""Rows of a set that are printed."""
LONGEST = 40
"""Letters of a value that are printed."""


def added(data: Json) -> str:
    """Return what a set has now."""
    return (
        f"{amount(data['added'], 'row')} added: the edge cases {data['name']} of "
        f"{data['pipeline']} have {amount(data['rows'], 'row')}. Each run from now on evaluates "
        f"them: edge.{data['name']}.METRIC."
    )


def sets(data: Json) -> str:
    """Return the sets, one a line."""
    if not data:
        return "No edge cases are kept. `raypipe edge-cases add NAME FILE --config SETTINGS`."
    rows = [
        (one["name"], one["pipeline"], one["rows"], one["by"], moment(one["time"])) for one in data
    ]
    return table(("name", "pipeline", "rows", "by", "changed"), rows)


def one_set(data: Json) -> str:
    """Return the rows of a set."""
    head = f"{data['name']} of {data['pipeline']}: {amount(data['rows'], 'row')}"
    rows = [
        (number, *(_short(case.get(name)) for name in data["columns"]))
        for number, case in enumerate(data["cases"][:SHOWN], 1)
    ]
    left = data["rows"] - len(rows)
    more = f"\n… and {amount(left, 'row')} more; --json has all" if left else ""
    return f"{head}\n\n{table(('row', *data['columns']), rows)}{more}"


def removed(data: Json) -> str:
    """Return what is not asked any more."""
    return f"The edge cases {data['name']} of {data['pipeline']} are removed."


def _short(value: Any) -> str:
    if value is None:
        return ""
    return visible(str(value), LONGEST)
