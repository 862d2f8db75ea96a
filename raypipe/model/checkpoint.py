"""Checkpoints of a training in a folder: safetensors and JSON, whole or not at all, no pickle."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from raypipe.model.schedule import History, best_epochs
from raypipe.model.state import TrainState, Within
from raypipe.model.weights import load_weights, save_weights, sync

__all__ = ["OPTIMIZER", "STATE", "WEIGHTS", "Checkpoints", "load_weights", "save_weights"]

WEIGHTS = "weights.safetensors"
OPTIMIZER = "optimizer.safetensors"
WITHIN = "within.safetensors"
STATE = "state.json"
RESUMABLE = 2
"""Newest checkpoints that keep their optimizer: the second stands in if the first is torn."""


@dataclass(frozen=True, kw_only=True, order=True)
class At:
    """When a state was: after so many epochs, and so many batches of the next."""

    epoch: int
    batches: int = 0

    @property
    def name(self) -> str:
        """Name of its folder: `epoch-0002`, or `step-0003-000120` within the third epoch."""
        if self.batches:
            return f"step-{self.epoch + 1:04d}-{self.batches:06d}"
        return f"epoch-{self.epoch:04d}"

    @classmethod
    def of(cls, state: TrainState) -> "At":
        """Return when a state is."""
        return cls(epoch=state.epoch, batches=state.within.batches if state.within else 0)

    @classmethod
    def named(cls, name: str) -> "At | None":
        """Return what a folder's name says; None if it is no whole checkpoint's."""
        match name.split("-"):
            case ["epoch", epoch] if epoch.isdigit():
                return cls(epoch=int(epoch))
            case ["step", epoch, batches] if epoch.isdigit() and batches.isdigit():
                return cls(epoch=int(epoch) - 1, batches=int(batches))
        return None


@dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """The checkpoints of one training, after epochs and within them; one process writes them."""

    folder: Path
    keep: int
    """How many of lowest validation loss keep their weights."""

    def save(self, state: TrainState) -> Path:
        """Keep a state, durably, and drop what is no longer of use."""
        target = self.folder / At.of(state).name
        aside = target.with_name(f"{target.name}.tmp")
        _remove(aside)
        aside.mkdir(parents=True)
        _write(aside, state)
        _remove(target)
        aside.rename(target)
        sync(self.folder)
        self._drop(state)
        return target

    def tidy(self, state: TrainState) -> None:
        """Drop what was left by a kill that came before all that a state replaced was dropped."""
        for aside in self.folder.glob("*.tmp"):
            _remove(aside)
        self._drop(state)

    def latest(self, *, workers: int | None = None) -> TrainState | None:
        """Return the newest state to go on from; a torn one is passed over for the one before.

        A state counts only if the best weights up to it are whole too: training goes on from
        before a lost one, so that it is made again. One within an epoch counts only for as many
        `workers` as it was made by, for else each would have other rows; None: for any.
        """
        for at in sorted(self._all(), reverse=True):
            state = _read(self.folder / at.name)
            if state is None or not self._has_best(state):
                continue
            if state.within is None or workers in (None, state.within.workers):
                return state
        return None

    def newest(self) -> str | None:
        """Return the name of the newest one, whole or torn; None without any."""
        found = self._all()
        return max(found).name if found else None

    def best(self, history: tuple[dict[str, float], ...]) -> list[tuple[int, Path]]:
        """Return epoch and weights of the kept ones, best first."""
        return [(epoch, self._at(epoch) / WEIGHTS) for epoch in self._best(history)]

    def _at(self, epoch: int) -> Path:
        return self.folder / At(epoch=epoch).name

    def _all(self) -> list[At]:
        if not self.folder.is_dir():
            return []
        found = (At.named(path.name) for path in self.folder.iterdir())
        return [at for at in found if at is not None]

    def _has_best(self, state: TrainState) -> bool:
        return all(_whole(self._at(epoch), WEIGHTS) for epoch in self._best(state.history))

    def _best(self, history: History) -> list[int]:
        return best_epochs(history, self.keep)

    def _drop(self, state: TrainState) -> None:
        # What was best an epoch ago is needed too, should this checkpoint be torn.
        best = {*self._best(state.history), *self._best(state.history[:-1])}
        now = At.of(state)
        before = [at for at in self._all() if at <= now]
        newest = sorted(before, reverse=True)
        # Those within an epoch are of no use to another number of workers: the last end is.
        resumable = {*newest[:RESUMABLE], *[at for at in newest if not at.batches][:1]}
        for at in self._all():
            if at in resumable:
                continue
            if not at.batches and at.epoch in best:
                (self._at(at.epoch) / OPTIMIZER).unlink(missing_ok=True)
            else:
                _remove(self.folder / at.name)


def _write(folder: Path, state: TrainState) -> None:
    save_weights(state.weights, folder / WEIGHTS)
    save_weights(state.optimizer, folder / OPTIMIZER)
    names = [WEIGHTS, OPTIMIZER]
    body: dict[str, Any] = {"epoch": state.epoch, "history": state.history}
    if state.within:
        tensors = {"losses": state.within.losses, "random": state.within.random}
        save_weights(tensors, folder / WITHIN)
        names.append(WITHIN)
        body["within"] = {"batches": state.within.batches, "of": state.within.of}
    body["files"] = {name: _digest((folder / name).read_bytes()) for name in names}
    text = json.dumps({**body, "digest": _digest_of(body)}, indent=1)
    (folder / STATE).write_text(text)
    sync(folder / STATE)
    sync(folder)


def _read(folder: Path) -> TrainState | None:
    if not (_whole(folder, WEIGHTS) and _whole(folder, OPTIMIZER)):
        return None
    body = _body(folder)
    within = None
    if at := body.get("within"):
        if not _whole(folder, WITHIN):
            return None
        within = Within(**at, **load_file(folder / WITHIN))
    return TrainState(
        epoch=body["epoch"],
        history=tuple(body["history"]),
        weights=load_file(folder / WEIGHTS),
        optimizer=load_file(folder / OPTIMIZER),
        within=within,
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


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=32).hexdigest()


def _digest_of(body: dict[str, Any]) -> str:
    return _digest(json.dumps(body, sort_keys=True).encode())


def _remove(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)
