"""The optimizer, and its state as named tensors that safetensors can hold."""

from typing import Any

import torch
from torch import Tensor, nn


def adamw(module: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.Optimizer:
    """Return AdamW over what can be trained; biases and scales (one dimension) do not decay."""
    trained = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.dim() > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.dim() <= 1], "weight_decay": 0.0},
    ]
    filled = [group for group in groups if group["params"]]
    return torch.optim.AdamW(filled, lr=learning_rate, fused=True)


def tensors_of(optimizer: torch.optim.Optimizer, module: nn.Module) -> dict[str, Tensor]:
    """Return the optimizer's state, by `key/parameter`."""
    names: dict[Tensor, str] = {parameter: name for name, parameter in module.named_parameters()}
    return {
        f"{key}/{names[parameter]}": value
        for parameter, state in optimizer.state.items()
        for key, value in state.items()
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
