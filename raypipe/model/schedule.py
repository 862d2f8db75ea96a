"""Decisions of training, as plain functions: the learning rate, the best epochs, when to stop."""

import math
from collections.abc import Mapping, Sequence

from raypipe.config.loop import ScheduleConfig

History = Sequence[Mapping[str, float]]


def learning_rate(largest: float, step: int, steps: int) -> float:
    """Return the learning rate of a step (from 0) of so many: it falls to zero along a cosine."""
    return largest * 0.5 * (1 + math.cos(math.pi * min(step, steps) / max(steps, 1)))


def rate_at(
    schedule: ScheduleConfig, largest: float, step: int, *, epochs: int, steps: int
) -> float:
    """Return the learning rate of a step, counted from 0 over all epochs of so many steps each."""
    warm = math.ceil(schedule.warmup * epochs * steps)
    if step < warm:
        return largest * (step + 1) / warm
    match schedule.kind:
        case "constant":
            return largest
        case "step":
            return float(largest * schedule.factor ** (step // (schedule.every * steps)))
        case "cosine":
            return learning_rate(largest, step - warm, epochs * steps - warm)


def best_epochs(history: History, keep: int) -> list[int]:
    """Return the epochs of lowest validation loss, best first; of equal ones the earlier."""
    ranked = sorted(history, key=lambda row: (row["loss"], row["epoch"]))
    return [int(row["epoch"]) for row in ranked[:keep]]


def is_over(history: History, *, epochs: int, patience: int | None) -> bool:
    """Say whether training ends: all epochs are done, or the loss has not fallen for too long."""
    if len(history) >= epochs:
        return True
    if patience is None or not history:
        return False
    return len(history) - best_epochs(history, 1)[0] >= patience
