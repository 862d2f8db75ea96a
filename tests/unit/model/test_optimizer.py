"""The optimizers that settings name do what torch's do, and start sooner."""

import subprocess
import sys

import pytest
import torch

from raypipe.config.training import TrainingConfig
from raypipe.model.optimizer import optimizer_of

THEIRS = {
    "adamw": lambda groups: torch.optim.AdamW(groups, lr=0.01, weight_decay=0.1, fused=True),
    "sgd": lambda groups: torch.optim.SGD(
        groups, lr=0.01, weight_decay=0.1, momentum=0.9, nesterov=True
    ),
}


def trained(made) -> torch.Tensor:
    torch.manual_seed(0)
    module = torch.nn.Linear(5, 3, bias=False)
    optimizer = made(module)
    for _ in range(5):
        optimizer.zero_grad(set_to_none=True)
        module(torch.ones(2, 5)).pow(2).sum().backward()
        optimizer.step()
    return module.weight.detach()


@pytest.mark.slow
@pytest.mark.parametrize("name", THEIRS)
def test_its_weights_are_those_of_torch_s_own_to_the_bit(name):
    settings = TrainingConfig(optimizer=name, learning_rate=0.01, weight_decay=0.1)
    ours = trained(lambda module: optimizer_of(module, settings))
    assert torch.equal(ours, trained(lambda module: THEIRS[name](module.parameters())))


ALONE = """
import sys
import torch
from raypipe.config.training import TrainingConfig
from raypipe.model.fit import deterministic
from raypipe.model.optimizer import optimizer_of

module = torch.nn.Linear(5, 3)
for name in ("adamw", "sgd"):
    with deterministic(False):
        optimizer = optimizer_of(module, TrainingConfig(optimizer=name))
        optimizer.zero_grad(set_to_none=True)
        module(torch.ones(2, 5)).sum().backward()
        optimizer.step()
print("torch._dynamo" in sys.modules)
"""


@pytest.mark.slow
def test_training_does_not_wait_for_torch_s_compiler():
    said = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"
