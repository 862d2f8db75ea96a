"""What a model was asked and told as one pipeline: from the request log to the next data.

It is a pipeline of its own, since it cannot be a step of the run that it feeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from raypipe.config.cycle import CycleConfig
from raypipe.config.validation import DriftConfig
from raypipe.engine.graph import lookup, review
from raypipe.stages.data import merge_profiles, profile_shard
from raypipe.stages.feedback import capture, compare, expect, join, measure, offer, read_log
from raypipe.stages.validation import validate_asked
from raypipe.values.dataset import Dataset
from raypipe.values.feedback import LogPart, Registered
from raypipe.values.schema import Schema
from raypipe.values.signature import Label


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A version that was asked, and what the ledger knows of it."""

    registered: Registered
    features: tuple[str, ...]


def feedback(
    config: CycleConfig,
    model: str,
    label: Label,
    columns: dict[str, str],
    dataset: Dataset,
    parts: Sequence[LogPart],
    versions: Sequence[Asked],
    earlier: dict[str, str],
    schema: Schema | None = None,
) -> dict[str, Any]:
    """Connect the steps.

    `columns` are those of the data with their types, `parts` the segments of the request log,
    `versions` those that were asked, newest first, and `earlier` the rows of accepted captures.
    What was asked is held to `schema`, which the first run wrote.
    """
    data = config.data
    drifting = config.feedback.drift or config.validation.drift or DriftConfig()

    logged = [read_log(part, model, label, columns) for part in parts]
    joined = join(logged, label, columns)

    needed = tuple(dict.fromkeys(name for one in versions for name in one.features))
    asked = None if schema is None else validate_asked(joined, schema, needed, config.validation)

    registered = tuple(one.registered for one in versions)
    quality = measure(joined, label, registered, data, config.feedback, config.analysis.measuring)

    drift = []
    for one in versions:
        name = one.registered.version
        profiles = lookup(f"profiles of {name}")
        expected = expect(lookup(f"version {name}"), profiles)
        drift.append(compare(joined, name, one.features, profiles, expected, drifting))

    shards = dataset.shards
    present = merge_profiles([profile_shard(s, data.split, data.key, data.pairs) for s in shards])
    found = capture(joined, label, columns, data, present, earlier, config.feedback, quality, drift)
    decision = review(offer(found), name="review_captured", when=found.offered)
    return {"joined": joined, "asked": asked, "found": found, "decision": decision}
