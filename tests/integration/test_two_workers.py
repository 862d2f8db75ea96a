"""Two workers, with all weights each or with half of them: killed and gone on, and what is said."""

# ruff: noqa: F811  (fixtures of other folders)
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from raypipe.config.training import MlpConfig, TrainingConfig
from raypipe.model.fit import Job
from tests.trainings import Trainings, in_memory, kept, trainings
from tests.unit.model.conftest import make_share, signature  # noqa: F401

pytestmark = pytest.mark.slow

SETTINGS = TrainingConfig(
    model=MlpConfig(hidden=(4,)),  # with dropout
    epochs=3,
    batch_size=16,
    patience=None,
    keep=1,
    learning_rate=0.01,
    checkpoint={"steps": 2},
    workers={"count": 2},
)


@pytest.fixture
def memory() -> Iterator[Path]:
    with in_memory() as folder:
        yield folder


@pytest.fixture(scope="module")
def pairs() -> Iterator[Trainings]:
    with trainings() as process:
        yield process


@pytest.fixture
def job(signature, memory) -> Callable[..., Job]:
    return lambda name: Job(signature=signature, settings=SETTINGS, folder=memory / name)


@pytest.fixture
def given(make_share) -> tuple:
    """Rows that do not divide by two."""
    validation = make_share(31, seed=2), make_share(30, seed=3)
    return (make_share(71), validation[0]), (make_share(70, seed=1), validation[1])


@pytest.mark.long
@pytest.mark.parametrize("sharded", [True, False], ids=["fsdp", "ddp"])
def test_killed_after_an_epoch_or_within_one_they_end_with_the_same_bits(
    pairs, job, given, sharded
):
    whole = pairs.run(job("whole"), *given, sharded=sharded)
    assert not any(one.error for one in whole)
    began = []
    for number, share in enumerate((0.2, 0.5, 0.9)):
        name = f"killed-{number}"
        killed = pairs.run(job(name), *given, sharded=sharded, dies=int(share * whole[0].acts))
        assert any(one.killed for one in killed)

        last = pairs.run(job(name), *given, sharded=sharded)

        began.append(last[0].first)
        assert kept(job(name)) == kept(job("whole"))
    assert any(batch > 1 for _, batch in began)  # one went on within an epoch


@pytest.mark.long
def test_a_torn_checkpoint_of_sharded_weights_falls_back_to_the_one_before(pairs, job, given):
    pairs.run(job("whole"), *given, sharded=True)
    pairs.run(job("torn"), *given, sharded=True)
    newest = job("torn").folder / job("torn").checkpoints.newest()
    torn = newest / "optimizer.safetensors"
    torn.write_bytes(torn.read_bytes()[:-3])

    last = pairs.run(job("torn"), *given, sharded=True)

    assert last[0].first == (3, 5)
    assert kept(job("torn")) == kept(job("whole"))


def test_a_loss_that_is_no_number_is_told_of_the_worker_that_had_it_first(
    pairs, job, given, make_share
):
    """A step later all workers have its gradients, and their losses are no numbers either."""
    spoiled = make_share(70, seed=1)
    spoiled.tensors["dense"][:, 1] = torch.nan

    ended = pairs.run(job("nan"), given[0], (spoiled, given[1][1]))

    said = "the loss is nan at epoch 1, batch 1 of 5 on worker 1 of 2"
    assert [one.error for one in ended] == [said, said]
    assert all("dense[wind] (70 rows)" in one.hint for one in ended)
