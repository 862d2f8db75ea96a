"""Tensors in files, durably: safetensors to write, and a user's own `.pt` to read. No pickle."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from raypipe.errors import StepFailed, UsageError

log = logging.getLogger(__name__)
SHOWN = 3
"""Names that a message lists."""


def save_weights(weights: Mapping[str, Tensor], path: Path) -> None:
    """Write named tensors as safetensors, durably; StepFailed for what is no tensor."""
    odd = [name for name, tensor in weights.items() if not isinstance(tensor, Tensor)]
    if odd:
        raise StepFailed(
            f"the model's state {odd[0]!r} is a {type(weights[odd[0]]).__name__}, no tensor, "
            "and cannot be kept",
            hint="keep it as a buffer (register_buffer) instead of in get_extra_state",
        )
    save_file({name: own(tensor) for name, tensor in weights.items()}, path)
    sync(path)


def load_weights(module: nn.Module, path: Path) -> None:
    """Give a module the weights in a safetensors file; StepFailed if they do not fit it."""
    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise StepFailed(f"cannot read the weights in {path.name}: {error}") from error
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        raise StepFailed(
            f"the weights in {path.name} do not fit: {str(error).splitlines()[-1].strip()}",
            hint="the model's code or settings changed since they were made; train again",
        ) from error


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a user's safetensors file, or a state dict of torch.save, told by its content.

    The latter with weights_only, which runs no code. UsageError where it is neither.
    """
    try:
        with path.open("rb") as file:
            start = file.read(9)
        found: Any = load_file(path) if start[8:] == b"{" else _read_pt(path)
    except Exception as error:
        raise UsageError(
            f"cannot read weights in {path.name}: {type(error).__name__}: "
            f"{next(iter(str(error).splitlines()), '')[:200]}",
            hint="give a safetensors file, or one of torch.save(module.state_dict(), …)",
        ) from error
    if isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):
        found = found["state_dict"]
    if not isinstance(found, Mapping) or not all(isinstance(t, Tensor) for t in found.values()):
        raise UsageError(
            f"{path.name} holds a {type(found).__name__} and no state dict (name to tensor)",
            hint="save module.state_dict(), not the module",
        )
    return without_prefix(dict(found))


def _read_pt(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


def without_prefix(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Drop what DistributedDataParallel and torch.compile put before every name."""
    for prefix in ("module.", "_orig_mod."):
        if weights and all(name.startswith(prefix) for name in weights):
            weights = {name.removeprefix(prefix): one for name, one in weights.items()}
    return weights


def begin_with(module: nn.Module, path: Path) -> None:
    """Give a module what a file has of its weights, by name; UsageError if that is nothing."""
    given, own_state = read_weights(path), module.state_dict()
    fitting = {
        name: tensor
        for name, tensor in given.items()
        if name in own_state and tensor.shape == own_state[name].shape
    }
    if not fitting:
        raise UsageError(
            f"training.pretrained has {len(given)} tensors ({_few(list(given))}), and the model "
            f"has none of them ({_few(list(own_state))}): names and shapes must be alike",
            hint="rename the file's tensors, or give the model that they were made with",
        )
    module.load_state_dict({**own_state, **fitting})
    fresh = [name for name in own_state if name not in fitting]
    unused = [name for name in given if name not in fitting]
    log.info(
        "pretrained weights: %d of %d tensors of the model; new: %s; not used: %s",
        len(fitting), len(own_state), _few(fresh), _few(unused),
    )  # fmt: skip


def _few(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return (", ".join(names[:SHOWN]) or "none") + more


def own(tensor: Tensor) -> Tensor:
    """Copy a tensor to memory of its own: safetensors refuses tied weights, which share theirs."""
    return tensor.detach().to("cpu", copy=True).contiguous()


def sync(path: Path) -> None:
    """Make a file or a folder's entries durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
