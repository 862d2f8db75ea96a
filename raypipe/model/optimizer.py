"""The optimizer, and its state as named tensors that safetensors can hold."""

from typing import Any

import torch
from torch import Tensor, nn

from raypipe.config.training import TrainingConfig


def _bare(function: Any) -> Any:
    """Return a method of torch's optimizers without what readies it for `torch.compile`.

    That would import the compiler, two seconds of each process that trains; of all that trains, the
    model alone is ever compiled.
    """
    return getattr(function, "__wrapped__", function)


class _Sgd(torch.optim.SGD):
    add_param_group = _bare(torch.optim.SGD.add_param_group)
    zero_grad = _bare(torch.optim.SGD.zero_grad)
    step = torch.no_grad()(_bare(torch.optim.SGD.step))


class _AdamW(torch.optim.AdamW):
    add_param_group = _bare(torch.optim.AdamW.add_param_group)
    zero_grad = _bare(torch.optim.AdamW.zero_grad)
    step = torch.no_grad()(_bare(torch.optim.AdamW.step))


def optimizer_of(
    module: nn.Module, settings: TrainingConfig, *, fused: bool = True
) -> torch.optim.Optimizer:
    """Return the optimizer that the settings name, over what can be trained.

    Biases and scales (one dimension) do not decay.
    """
    groups, rate = _groups(module, settings.weight_decay), settings.learning_rate
    if settings.optimizer == "sgd":
        momentum = settings.momentum
        return _Sgd(groups, lr=rate, momentum=momentum, nesterov=momentum > 0)
    return _AdamW(groups, lr=rate, fused=fused)


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
