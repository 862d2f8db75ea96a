"""What goes wrong in training on Ray is a sentence: epoch, batch, worker, and the way on."""

from pathlib import Path

import pytest

from raypipe.config.training import CustomModelConfig, TrainingConfig, WorkersConfig
from raypipe.errors import StepFailed
from raypipe.model.checkpoint import Checkpoints
from tests.integration.test_training_on_ray import SETTINGS, Training, cluster  # noqa: F401

pytestmark = [pytest.mark.ray, pytest.mark.slow]

MODEL = """
import os, signal
from pathlib import Path
import torch
import torch.distributed as dist

def rank():
    return dist.get_rank() if dist.is_initialized() else 0

class Broken(torch.nn.Module):
    '''Breaks at the given batch of its life on one worker, for as long as the cause is there.'''

    def __init__(self, cause, how, at, on):
        super().__init__()
        self.linear = torch.nn.Linear(2, 1)
        self.cause, self.how, self.at, self.on = Path(cause), how, at, on
        self.calls = 0

    def forward(self, tensors):
        self.calls += self.training
        dense = tensors["dense"]
        if self.calls == self.at and rank() == self.on and self.cause.exists():
            return getattr(self, self.how)(dense)
        return self.linear(dense)

    def raises(self, dense):
        raise ValueError("no such road")

    def wrong_shape(self, dense):
        return self.linear(dense[:, :1])

    def not_a_number(self, dense):
        return self.linear(dense) / torch.zeros(())

    def asks_for_too_much(self, dense):
        return self.linear(dense) + torch.zeros(2**50)

    def memory_error(self, dense):
        return self.linear(dense) + len(bytearray(2**60))

    def killed(self, dense):
        os.kill(os.getpid(), signal.SIGKILL)

def build(signature, **options):
    return Broken(**options)
"""


@pytest.fixture
def training(tmp_path: Path, cluster: None) -> Training:  # noqa: F811
    (tmp_path / "broken_on_ray.py").write_text(MODEL)
    (tmp_path / "cause").touch()
    return Training(tmp_path)


def broken(training: Training, how: str, at: int) -> TrainingConfig:
    options = {"cause": str(training.folder / "cause"), "how": how, "at": at, "on": 1}
    return SETTINGS.model_copy(
        update={
            "model": CustomModelConfig(build="broken_on_ray:build", options=options),
            "batch_size": 25,
            "workers": WorkersConfig(count=2),
        }
    )


IN_MEMORY = "lower training.batch_size"


@pytest.mark.parametrize(
    ("how", "said", "next_step"),
    [
        ("raises", "training raised ValueError at {}: no such road", "mend the model"),
        pytest.param(
            "memory_error",
            "training ran out of memory at {}: MemoryError",
            IN_MEMORY,
            marks=pytest.mark.long,
        ),
        pytest.param(
            "wrong_shape",
            "training raised RuntimeError at {}: .*shapes cannot be multiplied",
            "mend the model",
            marks=pytest.mark.long,
        ),
        pytest.param(
            "asks_for_too_much",
            "training ran out of memory at {}: .*can't allocate memory",
            IN_MEMORY,
            marks=pytest.mark.long,
        ),
    ],
)
def test_a_batch_that_breaks_the_model_is_named_and_once_mended_training_goes_on(
    training, how, said, next_step
):
    settings = broken(training, how, at=6)
    at = r"epoch 2, batch 2 of 4 on worker 1 of 2 \(25 rows: dense float32\[25, 2\]\)"

    with pytest.raises(StepFailed, match=f"^{said.format(at)}") as stopped:
        training.run("ray", "ray", settings)

    assert next_step in str(stopped.value.hint)
    assert stopped.value.exit_code == 6
    assert "Traceback" not in str(stopped.value)
    assert "on_ray.py" not in stopped.value.frames or "broken_on_ray.py" in stopped.value.frames
    # That the bits are those of a training that nothing befell, the long ones show.
    goes_on_from(training, settings, "epoch-0001", compared=how != "raises")


@pytest.mark.long
def test_a_loss_that_is_no_number_is_told_of_the_worker_that_had_it_first(training):
    settings = broken(training, "not_a_number", at=6)
    said = r"^the loss is (nan|-?inf) at epoch 2, batch 2 of 4 on worker 1 of 2$"

    with pytest.raises(StepFailed, match=said) as stopped:
        training.run("ray", "ray", settings)

    assert "lower training.learning_rate" in str(stopped.value.hint)
    goes_on_from(training, settings, "epoch-0001")


@pytest.mark.long
def test_a_worker_that_is_killed_each_time_is_given_up_with_words(training):
    """As by the kernel, or by Ray's monitor, on a machine whose memory is full."""
    settings = broken(training, "killed", at=3)

    with pytest.raises(StepFailed) as stopped:
        training.run("ray", "ray", settings)

    assert str(stopped.value).startswith(
        "training lost worker 1 of 2 after epoch 1, batch 2 of 4, and gave up after 3 attempts"
    )
    assert "memory" in str(stopped.value.hint)
    assert stopped.value.exit_code == 6
    goes_on_from(training, settings, None)


def goes_on_from(
    training: Training, settings: TrainingConfig, newest: str | None, compared: bool = True
) -> None:
    """Train again, the cause mended, and compare with a training that never met it."""
    assert Checkpoints(folder=training.folder / "ray" / "checkpoints", keep=1).newest() == newest
    (training.folder / "cause").unlink()

    again = training.run("ray", "ray", settings)

    whole = training.run("whole", "ray", settings) if newest and compared else again
    assert again.weights == whole.weights
    assert [row["epoch"] for row in again.history] == [1, 2, 3]
