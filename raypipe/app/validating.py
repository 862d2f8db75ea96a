"""Validation and report as a part of a graph: what a cycle, an import and a report share."""

from dataclasses import dataclass
from typing import Any

from raypipe.app.checking import NO_CHECKS, Checking, connect_checks
from raypipe.config.cycle import CycleConfig
from raypipe.stages.data import merged_profiles
from raypipe.stages.validation import (
    admit,
    infer,
    report_data,
    report_look,
    search_rows,
    trace_shard,
    validate,
)
from raypipe.values.dataset import Dataset, Shard
from raypipe.values.schema import Schema


@dataclass(frozen=True, kw_only=True, eq=False)
class Validated:
    """References to what is known of a dataset once it was looked at."""

    profile: Any
    schema: Any
    validation: Any
    page: Any
    """The data report."""
    dataset: Dataset

    def admitted(self) -> Any:
        """Connect the step that lets the dataset in, or stops the run and names the report."""
        return admit(self.dataset, self.profile, self.validation, self.schema, self.page)


def connect_validation(
    config: CycleConfig,
    dataset: Dataset,
    profiles: list[Any],
    schema: Schema | None,
    *,
    new: tuple[Shard, ...] = (),
    baseline: Any = None,
    inferred_from: Any = None,
    checking: Checking = NO_CHECKS,
) -> Validated:
    """Connect validation and report; `profiles` are of the dataset's shards, in their order.

    The `new` shards are held against the profiles `baseline`. A schema that nobody wrote yet is
    inferred, from all rows where nothing else is said. `checking` is what deepchecks runs in.
    """
    data, alike = config.data, config.validation.duplicates
    profile = merged_profiles(profiles)
    traces = [trace_shard(shard, data, alike) for shard in dataset.shards]
    paths = {shard.path for shard in new}
    of_new = [p for p, s in zip(profiles, dataset.shards, strict=True) if s.path in paths]
    fresh = merged_profiles(of_new) if new else None
    known: Any = schema
    if known is None:
        rows = profile if inferred_from is None else inferred_from
        known = infer(config.name, rows, data, config.validation, config.training.task)
    checks = config.validation.deepchecks
    checked = connect_checks(dataset, data, config.training.task, checks, checking)
    validation = validate(
        profile,
        known,
        data,
        config.validation,
        fresh=fresh,
        baseline=baseline,
        searched=search_rows(traces, list(dataset.shards), profile, data, alike),
        checked=checked,
        missing=checking.missing,
    )
    page = report_data(
        config.name,
        dataset,
        profile,
        validation,
        known,
        data,
        config.validation,
        fresh=fresh,
        baseline=baseline,
        new=new,
        checked=checked,
        look=report_look(),
    )
    return Validated(
        profile=profile, schema=known, validation=validation, page=page, dataset=dataset
    )
