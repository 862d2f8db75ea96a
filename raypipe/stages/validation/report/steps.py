"""The steps of the data report, as a run calls them: each writes a page, and reads no rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from raypipe.config.data import DataConfig
from raypipe.config.validation import ValidationConfig
from raypipe.engine.context import current
from raypipe.engine.step import step
from raypipe.pages.look import look_of
from raypipe.values.checked import Checked
from raypipe.values.dataset import Dataset, Shard
from raypipe.values.schema import Schema
from raypipe.values.validation import Validation

if TYPE_CHECKING:  # a plan imports this module, and must not wait for Arrow
    from raypipe.stages.validation.report.report import Report
    from raypipe.values.profile import Profile, SplitProfiles


def report_look() -> str:
    """Return the digest of what a data report is drawn with."""
    return look_of(Path(__file__).with_name("templates"))


@step(driver=True)
def report_data(
    name: str,
    dataset: Dataset,
    profiles: SplitProfiles,
    validation: Validation,
    schema: Schema,
    data: DataConfig,
    settings: ValidationConfig,
    fresh: SplitProfiles | None = None,
    baseline: SplitProfiles | None = None,
    new: tuple[Shard, ...] = (),
    checked: Checked | None = None,
    look: str = "",
) -> Path:
    """Write what is known of a dataset and what validation found as one HTML file.

    `fresh` are the rows of the `new` shards, and `baseline` those accepted before. `checked` is
    what deepchecks came to, and `look` the digest of what the page is drawn with.
    """
    from raypipe.stages.validation.report.checks import checks_of
    from raypipe.stages.validation.report.report import Report, Validated

    return _written(
        Report(
            name=name,
            dataset=dataset,
            now=profiles.all,
            before=None if baseline is None else baseline.all,
            new=None if fresh is None else fresh.all,
            new_shards=new,
            settings=settings,
            checks=None if checked is None else checks_of(checked),
            validated=Validated(validation=validation, splits=profiles, schema=schema, data=data),
        )
    )


@step(driver=True)
def report_rows(
    name: str,
    dataset: Dataset,
    profiles: list[Profile],
    fresh: list[Profile],
    before: list[Profile] | None = None,
    new: tuple[Shard, ...] = (),
    look: str = "",
) -> Path:
    """Write what is known of rows of which no settings say what they mean.

    `fresh` are those of the `new` shards, which are not among the ones `before`.
    """
    from raypipe.stages.validation.report.report import Report
    from raypipe.values.profile import Profile

    return _written(
        Report(
            name=name,
            dataset=dataset,
            now=Profile.merge_all(profiles),
            before=None if before is None else Profile.merge_all(before),
            new=Profile.merge_all(fresh) if fresh else None,
            new_shards=new,
        )
    )


def _written(report: Report) -> Path:
    from raypipe.pages.page import write
    from raypipe.stages.validation.report.page import render

    return write(render(report), current().scratch / f"{report.name}-data.html")
