"""How the dataset of now differs from the one that an earlier result was made from."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from raypipe.app.assemble import Workshop
from raypipe.engine.difference import in_words
from raypipe.engine.records import Result
from raypipe.errors import RaypipeError
from raypipe.stages.data import dataset_at
from raypipe.store.locations import footer_of
from raypipe.values.dataset import Dataset, Shard, ShardChanges, shard_changes
from raypipe.values.uri import parse_uri

MOST = 64
"""Shards whose rows are counted, by their Parquet footers; of more, nothing is said of rows."""


def comparing(workshop: Workshop, dataset: Dataset) -> Callable[[Any, Result], str | None]:
    """Return what tells a dataset, or its shards, from what an earlier result was given."""
    known: dict[str, str | None] = {}

    def compare(value: Any, before: Result) -> str | None:
        if not _is_of(value, dataset):
            return None
        if before.run not in known:
            old = _dataset_of(workshop, before.run, dataset)
            changes = old and shard_changes(old, dataset)
            known[before.run] = told(changes, rows_of) if changes else None
        return known[before.run]

    return compare


def _is_of(value: Any, dataset: Dataset) -> bool:
    shards = value.shards if isinstance(value, Dataset) else value
    return isinstance(shards, list | tuple) and tuple(shards) == dataset.shards


def _dataset_of(workshop: Workshop, run: str, now: Dataset) -> Dataset | None:
    """Return the dataset that a run read of the same repository; None if that is not to be had."""
    wanted = parse_uri(now.uri)
    try:
        for uri, commit in workshop.ledger.get_run(run).commits.items():
            was = parse_uri(uri)
            if was.repository == wanted.repository:
                at = str(replace(was, ref=commit))
                return dataset_at(at, workshop.versions(was))
    except RaypipeError:  # the run, the repository or the commit is gone: less is said
        return None
    return None


def told(changes: ShardChanges, rows: Callable[[Sequence[Shard]], int | None]) -> str | None:
    """Return which shards differ and by how many rows, in words; None where none does."""
    new, changed, gone = changes.new, changes.changed, changes.gone
    if not (new or changed or gone):
        return None
    said = in_words("shard", changes.of, new=len(new), changed=len(changed), gone=len(gone))
    came = rows([*new, *(pair[1] for pair in changed)])
    went = rows([*gone, *(pair[0] for pair in changed)])
    return said if came is None or went is None else f"{said} ({came - went:+,} rows)"


def rows_of(shards: Sequence[Shard]) -> int | None:
    """Return the rows of shards by their footers; None where that cannot be told cheaply."""
    if len(shards) > MOST:
        return None
    try:
        return sum(int(footer_of(shard.location).num_rows) for shard in shards)
    except RaypipeError:
        return None
