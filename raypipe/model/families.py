"""The model families that come built in: examples of the contract that any model keeps."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from raypipe.errors import UsageError
from raypipe.values.signature import Signature, TensorSpec

HEAD_MULTIPLE = 16
"""Width that the last layer is rounded up to: narrower ones (2 to 12) take a matrix kernel whose
last bits depend on where in a batch a row stands, so that its score would depend on it too."""


def embedding_width(cardinality: int, largest: int) -> int:
    """Return the width for so many values: it grows slowly with them, up to `largest`."""
    return max(1, min(largest, int(1.6 * math.pow(cardinality, 0.56) + 0.5)))


class TabularMlp(nn.Module):
    """A multilayer perceptron over numbers, with an embedding for each indexed column."""

    def __init__(
        self, signature: Signature, *, hidden: tuple[int, ...], dropout: float, embedding_width: int
    ) -> None:
        super().__init__()
        self.dense = tuple(spec for spec in signature.tensors if spec.dtype == "float32")
        self.indexed = tuple(spec for spec in signature.tensors if spec.dtype == "int64")
        self.outputs = signature.label.outputs
        self.embeddings = nn.ModuleDict(
            {spec.name: _embeddings(spec, embedding_width) for spec in self.indexed}
        )
        self._tables = {name: tuple(table.parameters()) for name, table in self.embeddings.items()}
        width = sum(map(_width, self.dense)) + self._embedded_width()
        if not width:
            raise UsageError("tabular_mlp has nothing to read: the signature has no tensors")
        self.body = _body(width, hidden, dropout)
        self._hidden = _hidden(self.body)
        self.head = nn.Linear((width, *hidden)[-1], _head_width(self.outputs))

    def forward(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Return logits of shape [rows, outputs]."""
        parts = [tensors[spec.name] for spec in self.dense]
        parts = [one if one.dim() == 2 else one.reshape(len(one), -1) for one in parts]
        for spec in self.indexed:
            indices = tensors[spec.name].reshape(-1, _width(spec)).unbind(1)
            parts += map(torch.embedding, self._tables[spec.name], indices)
        values = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        values = self.body(values) if self.training else self._evaluated(values)
        logits = functional.linear(values, self.head.weight, self.head.bias)
        return logits if logits.shape[1] == self.outputs else logits[:, : self.outputs]

    def _evaluated(self, values: Tensor) -> Tensor:
        """Return what the body does, without dropout and without a call of a module for each."""
        for hidden in self._hidden:
            values = functional.linear(values, hidden.weight, hidden.bias)
            values = torch.layer_norm(
                values, hidden.shape, hidden.scale, hidden.shift, hidden.epsilon
            )
            values = torch.relu(values)
        return values

    def _embedded_width(self) -> int:
        tables = (table for table in self.embeddings.modules() if isinstance(table, nn.Embedding))
        return sum(table.embedding_dim for table in tables)


def _width(spec: TensorSpec) -> int:
    return math.prod(spec.shape)


def _embeddings(spec: TensorSpec, largest: int) -> nn.ModuleList:
    if spec.cardinalities is None or len(spec.cardinalities) != _width(spec):
        raise UsageError(
            f"tabular_mlp cannot embed tensor {spec.name!r}: it is int64 of shape "
            f"{list(spec.shape)} with cardinalities {spec.cardinalities}; it needs one for each "
            "value of a row",
            hint="make it float32 in the recipe, or give a model of your own: training.model.build",
        )
    return nn.ModuleList(nn.Embedding(n, embedding_width(n, largest)) for n in spec.cardinalities)


class _Hidden(NamedTuple):
    """What a hidden layer computes with: the parameters themselves, which modules share."""

    weight: Tensor
    bias: Tensor
    shape: tuple[int]
    scale: Tensor
    shift: Tensor
    epsilon: float


def _hidden(body: nn.Sequential) -> tuple[_Hidden, ...]:
    linears = [layer for layer in body if isinstance(layer, nn.Linear)]
    norms = [layer for layer in body if isinstance(layer, nn.LayerNorm)]
    return tuple(
        _Hidden(
            linear.weight, linear.bias, (norm.weight.numel(),), norm.weight, norm.bias, norm.eps
        )
        for linear, norm in zip(linears, norms, strict=True)
    )


def _body(width: int, hidden: tuple[int, ...], dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for wide in hidden:
        layers += [nn.Linear(width, wide), nn.LayerNorm(wide), nn.ReLU(), nn.Dropout(dropout)]
        width = wide
    return nn.Sequential(*layers)


def _head_width(outputs: int) -> int:
    return 1 if outputs == 1 else math.ceil(outputs / HEAD_MULTIPLE) * HEAD_MULTIPLE
