"""Rows that Ray Data transforms on their way to training: none lost, and nothing written."""

import shutil
import sys
from pathlib import Path

import pytest

from raypipe.config.training import MlpConfig, TrainingConfig, WorkersConfig
from raypipe.engine.context import StepContext, within
from tests.integration.test_training_on_ray import cluster  # noqa: F401
from tests.unit.model.streaming.conftest import RULE, make_source  # noqa: F401

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ray.util.annotations.RayDeprecationWarning"),
]

SETTINGS = TrainingConfig(
    model=MlpConfig(hidden=(8,), dropout=0.0), epochs=3, batch_size=16, patience=None, feed="stream"
)
SIZES = (103, 0, 58)


def _run(scratch: Path, runtime, source, settings: TrainingConfig):
    from raypipe.stages.training import train

    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    context = StepContext(
        run="r",
        step="train",
        runtime=runtime,
        home=None,
        root=scratch,
        paths=tuple(sys.path),
        scratch=scratch,
        events=scratch / "events.jsonl",
    )
    with within(context):
        trained = train(
            [],
            [],
            signature=source.signature,
            settings=settings,
            shards=list(source.shards),
            transform=source.transform,
            rule=RULE,
        )
    return trained.history, trained.candidate.weights.read_bytes()


@pytest.fixture
def run(tmp_path, cluster, make_source):  # noqa: F811
    source = make_source(*SIZES)

    def run(runtime, **settings):
        import ray

        told = SETTINGS.model_copy(update=settings)
        if runtime == "inline":
            return _run(tmp_path / "inline", "inline", source, told)
        task = ray.remote(num_cpus=0, max_retries=0)(_run)
        return ray.get(task.remote(tmp_path / "ray", "ray", source, told), timeout=200)

    return run


@pytest.mark.long
def test_one_worker_by_ray_data_gives_the_bits_of_reading_in_this_process(run):
    assert run("ray") == run("inline")


def test_two_workers_that_hold_all_cpus_wait_for_no_rows_and_learn_what_one_does(run):
    alone, _ = run("inline", batch_size=1000)

    found, _ = run("ray", batch_size=1000, workers=WorkersConfig(count=2))

    for one, other in zip(alone, found, strict=True):
        assert other == pytest.approx(one, rel=1e-4)


def test_the_metrics_are_those_of_rows_that_were_written(run, tmp_path, make_source):  # noqa: F811
    """Over enough epochs the order of rows is no matter."""
    from raypipe.stages.preprocessing.shards import Work, transform_shard
    from raypipe.stages.training import train

    told = {"epochs": 30, "learning_rate": 0.001}
    source = make_source(*SIZES)
    work = Work(transform=source.transform, rule=RULE, folder=tmp_path)
    made = [transform_shard(shard, work) for shard in source.shards]
    settings = SETTINGS.model_copy(update={**told, "feed": "materialize"})

    written = train(
        [one.train for one in made], [one.validation for one in made], source.signature, settings
    )
    streamed, _ = run("inline", **told)

    best = min(row["loss"] for row in streamed)
    assert best == pytest.approx(written.candidate.metrics["loss"], abs=0.005)
