"""A loop of the user's own is run as it is, and what it reports becomes the candidate."""

import pytest

from raypipe.config.training import MlpConfig, TrainingConfig
from raypipe.errors import StepFailed
from tests.integration.test_training_on_ray import SIGNATURE, cluster, training  # noqa: F401

pytestmark = [pytest.mark.ray, pytest.mark.slow]

LOOP = '''
import tempfile, pathlib
import torch, ray.train
from ray.train import Checkpoint
from ray.train.torch import prepare_model
from torch.nn import functional
from raypipe.model.build import build_module

def loop(config):
    """A usual train_loop_per_worker."""
    module = build_module(config["model"], config["signature"], seed=config["seed"])
    model = prepare_model(module)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config["learning_rate"])
    rows, held_out = (ray.train.get_dataset_shard(name) for name in ("train", "validation"))
    seen = 0
    for epoch in range(config["epochs"]):
        for batch in rows.iter_torch_batches(batch_size=config["batch_size"]):
            optimizer.zero_grad()
            label = batch.pop("late")
            loss = functional.binary_cross_entropy_with_logits(model(batch)[:, 0], label)
            loss.backward()
            optimizer.step()
            seen += len(label)
        (batch,) = held_out.iter_torch_batches(batch_size=1000)
        label = batch.pop("late")
        with torch.no_grad():
            loss = functional.binary_cross_entropy_with_logits(module(batch)[:, 0], label)
        metrics = {"loss": float(loss), "seen": seen, "late": float(label.sum())}
        if config.get("bare"):
            ray.train.report(metrics)
            continue
        with tempfile.TemporaryDirectory() as folder:
            torch.save(model.state_dict(), pathlib.Path(folder, "model.pt"))
            ray.train.report(metrics, checkpoint=Checkpoint.from_directory(folder))

def breaks():
    raise ValueError("no rows for me")
'''


@pytest.fixture
def by_loop(training, tmp_path):  # noqa: F811
    (tmp_path / "mine_loop.py").write_text(LOOP)

    def by_loop(name: str = "loop", **settings):
        made = TrainingConfig(
            model=MlpConfig(hidden=(8,)),
            epochs=3,
            batch_size=32,
            keep=2,
            learning_rate=0.02,
            loop=f"mine_loop:{name}",
            **settings,
        )
        return training.run(name, "ray", made)

    return by_loop


@pytest.mark.parametrize(
    "small",
    [
        pytest.param(0, id="rows by tasks"),
        pytest.param(2**20, id="rows from here", marks=pytest.mark.long),
    ],
)
def test_the_best_report_of_two_workers_is_the_candidate(by_loop, small, monkeypatch):
    monkeypatch.setattr("raypipe.model.rows.on_ray.SMALL", small)

    found = by_loop(workers={"count": 2})

    assert [row["epoch"] for row in found.history] == [1, 2, 3]
    assert found.history[2]["loss"] < found.history[0]["loss"]
    assert [row["seen"] for row in found.history] == [98, 196, 294]  # of 197 rows, by rank 0
    assert found.curve == {int(row["epoch"]): row["loss"] for row in found.history}
    assert found.weights


@pytest.mark.long
def test_a_loop_that_reports_no_checkpoint_is_told_what_to_report(by_loop):
    with pytest.raises(StepFailed, match="ended after 3 reports, none with a checkpoint") as told:
        by_loop(loop_options={"bare": True})

    assert "ray.train.report" in told.value.hint


@pytest.mark.long
def test_a_loop_that_raises_is_named_with_its_worker_and_frames(by_loop):
    with pytest.raises(
        StepFailed, match="mine_loop:breaks raised ValueError on worker 0: no rows"
    ) as told:
        by_loop("breaks")

    assert "mine_loop.py" in told.value.frames
