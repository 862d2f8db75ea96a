"""What is known of a dataset's columns at a commit, and how that differs from another's.

Each shard is read once, and what it tells is kept under its content: the next question about it
costs a merge.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from raypipe.app.assemble import Workshop
from raypipe.app.prepare import Prepared
from raypipe.app.request import RunRequest
from raypipe.app.run import kept, run_prepared
from raypipe.engine.graph import build
from raypipe.engine.records import Json
from raypipe.stages.data import profile_rows
from raypipe.values.dataset import Dataset
from raypipe.values.uri import parse_uri

if TYPE_CHECKING:
    from raypipe.values.columns import ColumnProfile
    from raypipe.values.profile import Profile

STATISTICS = ("nulls", "distinct", "min", "median", "max", "mean", "top")
"""Facts that two commits are compared by."""
FEW = 20
"""Distinct values of a column whose most frequent ones are compared."""


def profile_of(workshop: Workshop, dataset: Dataset, key: tuple[str, ...]) -> "Profile":
    """Return the profile of all rows of a dataset."""
    from raypipe.values.profile import Profile

    return Profile.merge_all(_profiles(workshop, dataset, key).values())


def _profiles(
    workshop: Workshop, dataset: Dataset, key: tuple[str, ...]
) -> Mapping[str, "Profile"]:
    """Return the profile of each shard: those that are kept, and the others by a run."""
    graph = build(
        lambda: {shard.path: profile_rows(shard, key) for shard in dataset.shards},
        f"{parse_uri(dataset.uri).repo}.profile",
        {},
    )
    prepared = Prepared(graph=graph, workshop=workshop, target=dataset.uri, of_project=False)
    if (values := kept(prepared)) is not None:
        return values
    outcome = run_prepared(prepared, RunRequest())
    if outcome.error is not None:
        raise outcome.error
    return outcome.values


def compared(
    workshop: Workshop, before: Dataset | None, after: Dataset | None, key: tuple[str, ...] = ()
) -> dict[str, Json]:
    """Return how rows, columns and statistics differ; None stands for a dataset without data."""
    from raypipe.values.profile import Profile

    nothing = Profile.merge_all([])
    old, new = (
        nothing if one is None else profile_of(workshop, one, key) for one in (before, after)
    )
    both = [name for name in new.columns if name in old.columns]
    return {
        "rows": {"before": old.rows, "after": new.rows},
        "columns": {
            "added": [name for name in new.columns if name not in old.columns],
            "removed": [name for name in old.columns if name not in new.columns],
            "types": {
                name: {"before": old.columns[name].type, "after": new.columns[name].type}
                for name in both
                if old.columns[name].type != new.columns[name].type
            },
        },
        "statistics": {
            name: found
            for name in both
            if (found := _changed_facts(old.columns[name], new.columns[name]))
        },
    }


def _changed_facts(before: "ColumnProfile", after: "ColumnProfile") -> Json:
    """Return each fact that differs, and how far the values of now lie from those before."""
    from raypipe.values.drift import column_distance

    old, new = facts_of(before), facts_of(after)
    told = STATISTICS if max(before.distinct, after.distinct) <= FEW else STATISTICS[:-1]
    found: dict[str, Json] = {
        fact: {"before": old.get(fact), "after": new.get(fact)}
        for fact in told
        if old.get(fact) != new.get(fact)
    }
    if found and (distance := column_distance(after, before)) is not None:
        found["distance"] = distance
    return found


def facts_of(column: Any) -> Json:
    """Return what is known of a column; `approximate` names what is not counted or sorted out."""
    exact = column.values is not None
    facts = {
        "type": column.type,
        "nulls": column.null_share,
        "distinct": column.distinct,
        "min": _moment(column.type, column.min),
        "median": _moment(column.type, column.quantile(0.5)),
        "max": _moment(column.type, column.max),
        "mean": _moment(column.type, column.mean),
        "top": [{"value": value, "count": count} for value, count in column.top[:5]],
        "approximate": ["median"] if exact else ["median", "distinct", "top"],
    }
    return {name: value for name, value in facts.items() if value not in (None, "", [])}


def _moment(kind: str, value: Any) -> Any:
    """Return seconds since the epoch as the date or the time that they are of."""
    if not isinstance(value, float) or not kind.startswith(("date", "timestamp")):
        return value
    at = datetime.fromtimestamp(value, UTC)
    return at.date().isoformat() if kind.startswith("date") else at.isoformat()
