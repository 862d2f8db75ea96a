"""Scores from a module: the same row gets the same bits, whatever rows stand beside it.

A matrix kernel is chosen by the shape of a batch, and another kernel rounds otherwise. So rows are
scored in blocks of one fixed size, the last one filled up with zeros. For most modules a row's
place in a block does not matter then; a probe at the start finds those where it does (a layer of
2 to 12 outputs is enough), and they are scored row by row. A block of 32 costs a small perceptron
25 µs where one row costs 16 µs, and 0.8 µs a row in bulk where the largest batches cost 0.3 µs.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from raypipe.config.training import AnyModel
from raypipe.errors import UsageError
from raypipe.model.build import build_module, check_logits
from raypipe.model.tasks import scores as scores_of
from raypipe.model.weights import load_weights
from raypipe.values.signature import Signature, TensorSpec
from raypipe.values.transform.scaling import unscaled

BLOCK = 32
SHIFTS = (1, 3, 8, 17)
"""How far the probe moves rows in a block."""


_Spec: TypeAlias = tuple[str, tuple[int, ...], "np.dtype[Any]", torch.dtype]
"""A tensor that a module reads: its name, the shape of a row, its dtype to numpy and to torch."""


class Predictor:
    """A module in evaluation mode, and how it is asked."""

    def __init__(
        self, module: nn.Module, signature: Signature, *, block: int = BLOCK, device: str = "cpu"
    ) -> None:
        self.module = module.to(device).eval()
        self.signature = signature
        self.device = torch.device(device)
        self._specs: list[_Spec] = [
            (spec.name, spec.shape, np.dtype(spec.dtype), getattr(torch, spec.dtype))
            for spec in signature.tensors
        ]
        self.block = block if block == 1 or self._place_is_free(block) else 1

    def scores(self, tensors: Mapping[str, Any]) -> NDArray[np.float32]:
        """Return P(positive class) [rows], P(class or label) [rows, classes], or numbers [rows].

        A number is the label's own, whatever the module learned of it.
        """
        rows = self._rows(tensors)
        size = -(-rows // self.block) * self.block
        filled = {spec[0]: self._filled(tensors[spec[0]], spec, size) for spec in self._specs}
        with torch.inference_mode():
            parts = [self._score(block) for block in self._blocks(filled, size)]
            if len(parts) == 1:
                return unscaled(parts[0][:rows].cpu().numpy(), self.signature.label)
        if parts:
            return unscaled(torch.cat(parts)[:rows].cpu().numpy(), self.signature.label)
        label = self.signature.label
        wide = (label.outputs,) if label.task in ("multiclass", "multilabel") else ()
        return np.empty((0, *wide), dtype=np.float32)

    def _rows(self, tensors: Mapping[str, Any]) -> int:
        """Return how many rows are given; UsageError for a tensor that does not fit."""
        rows = None
        for name, shape, *_ in self._specs:
            if name not in tensors:
                raise UsageError(
                    f"the model reads tensor {name!r}, which is not given; given are "
                    f"{', '.join(map(repr, tensors)) or 'none'}"
                )
            count, *given = tensors[name].shape
            if tuple(given) != shape:
                raise UsageError(
                    f"tensor {name!r} has rows of shape {given}; the model reads {list(shape)}"
                )
            if rows not in (None, count):
                counts = {one: len(tensors[one]) for one, *_ in self._specs}
                raise UsageError(f"the tensors have different numbers of rows: {counts}")
            rows = count
        return rows or 0

    def _filled(self, value: Any, spec: _Spec, size: int) -> Tensor:
        """Return a tensor with rows of zeros behind its own, up to a size."""
        _, shape, dtype, torch_dtype = spec
        if isinstance(value, Tensor):
            filled = torch.zeros((size, *shape), dtype=torch_dtype, device=self.device)
            filled[: len(value)] = value
            return filled
        array = np.zeros((size, *shape), dtype)
        array[: len(value)] = value
        filled = torch.from_numpy(array)
        return filled if self.device.type == "cpu" else filled.to(self.device)

    def _blocks(self, filled: dict[str, Tensor], size: int) -> Iterator[dict[str, Tensor]]:
        if size == self.block:
            yield filled
            return
        for start in range(0, size, self.block):
            yield {name: tensor[start : start + self.block] for name, tensor in filled.items()}

    def _score(self, block: dict[str, Tensor]) -> Tensor:
        logits = self.module(block)
        label = self.signature.label
        check_logits(logits, rows=self.block, outputs=label.outputs)
        return scores_of(label.task, logits)

    def _place_is_free(self, block: int) -> bool:
        """Say whether rows keep their bits when they are moved within a block."""
        rows = {spec.name: _random(spec, block).to(self.device) for spec in self.signature.tensors}
        with torch.inference_mode():
            scored = self.module(rows)
            return all(
                torch.equal(
                    self.module({name: t.roll(shift, 0) for name, t in rows.items()}),
                    scored.roll(shift, 0),
                )
                for shift in SHIFTS
            )


def load_predictor(
    model: AnyModel, signature: Signature, weights: Path, **options: Any
) -> Predictor:
    """Build a model and give it weights; `options` are those of Predictor."""
    module = build_module(model, signature)
    load_weights(module, weights)
    return Predictor(module, signature, **options)


def _random(spec: TensorSpec, rows: int) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    if spec.dtype == "float32":
        return torch.randn((rows, *spec.shape), generator=draw)
    drawn = torch.rand((rows, *spec.shape), generator=draw, dtype=torch.float64)
    limits = torch.tensor(spec.cardinalities or 1, dtype=torch.float64)
    return (drawn * limits).long()
