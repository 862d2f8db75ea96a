"""Scores from a module: the same row gets the same bits, whatever rows stand beside it.

A matrix kernel is chosen by the shape of a batch, and another kernel rounds otherwise. So rows are
scored in blocks of one fixed size, the last one filled up with zeros. For most modules a row's
place in a block does not matter then; a probe at the start finds those where it does (a layer of
2 to 12 outputs is enough), and they are scored row by row. A block of 32 costs a small perceptron
25 µs where one row costs 16 µs, and 0.8 µs a row in bulk where the largest batches cost 0.3 µs.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from raypipe.config.training import CustomModelConfig, MlpConfig
from raypipe.errors import UsageError
from raypipe.model.build import build_module, check_logits
from raypipe.model.checkpoint import load_weights
from raypipe.model.tasks import scores as scores_of
from raypipe.values.signature import Signature, TensorSpec

BLOCK = 32
SHIFTS = (1, 3, 8, 17)
"""How far the probe moves rows in a block."""


class Predictor:
    """A module in evaluation mode, and how it is asked."""

    def __init__(
        self, module: nn.Module, signature: Signature, *, block: int = BLOCK, device: str = "cpu"
    ) -> None:
        self.module = module.to(device).eval()
        self.signature = signature
        self.device = torch.device(device)
        self.block = block if block == 1 or self._place_is_free(block) else 1

    def scores(self, tensors: Mapping[str, Any]) -> NDArray[np.float32]:
        """Return P(positive class) [rows], P(class) [rows, classes], or the number [rows]."""
        given = {spec.name: self._given(tensors, spec) for spec in self.signature.tensors}
        rows = _rows(given)
        with torch.inference_mode():
            parts = [self._score(block) for block in self._blocks(given, rows)]
        if not parts:
            wide = (
                (self.signature.label.outputs,) if self.signature.label.task == "multiclass" else ()
            )
            return np.empty((0, *wide), dtype=np.float32)
        return torch.cat(parts)[:rows].cpu().numpy()

    def _given(self, tensors: Mapping[str, Any], spec: TensorSpec) -> Tensor:
        if spec.name not in tensors:
            raise UsageError(
                f"the model reads tensor {spec.name!r}, which is not given; given are "
                f"{', '.join(map(repr, tensors)) or 'none'}"
            )
        value = tensors[spec.name]
        if not isinstance(value, Tensor):
            value = _as_tensor(np.asarray(value))
        if tuple(value.shape[1:]) != spec.shape:
            raise UsageError(
                f"tensor {spec.name!r} has rows of shape {list(value.shape[1:])}; the model reads "
                f"{list(spec.shape)}"
            )
        return value.to(device=self.device, dtype=getattr(torch, spec.dtype))

    def _blocks(self, given: dict[str, Tensor], rows: int) -> Iterator[dict[str, Tensor]]:
        for start in range(0, rows, self.block):
            yield {
                name: self._filled(tensor[start : start + self.block])
                for name, tensor in given.items()
            }

    def _filled(self, part: Tensor) -> Tensor:
        missing = self.block - len(part)
        return torch.cat([part, part.new_zeros((missing, *part.shape[1:]))]) if missing else part

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
    model: MlpConfig | CustomModelConfig, signature: Signature, weights: Path, **options: Any
) -> Predictor:
    """Build a model and give it weights; `options` are those of Predictor."""
    module = build_module(model, signature)
    load_weights(module, weights)
    return Predictor(module, signature, **options)


def _as_tensor(array: NDArray[Any]) -> Tensor:
    """Return an array as a tensor, without a copy where torch may write to it."""
    return torch.from_numpy(array) if array.flags.writeable else torch.tensor(array)


def _random(spec: TensorSpec, rows: int) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    if spec.dtype == "float32":
        return torch.randn((rows, *spec.shape), generator=draw)
    drawn = torch.rand((rows, *spec.shape), generator=draw, dtype=torch.float64)
    limits = torch.tensor(spec.cardinalities or 1, dtype=torch.float64)
    return (drawn * limits).long()


def _rows(given: Mapping[str, Tensor]) -> int:
    counts = {name: len(tensor) for name, tensor in given.items()}
    if len(set(counts.values())) > 1:
        raise UsageError(f"the tensors have different numbers of rows: {counts}")
    return next(iter(counts.values()), 0)
