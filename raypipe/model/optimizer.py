"""The optimizer, and its state as named tensors that safetensors can hold."""

from typing import Any

import torch
from torch import Tensor, nn

from raypipe.config.training import TrainingConfig


def optimizer_of(
    module: nn.Module, settings: TrainingConfig, *, fused: bool = True
) -> torch.optim.Optimizer:
    """Return the optimizer that the settings name, over what can be trained.

    Biases and scales (one dimension) do not decay.
    """
    groups, rate = _groups(module, settings.weight_decay), settings.learning_rate
    if settings.optimizer == "sgd":
        momentum = settings.momentum
        return torch.optim.SGD(groups, lr=rate, momentum=momentum, nesterov=momentum > 0)
    return torch.optim.AdamW(groups, lr=rate, fused=fused)


def _groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    trained = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.dim() > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def tensors_of(optimizer: torch.optim.Optimizer, module: nn.Module) -> dict[str, Tensor]:
    """Return the optimizer's state, by `key/parameter`."""
    names: dict[Tensor, str] = {parameter: name for name, parameter in module.named_parameters()}
    return {
        f"{key}/{names[parameter]}": value
        for parameter, state in optimizer.state.items()
        for key, value in state.items()
        if value is not None
    }


def load(optimizer: torch.optim.Optimizer, module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Give the optimizer the state that `tensors_of` returned for the same module."""
    parameters = dict(module.named_parameters())
    states: dict[str, dict[str, Any]] = {}
    for key, tensor in tensors.items():
        field, _, name = key.partition("/")
        states.setdefault(name, {})[field] = tensor.to(parameters[name].device).clone()
    for name, state in states.items():
        optimizer.state[parameters[name]] = state
