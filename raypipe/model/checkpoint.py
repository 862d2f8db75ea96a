"""Checkpoints of a training in a folder: safetensors and JSON, whole or not at all, no pickle."""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from raypipe.errors import StepFailed
from raypipe.model.loop import TrainState
from raypipe.model.schedule import History, best_epochs

WEIGHTS = "weights.safetensors"
OPTIMIZER = "optimizer.safetensors"
STATE = "state.json"
RESUMABLE = 2
"""Newest checkpoints that keep their optimizer: the second stands in if the first is torn."""


@dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """The checkpoints of one training: `epoch-0001`, `epoch-0002`, …; one process writes them."""

    folder: Path
    keep: int
    """How many of lowest validation loss keep their weights."""

    def save(self, state: TrainState) -> Path:
        """Keep the state after an epoch, durably, and drop what is no longer of use."""
        target = self._at(state.epoch)
        aside = target.with_suffix(".tmp")
        _remove(aside)
        aside.mkdir(parents=True)
        _write(aside, state)
        _remove(target)
        aside.rename(target)
        _sync_folder(self.folder)
        self._drop(state)
        return target

    def latest(self) -> TrainState | None:
        """Return the newest state to go on from; a torn one is passed over for the one before.

        A state counts only if the best weights up to it are whole too: training goes on from
        before a lost one, so that it is made again.
        """
        for epoch in sorted(self._epochs(), reverse=True):
            state = _read(self._at(epoch))
            if state is not None and self._has_best(state):
                return state
        return None

    def best(self, history: tuple[dict[str, float], ...]) -> list[tuple[int, Path]]:
        """Return epoch and weights of the kept ones, best first."""
        return [(epoch, self._at(epoch) / WEIGHTS) for epoch in self._best(history)]

    def _at(self, epoch: int) -> Path:
        return self.folder / f"epoch-{epoch:04d}"

    def _epochs(self) -> list[int]:
        names = (path.name.removeprefix("epoch-") for path in self.folder.glob("epoch-*"))
        return [int(name) for name in names if name.isdigit()]

    def _has_best(self, state: TrainState) -> bool:
        return all(_whole(self._at(epoch), WEIGHTS) for epoch in self._best(state.history))

    def _best(self, history: History) -> list[int]:
        return best_epochs(history, self.keep)

    def _drop(self, state: TrainState) -> None:
        # What was best an epoch ago is needed too, should this checkpoint be torn.
        best = {*self._best(state.history), *self._best(state.history[:-1])}
        for epoch in self._epochs():
            if state.epoch - RESUMABLE < epoch <= state.epoch:
                continue
            if epoch in best:
                (self._at(epoch) / OPTIMIZER).unlink(missing_ok=True)
            else:
                _remove(self._at(epoch))


def save_weights(weights: dict[str, Tensor], path: Path) -> None:
    """Write a module's state as safetensors, durably."""
    _save_tensors(weights, path)


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


def _write(folder: Path, state: TrainState) -> None:
    _save_tensors(state.weights, folder / WEIGHTS)
    _save_tensors(state.optimizer, folder / OPTIMIZER)
    body = {
        "epoch": state.epoch,
        "history": state.history,
        "files": {name: _digest((folder / name).read_bytes()) for name in (WEIGHTS, OPTIMIZER)},
    }
    text = json.dumps({**body, "digest": _digest_of(body)}, indent=1)
    (folder / STATE).write_text(text)
    _sync_file(folder / STATE)
    _sync_folder(folder)


def _read(folder: Path) -> TrainState | None:
    if not (_whole(folder, WEIGHTS) and _whole(folder, OPTIMIZER)):
        return None
    body = _body(folder)
    return TrainState(
        epoch=body["epoch"],
        history=tuple(body["history"]),
        weights=load_file(folder / WEIGHTS),
        optimizer=load_file(folder / OPTIMIZER),
    )


def _whole(folder: Path, name: str) -> bool:
    try:
        return bool(_body(folder)["files"][name] == _digest((folder / name).read_bytes()))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _body(folder: Path) -> dict[str, Any]:
    body: dict[str, Any] = json.loads((folder / STATE).read_text())
    if body.pop("digest") != _digest_of(body):
        raise ValueError(f"{folder.name}/{STATE} is torn")
    return body


def _save_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    odd = [name for name, tensor in tensors.items() if not isinstance(tensor, Tensor)]
    if odd:
        raise StepFailed(
            f"the model's state {odd[0]!r} is a {type(tensors[odd[0]]).__name__}, no tensor, "
            "and cannot be kept",
            hint="keep it as a buffer (register_buffer) instead of in get_extra_state",
        )
    save_file({name: _own(tensor) for name, tensor in tensors.items()}, path)
    _sync_file(path)


def _own(tensor: Tensor) -> Tensor:
    """A tensor with memory of its own: safetensors refuses tied weights, which share theirs."""
    return tensor.detach().to("cpu", copy=True).contiguous()


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=32).hexdigest()


def _digest_of(body: dict[str, Any]) -> str:
    return _digest(json.dumps(body, sort_keys=True).encode())


def _remove(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(path: Path) -> None:
    _sync_file(path)
