"""A checkpoint is whole or it is not there; what is torn is passed over for the one before."""

import pytest
import torch
from torch import nn

from raypipe.errors import StepFailed
from raypipe.model.checkpoint import (
    OPTIMIZER,
    STATE,
    WEIGHTS,
    Checkpoints,
    load_weights,
    save_weights,
)
from raypipe.model.loop import TrainState

LOSSES = (0.9, 0.5, 0.7, 0.6, 0.8)


def state(epoch: int) -> TrainState:
    return TrainState(
        epoch=epoch,
        history=tuple({"epoch": float(i + 1), "loss": LOSSES[i]} for i in range(epoch)),
        weights={"w": torch.full((3,), float(epoch))},
        optimizer={"step/w": torch.tensor(float(epoch))},
    )


@pytest.fixture
def checkpoints(tmp_path):
    checkpoints = Checkpoints(folder=tmp_path / "checkpoints", keep=2)
    for epoch in range(1, 6):
        checkpoints.save(state(epoch))
    return checkpoints


def test_the_newest_is_read_back_as_it_was(checkpoints):
    latest = checkpoints.latest()

    assert latest.epoch == 5
    assert latest.history == state(5).history
    assert torch.equal(latest.weights["w"], torch.full((3,), 5.0))
    assert torch.equal(latest.optimizer["step/w"], torch.tensor(5.0))


def test_the_best_keep_their_weights_the_newest_two_all_and_the_rest_goes(checkpoints):
    kept = {
        path.relative_to(checkpoints.folder).as_posix()
        for path in checkpoints.folder.rglob("*")
        if path.is_file()
    }

    assert kept == {
        f"epoch-0002/{STATE}",
        f"epoch-0002/{WEIGHTS}",
        *(f"epoch-000{n}/{name}" for n in (4, 5) for name in (STATE, WEIGHTS, OPTIMIZER)),
    }
    assert [epoch for epoch, _ in checkpoints.best(state(5).history)] == [2, 4]


@pytest.mark.parametrize("name", [WEIGHTS, OPTIMIZER, STATE])
@pytest.mark.parametrize("left", [0.5, 0, None])
def test_a_torn_or_missing_file_means_the_checkpoint_before(checkpoints, name, left):
    path = checkpoints.folder / "epoch-0005" / name
    if left is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * left)])

    assert checkpoints.latest().epoch == 4


@pytest.mark.parametrize("name", [WEIGHTS, STATE])
def test_one_changed_byte_is_seen(checkpoints, name):
    path = checkpoints.folder / "epoch-0005" / name
    data = bytearray(path.read_bytes())
    data[-6] ^= 1
    path.write_bytes(data)

    assert checkpoints.latest().epoch == 4


def test_a_lost_best_checkpoint_is_trained_again(checkpoints):
    """Else a killed training would end with other checkpoints than one that was not."""
    (checkpoints.folder / "epoch-0002" / WEIGHTS).write_bytes(b"torn")

    assert checkpoints.latest() is None


def test_what_a_kill_left_half_written_is_no_checkpoint_and_is_written_over(checkpoints):
    aside = checkpoints.folder / "epoch-0006.tmp"
    aside.mkdir()
    (aside / WEIGHTS).write_bytes(b"half")
    assert checkpoints.latest().epoch == 5

    (checkpoints.folder / "epoch-0005" / STATE).write_text("{")
    checkpoints.save(state(5))

    assert checkpoints.latest().epoch == 5


def test_a_later_torn_checkpoint_is_gone_once_training_went_on_before_it(checkpoints):
    (checkpoints.folder / "epoch-0005" / STATE).write_text("{")

    checkpoints.save(state(4))

    assert not (checkpoints.folder / "epoch-0005").exists()


def test_without_a_checkpoint_there_is_nothing_to_go_on_from(tmp_path):
    assert Checkpoints(folder=tmp_path / "none", keep=1).latest() is None


def test_tied_weights_are_kept_and_stay_tied(tmp_path):
    def tied():
        module = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
        module[1].weight = module[0].weight
        return module

    module, other = tied(), tied()
    save_weights(module.state_dict(), tmp_path / WEIGHTS)
    load_weights(other, tmp_path / WEIGHTS)

    assert torch.equal(other[1].weight, module[0].weight)
    assert other[0].weight is other[1].weight


def test_weights_of_another_model_are_refused(tmp_path):
    save_weights(nn.Linear(4, 1).state_dict(), tmp_path / WEIGHTS)

    with pytest.raises(StepFailed, match="do not fit") as refused:
        load_weights(nn.Linear(5, 1), tmp_path / WEIGHTS)

    assert "train again" in refused.value.hint


def test_a_state_that_is_no_tensor_is_refused_by_name(tmp_path):
    with pytest.raises(StepFailed, match=r"'_extra_state' is a dict"):
        save_weights({"_extra_state": {}}, tmp_path / WEIGHTS)
