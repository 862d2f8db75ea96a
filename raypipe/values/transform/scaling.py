"""A label that is a number, as the module learns it, and back."""

from typing import Any

import numpy as np
import numpy.typing as npt

from raypipe.values.signature import Label

Floats = npt.NDArray[np.float64]
_LARGEST = float(np.finfo(np.float32).max)


def scaled(numbers: Floats, label: Label) -> Floats:
    """Return what the module learns of numbers; NaN for those that have no logarithm."""
    if label.log:
        with np.errstate(invalid="ignore", divide="ignore"):
            numbers = np.where(numbers >= 0, np.log1p(numbers), np.nan)
    return (numbers - label.center) / label.scale


def unscaled(scores: npt.NDArray[Any], label: Label) -> npt.NDArray[np.float32]:
    """Return a module's numbers as the label's own, within float32; of a logged one, none below 0.

    What is no number stays none.
    """
    if not label.is_scaled:
        return scores
    numbers = np.asarray(scores, np.float64) * label.scale + label.center
    if label.log:
        with np.errstate(over="ignore"):
            numbers = np.maximum(np.expm1(numbers), 0.0)
    told: npt.NDArray[np.float32] = np.clip(numbers, -_LARGEST, _LARGEST).astype(np.float32)
    return told
