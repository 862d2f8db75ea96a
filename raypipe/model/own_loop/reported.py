"""What a loop of the user's own reported, checked and made into checkpoints like any other's."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from raypipe.config.training import TrainingConfig
from raypipe.errors import StepFailed, UsageError
from raypipe.model.build import build_module
from raypipe.model.weights import read_weights, save_weights
from raypipe.values.signature import Signature
from raypipe.values.training import Checkpoint, Trained

HOW = (
    'report ray.train.report({"loss": …}, checkpoint=Checkpoint.from_directory(folder)), where '
    "loss is that of the validation split and the folder holds the module's state dict as "
    "model.safetensors or model.pt"
)
ENDINGS = (".safetensors", ".pt", ".pth")


@dataclass(frozen=True, kw_only=True)
class Reported:
    """One report of the loop that came with a checkpoint."""

    number: int
    """Its place among all reports, counted from 1: the epoch, as a rule."""
    metrics: Mapping[str, Any]
    folder: Path


def trained_of(
    reports: Sequence[Mapping[str, Any]],
    kept: Sequence[Reported],
    settings: TrainingConfig,
    signature: Signature,
    folder: Path,
) -> Trained:
    """Return what the loop came to; its weights are written anew as safetensors into `folder`.

    `reports` are the metrics of all reports, in order. StepFailed where no report makes a
    candidate: without a checkpoint, without a loss, or with weights that do not fit the model.
    """
    loop = settings.loop
    if not kept:
        raise StepFailed(
            f"the loop {loop} ended after {len(reports)} reports, none with a checkpoint, so that "
            "there is no candidate",
            hint=HOW,
        )
    folder.mkdir(parents=True, exist_ok=True)
    module = build_module(settings.model, signature)
    best = sorted(kept, key=lambda one: (loss_of(one, loop), one.number))[: settings.keep]
    checkpoints = []
    for one in best:
        weights = weights_of(one, loop)
        _fit(module.state_dict(), weights, one, settings)
        file = folder / f"weights-{one.number:04d}.safetensors"
        save_weights({name: weights[name] for name in module.state_dict()}, file)
        metrics = {"loss": loss_of(one, loop), **numbers(one.metrics)}
        checkpoints.append(Checkpoint(epoch=one.number, metrics=metrics, weights=file))
    history = tuple(
        {"epoch": float(number), **numbers(row)} for number, row in enumerate(reports, 1)
    )
    return Trained(checkpoints=tuple(checkpoints), history=history, candidate=checkpoints[0])


def loss_of(report: Reported, loop: str | None) -> float:
    """Return the loss that a report names; StepFailed if it names none that is a number."""
    loss = report.metrics.get("loss")
    if isinstance(loss, int | float) and not isinstance(loss, bool) and math.isfinite(loss):
        return float(loss)
    named = ", ".join(report.metrics) or "nothing"
    found = f"its loss is {loss!r}" if "loss" in report.metrics else f"it names {named}"
    raise StepFailed(
        f"report {report.number} of the loop {loop} has a checkpoint but no loss of the "
        f"validation split, by which the best is found: {found}",
        hint=HOW,
    )


def numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics that are finite numbers; the number of the epoch is our own."""
    return {
        name: float(value)
        for name, value in metrics.items()
        if isinstance(value, int | float) and math.isfinite(value) and name != "epoch"
    }


def weights_of(report: Reported, loop: str | None) -> dict[str, Tensor]:
    """Return the weights in a checkpoint's folder; StepFailed unless there is one file of them."""
    files = sorted(path for path in report.folder.rglob("*") if path.suffix in ENDINGS)
    if len(files) != 1:
        there = ", ".join(sorted(path.name for path in report.folder.iterdir())) or "nothing"
        raise StepFailed(
            f"the checkpoint of report {report.number} of the loop {loop} has {len(files)} files "
            f"of weights ({', '.join(ENDINGS)}), and one is needed; in its folder: {there}",
            hint=HOW,
        )
    try:
        return read_weights(files[0])
    except UsageError as error:
        raise StepFailed(
            f"report {report.number} of the loop {loop}: {error}", hint=error.hint
        ) from error


def _fit(
    wanted: Mapping[str, Tensor],
    given: Mapping[str, Tensor],
    report: Reported,
    settings: TrainingConfig,
) -> None:
    odd = [
        name
        for name, tensor in wanted.items()
        if name not in given or given[name].shape != tensor.shape
    ]
    extra = [name for name in given if name not in wanted]
    if not odd and not extra:
        return
    name = (odd or extra)[0]
    shape = list(given[name].shape) if name in given else "absent"
    model = list(wanted[name].shape) if name in wanted else "absent"
    raise StepFailed(
        f"the weights of report {report.number} of the loop {settings.loop} do not fit "
        f"training.model, which serves them: {name} is {shape} in the checkpoint and {model} in "
        "the model",
        hint="let training.model name the module that the loop trains, and save its state_dict()",
    )
