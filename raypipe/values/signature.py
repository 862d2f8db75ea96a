"""What a model takes and gives: the contract between data, training and serving."""

from dataclasses import dataclass
from typing import Literal

Task = Literal["binary", "multiclass", "multilabel", "regression"]

_SHOWN = 12
"""Values of a row that are named."""


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One field of a request."""

    name: str
    type: str
    """Arrow's name of the type: int64, double, string, bool, timestamp[us], …"""
    nullable: bool


@dataclass(frozen=True, kw_only=True)
class TensorSpec:
    """A named tensor that the transform makes and the module reads."""

    name: str
    dtype: Literal["float32", "int64"]
    shape: tuple[int, ...]
    """Shape of one row."""
    cardinalities: tuple[int, ...] | None = None
    """For indices: how many values each column can take, the out-of-vocabulary index 0 included.

    One number where all columns share their values, as the tokens of a text do.
    """
    columns: tuple[str, ...] = ()
    """What each value of a row is, in words: `temp`, `hour.sin`, `origin=JFK`."""

    def __str__(self) -> str:
        """Return what it is in a line: `float32 [3]: temp, hour.sin, hour.cos`."""
        shown = ", ".join(self.columns[:_SHOWN])
        more = f", and {len(self.columns) - _SHOWN} more" if len(self.columns) > _SHOWN else ""
        sizes = sorted(set(self.cardinalities or ()))
        of = f" of up to {sizes[-1]:,} values" if sizes else ""
        return f"{self.dtype} {list(self.shape)}{of}" + (f": {shown}{more}" if shown else "")


@dataclass(frozen=True, kw_only=True)
class Label:
    """What the model predicts."""

    name: str
    task: Task
    classes: tuple[str, ...] = ()
    """Names of the classes in the order of the module's outputs.

    For binary, (negative, positive).
    """
    log: bool = False
    """Of a number: the module learns log(1 + x) of it."""
    center: float = 0.0
    """Subtracted from it, after the logarithm."""
    scale: float = 1.0
    """Divided by, after that; never 0."""

    @property
    def is_scaled(self) -> bool:
        """Whether the module's numbers are other than the label's own."""
        return self.log or (self.center, self.scale) != (0.0, 1.0)

    def __str__(self) -> str:
        """Return what it is in a line: `late (binary): false, true`."""
        more = ", …" if len(self.classes) > _SHOWN else ""
        learned = ["log(1 + x)"] if self.log else []
        if (self.center, self.scale) != (0.0, 1.0):
            learned.append(f"less {self.center:.6g}, divided by {self.scale:.6g}")
        told = [", ".join(self.classes[:_SHOWN]) + more] if self.classes else []
        told += [f"learned as {', '.join(learned)}"] if learned else []
        return f"{self.name} ({self.task})" + (f": {'; '.join(told)}" if told else "")

    @property
    def outputs(self) -> int:
        """Width of the module's logits."""
        return len(self.classes) if self.task in ("multiclass", "multilabel") else 1

    @property
    def contract(self) -> tuple[str, Task, tuple[str, ...]]:
        """What an answer means to who asks; not how the module tells it."""
        return self.name, self.task, self.classes


@dataclass(frozen=True, kw_only=True)
class Signature:
    """Names, types and shapes of what a model takes and gives."""

    features: tuple[Feature, ...]
    tensors: tuple[TensorSpec, ...]
    label: Label
    weight: str | None = None
    """Column of the rows, and of tensor files, that says how much a row counts in training."""

    def tensor(self, name: str) -> TensorSpec:
        """Return the tensor of this name; KeyError if there is none."""
        for spec in self.tensors:
            if spec.name == name:
                return spec
        raise KeyError(name)
