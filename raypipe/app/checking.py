"""deepchecks as a part of a graph: its sample and its checks, where its environment is."""

from dataclasses import dataclass
from typing import Any

from raypipe.app.assemble import Workshop
from raypipe.config.data import DataConfig
from raypipe.config.deepchecks import DeepchecksConfig
from raypipe.engine.plan import Planner
from raypipe.stages.validation import check_data, sample_shard
from raypipe.stages.validation.deepchecks import environment
from raypipe.stages.validation.deepchecks.environment import Environment
from raypipe.values.checked import Roles
from raypipe.values.dataset import Dataset
from raypipe.values.signature import Task

SUITES = ("data_integrity", "train_test_validation")
MISSING = (
    "deepchecks did not look at the rows: its environment is not installed on this machine. "
    + environment.HINT
)
"""Without the folder's name: what is said counts in keys, and is the same on every machine."""


@dataclass(frozen=True, kw_only=True)
class Checking:
    """What a graph checks a dataset with."""

    environment: Environment | None
    missing: str = ""
    """Why there is none, though settings ask for it; empty where they do not."""


NO_CHECKS = Checking(environment=None)


def checking_for(settings: DeepchecksConfig) -> Checking:
    """Return what a cycle checks its data with; UsageError where that is required and missing."""
    found = environment.usable(settings)
    if isinstance(found, Environment):
        return Checking(environment=found)
    return Checking(environment=None, missing=MISSING if found else "")


def connect_checks(
    dataset: Dataset, data: DataConfig, task: Task, settings: DeepchecksConfig, by: Checking
) -> Any:
    """Connect sample and checks; None where there is no environment."""
    if by.environment is None:
        return None
    return sample_and_check(dataset, data, roles_of(data, task), settings, by.environment, SUITES)


def sample_and_check(
    dataset: Dataset,
    data: DataConfig | None,
    roles: Roles,
    settings: DeepchecksConfig,
    by: Environment,
    suites: tuple[str, ...],
) -> Any:
    """Connect sample and checks; without settings of the data all rows are of one split."""
    rule, key = (data.split, data.key) if data is not None else (None, ())
    samples = [sample_shard(shard, rule, key, settings.rows) for shard in dataset.shards]
    return check_data(samples, roles, settings.running, by, suites)


def not_checked(workshop: Workshop, planner: Planner) -> tuple[str, ...]:
    """Return what a run's validation did not look at, in sentences."""
    manifest = planner.known.manifests.get("validate")
    if manifest is None:
        return ()
    said: tuple[str, ...] = workshop.codec.decode(manifest, workshop.artifacts).unchecked
    return said


def roles_of(data: DataConfig, task: Task) -> Roles:
    """Return what the columns are to the checks."""
    split = data.split
    return Roles(
        label=data.label,
        task=task,
        key=data.key,
        time=data.time,
        in_time=split.by == "time",
        aside=(split.column,) if split.by == "column" else (),
    )
