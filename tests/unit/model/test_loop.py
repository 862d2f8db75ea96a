"""The plain loop learns, stops early, says where it broke, and goes on as if never stopped."""

import pytest
import torch
from torch import nn

from raypipe.config.training import MlpConfig, TrainingConfig
from raypipe.errors import StepFailed
from raypipe.model.build import build_module
from raypipe.model.feed import TensorFeed
from raypipe.model.loop import TrainState, train_loop

pytestmark = pytest.mark.slow


@pytest.fixture
def run(signature, make_share):
    """Train the built-in model; returns the module and its history."""

    def run(module=None, share=None, *, on_epoch=lambda end: None, resume=None, **given):
        enough = given.pop("enough", lambda history: False)
        settings = given
        settings = TrainingConfig(**{"epochs": 4, "batch_size": 64, "patience": None, **settings})
        module = module or build_module(MlpConfig(), signature, seed=settings.seed)
        feed = TensorFeed(share=share or make_share(500), batch_size=settings.batch_size)
        validation = make_share(200, seed=1)
        return module, train_loop(
            module, feed, validation, settings, on_epoch=on_epoch, resume=resume, enough=enough
        )

    return run


def copied(state: TrainState) -> TrainState:
    return TrainState(
        epoch=state.epoch,
        history=state.history,
        weights={name: tensor.clone() for name, tensor in state.weights.items()},
        optimizer={name: tensor.clone() for name, tensor in state.optimizer.items()},
    )


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(map(torch.equal, one.state_dict().values(), other.state_dict().values()))


def test_learns_what_the_label_follows_from(run):
    _, history = run(epochs=12, learning_rate=0.01)

    assert history[-1]["loss"] < 0.7 * history[0]["loss"]
    assert history[-1]["auc"] > 0.95
    assert list(history[0]) == ["epoch", "train_loss", "loss", "auc", "accuracy"]


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(run):
    assert same(run(seed=1)[0], run(seed=1)[0])
    assert not same(run(seed=1)[0], run(seed=2)[0])


def test_going_on_after_any_epoch_gives_the_weights_of_never_having_stopped(run, signature):
    states = []
    module, history = run(on_epoch=lambda end: states.append(copied(end.state)))

    for state in states:
        resumed, again = run(build_module(MlpConfig(), signature, seed=99), resume=state)
        assert same(module, resumed)
        assert again == history


def test_stops_when_the_validation_loss_falls_no_more(run):
    _, history = run(epochs=200, patience=2, learning_rate=0.05)

    losses = [row["loss"] for row in history]
    assert len(losses) < 200
    assert losses.index(min(losses)) == len(losses) - 3


def test_nothing_is_trained_beyond_the_end(run):
    states = []
    run(on_epoch=lambda end: states.append(copied(end.state)))

    seen = []
    run(resume=states[-1], on_epoch=seen.append)

    assert seen == []


def test_ends_where_it_is_enough_and_does_not_go_on_from_there(run):
    states = []
    keep = lambda end: states.append(copied(end.state))  # noqa: E731
    _, history = run(enough=lambda rows: len(rows) == 2, on_epoch=keep)
    assert len(history) == 2

    _, again = run(enough=lambda rows: len(rows) == 2, resume=states[-1])
    assert again == history


def test_leaves_the_process_its_own_randomness(run):
    before = torch.get_rng_state()

    run(epochs=1)

    assert torch.equal(torch.get_rng_state(), before)


def test_a_loss_that_is_no_number_is_named_by_epoch_and_batch_with_the_culprit(run, make_share):
    share = make_share(500)
    share.tensors["dense"][7, 0] = float("nan")

    with pytest.raises(StepFailed, match=r"the loss is nan at epoch 1, batch \d of 8") as stopped:
        run(share=share)

    assert "dense[temp] (1 row)" in stopped.value.hint


def test_a_loss_that_overflows_with_good_inputs_points_to_the_model(run):
    class Overflowing(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))

        def forward(self, tensors):
            return (self.scale * tensors["dense"][:, :1] * 1e30) ** 2

    with pytest.raises(StepFailed, match=r"loss is (inf|nan) at epoch 1, batch 1 of 8") as stopped:
        run(Overflowing())

    assert "learning_rate" in stopped.value.hint


def test_a_frozen_part_of_a_model_stays_as_it_is(run, signature):
    module = build_module(MlpConfig(), signature)
    for parameter in module.embeddings.parameters():
        parameter.requires_grad_(False)
    before = [p.clone() for p in module.embeddings.parameters()]

    run(module, epochs=1)

    assert all(map(torch.equal, module.embeddings.parameters(), before))
