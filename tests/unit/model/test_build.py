"""A module is built from settings alone, its weights by seed, and held to its contract at once."""

import sys

import pytest
import torch

from raypipe.config.training import CustomModelConfig, MlpConfig
from raypipe.errors import StepFailed, UsageError
from raypipe.model.build import build_module

CODE = """
import torch

class Sum(torch.nn.Module):
    def __init__(self, scale=1.0, outputs=1):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(scale))
        self.outputs = outputs

    def forward(self, tensors):
        total = self.scale * tensors["dense"].sum(dim=1, keepdim=True)
        return total.repeat(1, self.outputs) if self.outputs else total[:, 0]

class Broken(torch.nn.Module):
    def forward(self, tensors):
        return tensors["dense"] @ torch.ones(2, 1)

def build(signature, scale=1.0):
    return Sum(scale)

def wide(signature):
    return Sum(outputs=3)

def flat(signature):
    return Sum(outputs=0)

def broken(signature):
    return Broken()

def forgotten(signature):
    Sum()

constant = 3
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "mine_for_build.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    yield lambda name, **options: CustomModelConfig(build=f"mine_for_build:{name}", options=options)
    sys.modules.pop("mine_for_build", None)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(signature):
    def first_weights(seed):
        return next(build_module(MlpConfig(), signature, seed=seed).parameters())

    assert torch.equal(first_weights(1), first_weights(1))
    assert not torch.equal(first_weights(1), first_weights(2))


def test_building_leaves_the_process_its_own_randomness(signature):
    before = torch.get_rng_state()

    build_module(MlpConfig(), signature, seed=1)

    assert torch.equal(torch.get_rng_state(), before)


def test_a_model_of_ones_own_gets_the_signature_and_its_options(signature, mine):
    module = build_module(mine("build", scale=2.0), signature)

    assert module({"dense": torch.ones(1, 3)}).item() == 6.0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("wide", r"mine_for_build:wide returned shape \[2, 3\] .* expected shape \[2, 1\]"),
        ("flat", r"mine_for_build:flat returned shape \[2\] .* expected shape \[2, 1\]"),
        ("broken", r"mine_for_build:broken failed on .*dense: float32\[3\].*RuntimeError"),
    ],
)
def test_a_model_that_breaks_the_contract_is_named_with_expected_and_got(
    signature, mine, name, said
):
    with pytest.raises(StepFailed, match=said) as stopped:
        build_module(mine(name), signature)

    assert "[rows, outputs]" in stopped.value.hint


@pytest.mark.parametrize(
    ("name", "said"),
    [("forgotten", "returned None; it must return"), ("constant", "a int and no function")],
)
def test_what_builds_no_module_is_refused(signature, mine, name, said):
    with pytest.raises(UsageError, match=said):
        build_module(mine(name), signature)
