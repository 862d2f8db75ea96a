"""The steps of deepchecks, as a run calls them: a sample is drawn once, and checked once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raypipe.config.data import SplitRule
from raypipe.config.deepchecks import DeepchecksConfig
from raypipe.engine.context import current
from raypipe.engine.step import step
from raypipe.values.checked import Checked, Roles
from raypipe.values.dataset import Shard

if TYPE_CHECKING:  # a plan imports this module, and must not wait for Arrow
    from raypipe.stages.validation.deepchecks.environment import Environment
    from raypipe.stages.validation.deepchecks.sampling import Sample


@step(num_cpus=1)
def sample_shard(shard: Shard, rule: SplitRule | None, key: tuple[str, ...], rows: int) -> Sample:
    """Draw rows of a shard for checks; without a rule from all, else none of the analysis split."""
    from raypipe.stages.validation.deepchecks.sampling import sample_file

    return sample_file(shard.location, rule, key, rows)


@step(driver=True)
def check_data(
    samples: list[Sample],
    roles: Roles,
    settings: DeepchecksConfig,
    environment: Environment,
    suites: tuple[str, ...],
) -> Checked:
    """Run deepchecks on a sample of all shards; its environment is of the driver's machine."""
    import pyarrow as pa

    from raypipe.stages.validation.deepchecks.driving import run_checks, run_nothing
    from raypipe.stages.validation.deepchecks.sampling import merge_samples

    try:
        sample = merge_samples(samples, settings.rows)
    except pa.ArrowException as error:
        why = f"the shards' columns do not go together ({error})"
        return run_nothing(settings, suites, why)
    return run_checks(sample, roles, settings, environment, current().scratch / "checks", suites)
