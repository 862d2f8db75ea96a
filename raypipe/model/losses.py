"""What training minimises: a loss a row, by name or of the user's own, and what each row counts."""

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from raypipe.config.training import TrainingConfig
from raypipe.errors import StepFailed, UsageError
from raypipe.model.tasks import Task, label_losses, row_losses
from raypipe.values.signature import Label

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Takes logits [rows, outputs] and the label; returns [rows]."""
FOCUS = 2.0
"""How strongly a focal loss discounts what is right already: the exponent of its paper."""


def loss_of(settings: TrainingConfig) -> Loss:
    """Return the loss that the settings name; UsageError where what they name is no function."""
    task, name = settings.task, settings.loss
    if name is None:
        return lambda logits, label: row_losses(task, logits, label)
    if ":" in name:
        return _own(name)
    match name:
        case "focal":
            return lambda logits, label: _focal(task, logits, label)
        case "hinge":
            return lambda logits, label: functional.relu(1 - (2 * label - 1) * logits[:, 0])
        case "absolute":
            return lambda logits, label: functional.l1_loss(logits[:, 0], label, reduction="none")
        case "huber":
            return lambda logits, label: functional.huber_loss(
                logits[:, 0], label, reduction="none"
            )
        case _:
            return lambda logits, label: row_losses(task, logits, label)


def _focal(task: Task, logits: Tensor, label: Tensor) -> Tensor:
    """Cross-entropy × (1 - p)², where p is what the right answer got.

    Lin et al., 2017, Focal Loss for Dense Object Detection (arXiv 1708.02002).
    """
    if task == "multilabel":
        each = label_losses(logits, label)
        return (each * (1 - torch.exp(-each)) ** FOCUS).mean(dim=1)
    losses = row_losses(task, logits, label)
    return losses * (1 - torch.exp(-losses)) ** FOCUS


def _own(name: str) -> Loss:
    from raypipe.model.code import resolve

    function = resolve(name)
    if not callable(function):
        raise UsageError(
            f"training.loss names {name!r}, which is a {type(function).__name__} and no function",
            hint="name a function of logits [rows, outputs] and the label that returns [rows]",
        )

    def checked(logits: Tensor, label: Tensor) -> Tensor:
        losses = function(logits, label)
        if isinstance(losses, Tensor) and losses.shape == label.shape[:1]:
            return losses
        got = f"shape {list(losses.shape)}" if isinstance(losses, Tensor) else type(losses).__name__
        raise StepFailed(
            f"the loss {name} returned {got} for {len(label)} rows; expected [{len(label)}]",
            hint="return a loss for each row: no mean, such as with reduction='none'",
        )

    return checked


def weight_of_classes(
    settings: TrainingConfig, named: Label, label: Tensor
) -> Callable[[Tensor], Tensor] | None:
    """Return what rows count by their labels, [rows]; None where all count 1.

    `label` are the labels of the whole train split. Balanced: rows / (classes × rows of the class).
    Of a row with several labels it is the mean over its labels of what each counts.
    """
    given = settings.class_weights
    if given is None:
        return None
    if named.task == "multilabel":
        positive = _given(given, named) if isinstance(given, dict) else _rarity(label)
        both = torch.stack([torch.ones_like(positive), positive]).to(label.device)
        return lambda one: torch.where(one > 0.5, both[1], both[0]).mean(dim=1)
    of = (_given(given, named) if isinstance(given, dict) else _balanced(label, named)).to(
        label.device
    )
    return lambda one: of[one.long()]


def _given(given: dict[str, float], named: Label) -> Tensor:
    if odd := [name for name in given if name not in named.classes]:
        raise UsageError(
            f"training.class_weights names {odd[0]!r}; the classes of {named.name!r} are "
            f"{', '.join(named.classes)}",
            hint="write each class as it is in the data",
        )
    return torch.tensor([float(given.get(name, 1.0)) for name in named.classes])


def _balanced(label: Tensor, named: Label) -> Tensor:
    counts = torch.bincount(label.long().cpu(), minlength=max(2, len(named.classes))).float()
    found = counts > 0
    weights = torch.ones_like(counts)
    weights[found] = len(label) / (found.sum() * counts[found])
    return weights


def _rarity(label: Tensor) -> Tensor:
    """Of each label, rows without it over rows with it; 1 for one that no row has."""
    with_it = label.sum(dim=0).cpu()
    return torch.where(with_it > 0, (len(label) - with_it) / with_it.clamp(min=1), 1.0)
