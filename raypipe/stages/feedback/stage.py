"""The feedback stage, as a run calls it: read the log, join labels, measure, compare, capture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raypipe.config.analysis import MeasuringConfig
from raypipe.config.data import DataConfig
from raypipe.config.feedback import FeedbackConfig
from raypipe.config.validation import DriftConfig
from raypipe.engine.context import current
from raypipe.engine.step import step
from raypipe.values.feedback import (
    Captured,
    Drift,
    Expected,
    Findings,
    Joined,
    Logged,
    LogPart,
    Quality,
    Registered,
)
from raypipe.values.signature import Label
from raypipe.values.version import ModelVersion

if TYPE_CHECKING:  # a plan imports this module, and must not wait for Arrow
    from raypipe.values.profile import SplitProfiles


@step(driver=True)
def read_log(part: LogPart, model: str, label: Label, columns: dict[str, str]) -> Logged:
    """Read what a part of the request log says of one model.

    `columns` are those of the data, each with Arrow's name of its type.
    """
    from raypipe.stages.feedback.reading import logged

    return logged(part, model, label, columns)


@step(driver=True)
def join(parts: list[Logged], label: Label, columns: dict[str, str]) -> Joined:
    """Join what was asked with the labels that were told, by request and row; the latest wins."""
    from raypipe.stages.feedback.joining import joined

    return joined(parts, label, columns)


@step(driver=True)
def measure(
    joined: Joined,
    label: Label,
    versions: tuple[Registered, ...],
    data: DataConfig,
    settings: FeedbackConfig,
    measuring: MeasuringConfig,
) -> tuple[Quality, ...]:
    """Say how good the answers of each version are, by the labels that are known."""
    from raypipe.stages.feedback.quality import measured
    from raypipe.values.split import rule_columns

    groups = measuring.groups or rule_columns(data.split)
    return measured(joined, label, versions, groups, settings, measuring)


@step(driver=True)
def expect(version: ModelVersion, profiles: SplitProfiles) -> Expected:
    """Score a sample of the rows that a version was trained on: what its answers should be like."""
    from raypipe.model.bundle import load_bundle
    from raypipe.stages.feedback.drifting import expected_of
    from raypipe.store.artifacts import artifacts_of_run

    here = current()
    assert here.home is not None
    loaded = load_bundle(version.bundle, artifacts_of_run(here.home, here.run).path)
    return expected_of(loaded, profiles.train)


@step(driver=True)
def compare(
    joined: Joined,
    version: str,
    features: tuple[str, ...],
    profiles: SplitProfiles | None,
    expected: Expected | None,
    settings: DriftConfig,
) -> Drift:
    """Say how far what a version was asked and answered lies from its training."""
    from raypipe.stages.feedback.drifting import drifted

    train = None if profiles is None else profiles.train
    return drifted(joined, version, features, train, expected, settings)


@step(driver=True)
def capture(
    joined: Joined,
    label: Label,
    columns: dict[str, str],
    data: DataConfig,
    profiles: SplitProfiles,
    earlier: dict[str, str],
    settings: FeedbackConfig,
    quality: tuple[Quality, ...],
    drift: list[Drift],
) -> Findings:
    """Take the labelled rows that can become a part of the data, with all that is known of them.

    `earlier` holds the rows of accepted captures, `REQUEST/ROW` to label.
    """
    from raypipe.stages.feedback.capturing import found

    return found(joined, label, columns, data, profiles, earlier, settings, quality, tuple(drift))


@step(driver=True)
def offer(found: Findings) -> Captured | None:
    """Return what a person is asked about: the rows count, and not what is known beside them."""
    return found.offer()
