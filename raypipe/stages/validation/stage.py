"""The validation stage, as a run calls it: infer what rows must be, look, let them in or not."""

from __future__ import annotations

import shlex
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from raypipe.config.data import DataConfig
from raypipe.config.validation import DuplicatesConfig, ValidationConfig
from raypipe.engine.step import step
from raypipe.errors import UsageError, ValidationStopped
from raypipe.values.checked import Checked
from raypipe.values.dataset import Dataset, Shard
from raypipe.values.feedback import Joined
from raypipe.values.schema import Role, Schema
from raypipe.values.signature import Task
from raypipe.values.validation import Anomaly, Found, Validation

if TYPE_CHECKING:  # a plan imports this module, and must not wait for Arrow
    from raypipe.values.profile import SplitProfiles
    from raypipe.values.traces import Traces

SHOWN = 10
"""Reasons that the message of a stop lists."""


@step(driver=True)
def infer(
    name: str, profiles: SplitProfiles, data: DataConfig, settings: ValidationConfig, task: Task
) -> Schema:
    """Return the schema that the rows at hand keep; later rows are held against its file.

    UsageError if the label is none for the task: a schema made with a wrong label would stay. (A
    constant one is a fault of the rows, and `validate` says so.)
    """
    from raypipe.stages.validation.inference import infer_schema
    from raypipe.values.label import fit_label

    schema = infer_schema(name, profiles.all, data, settings)
    values = profiles.all.columns[data.label].values
    if values is None or len(values) > 1:
        fit_label(profiles.all, schema, data.label, task)
    return schema


@step(num_cpus=1)
def trace_shard(shard: Shard, data: DataConfig, settings: DuplicatesConfig | None) -> Traces:
    """Keep of each row of a shard what its like is found by: once, however the data grows."""
    from raypipe.stages.validation.reading import traced

    return traced(shard, data, settings)


@step(driver=True)
def search_rows(
    traces: list[Traces],
    shards: list[Shard],
    profiles: SplitProfiles,
    data: DataConfig,
    settings: DuplicatesConfig | None,
) -> tuple[Found, ...]:
    """Search all rows for copies, contradictions and leaks, by their traces."""
    from raypipe.stages.validation.reading import text_of
    from raypipe.stages.validation.search import Rows, search

    if settings is None:
        return ()
    rows = Rows(paths=[shard.path for shard in shards], traces=traces)
    return search(rows, profiles.all, data, settings, text_of(shards))


@step(driver=True)
def validate(
    profiles: SplitProfiles,
    schema: Schema,
    data: DataConfig,
    settings: ValidationConfig,
    fresh: SplitProfiles | None = None,
    baseline: SplitProfiles | None = None,
    searched: tuple[Found, ...] = (),
    checked: Checked | None = None,
    missing: str = "",
) -> Validation:
    """Hold all rows against the schema, and the new ones against those accepted before.

    `checked` is what deepchecks found, and `missing` why it did not look.
    """
    from raypipe.stages.validation.checks import check
    from raypipe.stages.validation.deepchecks.findings import joined
    from raypipe.stages.validation.naming import require_columns

    require_agreement(schema, data)
    require_columns(profiles.all, schema, data, settings)
    found = check(
        profiles,
        schema,
        settings,
        fresh=fresh,
        baseline=baseline,
        searched=searched,
        split=data.split,
    )
    return joined(found, checked, missing, settings)


@step(driver=True, uncounted=("page",))
def admit(
    dataset: Dataset,
    profiles: SplitProfiles,
    validation: Validation,
    schema: Schema,
    page: Path | None = None,
) -> Schema:
    """Let the dataset in, or raise ValidationStopped; what follows depends on the schema alone.

    `page` is where the data report lies, for who is told of the stop.
    """
    if not validation.stops:
        return schema
    stops = validation.stops
    things = "one thing stops" if len(stops) == 1 else f"{len(stops)} things stop"
    lines = [f"  {found.message} Allow it: {found.allow}." for found in stops[:SHOWN]]
    if len(stops) > SHOWN:
        lines.append(f"  … and {len(stops) - SHOWN} more")
    report = f"Look at the report {page}. " if page is not None else ""
    raise ValidationStopped(
        "\n".join([f"{things} {dataset.uri}:", *lines]),
        hint=f"{report}Mend the data and import it again, or allow what is meant to be so; what is "
        f"expected this once: --accept {shlex.quote(stops[0].name)} --why TEXT.",
    )


@step(driver=True)
def validate_asked(
    joined: Joined, schema: Schema, features: tuple[str, ...], settings: ValidationConfig
) -> tuple[Anomaly, ...]:
    """Hold what a model was asked against the schema as it is in serving, where no label is.

    `features` are the columns that a version needs. It stops nothing: the answers were given.
    """
    from raypipe.stages.validation.asked import check_asked

    return check_asked(joined, schema, features, settings)


def require_agreement(schema: Schema, data: DataConfig) -> None:
    """Raise UsageError if the schema gives another label, key or time than the settings."""
    wanted: dict[Role, tuple[str, ...]] = {
        "label": (data.label,),
        "key": data.key,
        "time": (data.time,) if data.time else (),
    }
    for role, columns in wanted.items():
        known = schema.named(role)
        there = [column.name for column in schema.columns]
        if missing := sorted(set(columns) - set(there)):
            close = get_close_matches(missing[0], there, n=1)
            known_as = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(there)}"
            raise UsageError(
                f"data.{role} names {missing[0]!r}, which is no column of the schema",
                hint=f"{known_as}. If it is new in the data, delete the schema file: the next run "
                "infers it again.",
            )
        if sorted(known) != sorted(columns):
            raise UsageError(
                f"data.{role} is {_list(columns)}, but the schema has {_list(known)} as {role}",
                hint=f"Give these columns `role: {role}` in the schema file, or delete the file: "
                "the next run infers it again.",
            )


def _list(columns: tuple[str, ...]) -> str:
    return ", ".join(map(repr, columns)) or "none"
