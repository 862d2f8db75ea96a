"""The model families that come built in: examples of the contract that any model keeps."""

import math
from collections.abc import Mapping, Sequence
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
            {spec.name: embeddings(spec, embedding_width) for spec in self.indexed}
        )
        self._tables = {name: tuple(table.parameters()) for name, table in self.embeddings.items()}
        width = sum(map(width_of, self.dense)) + self._embedded_width()
        if not width:
            raise UsageError("tabular_mlp has nothing to read: the signature has no tensors")
        self.body = _body(width, hidden, dropout)
        self._hidden = _hidden(self.body)
        self.head = nn.Linear((width, *hidden)[-1], head_width(self.outputs))
        self._head = (self.head._parameters, self.head.weight)

    def forward(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Return logits of shape [rows, outputs]."""
        parts = [tensors[spec.name] for spec in self.dense]
        parts = [one if one.dim() == 2 else one.reshape(len(one), -1) for one in parts]
        held, weight = self._head
        direct = held["weight"] is weight  # else the weights were sharded since
        for spec in self.indexed:
            indices = tensors[spec.name].reshape(-1, width_of(spec)).unbind(1)
            if direct:
                parts += map(torch.embedding, self._tables[spec.name], indices)
            else:
                parts += embedded(self.embeddings[spec.name], indices)
        values = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        values = self._evaluated(values) if direct and not self.training else self.body(values)
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


def width_of(spec: TensorSpec) -> int:
    """Return how many values a row of a tensor has."""
    return math.prod(spec.shape)


def embedded(tables: nn.Module, indices: Sequence[Tensor]) -> list[Tensor]:
    """Return the embedding of each column of indices, by the table of that column."""
    return [table(one) for table, one in zip(tables.children(), indices, strict=True)]


def embeddings(spec: TensorSpec, largest: int) -> nn.ModuleList:
    if spec.cardinalities is None or len(spec.cardinalities) != width_of(spec):
        raise UsageError(
            f"a table's model cannot embed tensor {spec.name!r}: it is int64 of shape "
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


def head_width(outputs: int) -> int:
    """Return the width of a last layer: one, or a multiple of 16."""
    return 1 if outputs == 1 else math.ceil(outputs / HEAD_MULTIPLE) * HEAD_MULTIPLE
