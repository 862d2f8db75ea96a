"""What each task means for logits: the loss of a row, and the score that a person reads."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Task = Literal["binary", "multiclass", "multilabel", "regression"]

LABEL_DTYPES: dict[Task, torch.dtype] = {
    "binary": torch.float32,
    "multiclass": torch.int64,
    "multilabel": torch.float32,
    "regression": torch.float32,
}


def row_losses(task: Task, logits: Tensor, label: Tensor) -> Tensor:
    """Return the loss of each row; of several labels, the mean over them."""
    match task:
        case "binary":
            return functional.binary_cross_entropy_with_logits(
                logits[:, 0], label, reduction="none"
            )
        case "multiclass":
            return functional.cross_entropy(logits, label, reduction="none")
        case "multilabel":
            return label_losses(logits, label).mean(dim=1)
        case "regression":
            return functional.mse_loss(logits[:, 0], label, reduction="none")


def label_losses(logits: Tensor, label: Tensor) -> Tensor:
    """Return the cross-entropy of each label of each row, [rows, labels]."""
    return functional.binary_cross_entropy_with_logits(logits, label, reduction="none")


def scores(task: Task, logits: Tensor) -> Tensor:
    """Return P(positive) [rows], P(class) or P(label) [rows, classes], or the number [rows]."""
    match task:
        case "binary":
            return torch.sigmoid(logits[:, 0])
        case "multiclass":
            return torch.softmax(logits, dim=1)
        case "multilabel":
            return torch.sigmoid(logits)
        case "regression":
            return logits[:, 0]
