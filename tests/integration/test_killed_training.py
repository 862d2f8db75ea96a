"""A training killed anywhere, between batches or in the writing of a checkpoint, loses no bit."""

# ruff: noqa: F811  (fixtures of other folders)
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from raypipe.config.training import MlpConfig, TrainingConfig
from raypipe.model.fit import Job
from raypipe.model.streaming.stream import stream_of
from tests.trainings import Trainings, in_memory, kept, trainings
from tests.unit.model.conftest import make_share, signature  # noqa: F401
from tests.unit.model.streaming.conftest import make_source  # noqa: F401

pytestmark = [pytest.mark.slow, pytest.mark.long]

SETTINGS = TrainingConfig(
    model=MlpConfig(hidden=(4,)),  # with dropout
    epochs=3,
    batch_size=16,
    accumulate=2,
    patience=None,
    keep=2,
    learning_rate=0.01,
    checkpoint={"steps": 4},
)


@pytest.fixture
def memory() -> Iterator[Path]:
    with in_memory() as folder:
        yield folder


@pytest.fixture(scope="module")
def forking() -> Iterator[Trainings]:
    with trainings() as process:
        yield process


def rows_of(feed: str, make_share, make_source) -> tuple:
    if feed == "stream":
        stream = stream_of(make_source(103, 0, 158))
        return stream.source.signature, (stream, stream.validation_share(0, 1))
    return None, (make_share(150), make_share(40, seed=1))


@pytest.mark.parametrize("feed", ["materialize", "stream"])
def test_killed_anywhere_again_and_again_it_ends_with_the_same_bits(
    feed,
    forking,
    memory,
    signature,
    make_share,
    make_source,
):
    found, given = rows_of(feed, make_share, make_source)
    settings = SETTINGS.model_copy(update={"feed": feed})

    def job(name: str) -> Job:
        return Job(signature=found or signature, settings=settings, folder=memory / name)

    began = time.monotonic()
    (whole,) = forking.run(job("whole"), given)
    took = time.monotonic() - began
    draw = random.Random(feed)
    moments = [{"dies": draw.randint(1, whole.acts)} for _ in range(4)]
    moments += [{"after": draw.uniform(0, took)} for _ in range(2)]

    for number, moment in enumerate(moments):
        name = f"killed-{number}"
        (first,) = forking.run(job(name), given, **moment)
        assert first.killed or "after" in moment
        again = {"dies": draw.randint(1, whole.acts)}  # it may end before
        forking.run(job(name), given, **again)
        (last,) = forking.run(job(name), given)

        assert not last.error
        assert kept(job(name)) == kept(job("whole")), (moment, again)
