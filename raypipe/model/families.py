"""The model families that come built in: examples of the contract that any model keeps."""

import math
from collections.abc import Mapping

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
        width = sum(map(_width, self.dense)) + self._embedded_width()
        if not width:
            raise UsageError("tabular_mlp has nothing to read: the signature has no tensors")
        self.body = _body(width, hidden, dropout)
        self._hidden = _hidden(self.body)
        self.head = nn.Linear((width, *hidden)[-1], _head_width(self.outputs))

    def forward(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Return logits of shape [rows, outputs]."""
        parts = [tensors[spec.name].flatten(1) for spec in self.dense if spec.shape]
        parts += [tensors[spec.name][:, None] for spec in self.dense if not spec.shape]
        for spec in self.indexed:
            indices = tensors[spec.name].reshape(-1, _width(spec)).unbind(1)
            tables = self.embeddings[spec.name]
            assert isinstance(tables, nn.ModuleList)
            parts += [
                functional.embedding(i, table.weight)
                for i, table in zip(indices, tables, strict=True)
                if isinstance(table, nn.Embedding)
            ]
        values = torch.cat(parts, dim=1)
        values = self.body(values) if self.training else self._evaluated(values)
        logits = functional.linear(values, self.head.weight, self.head.bias)
        return logits[:, : self.outputs]

    def _evaluated(self, values: Tensor) -> Tensor:
        """Return what the body does, without dropout and without the cost of calling modules."""
        for linear, norm in self._hidden:
            values = functional.linear(values, linear.weight, linear.bias)
            values = functional.layer_norm(
                values, (linear.out_features,), norm.weight, norm.bias, norm.eps
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


def _hidden(body: nn.Sequential) -> tuple[tuple[nn.Linear, nn.LayerNorm], ...]:
    """Return the layers of a body that hold weights, two by two."""
    linears = [layer for layer in body if isinstance(layer, nn.Linear)]
    norms = [layer for layer in body if isinstance(layer, nn.LayerNorm)]
    return tuple(zip(linears, norms, strict=True))


def _body(width: int, hidden: tuple[int, ...], dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for wide in hidden:
        layers += [nn.Linear(width, wide), nn.LayerNorm(wide), nn.ReLU(), nn.Dropout(dropout)]
        width = wide
    return nn.Sequential(*layers)


def _head_width(outputs: int) -> int:
    return 1 if outputs == 1 else math.ceil(outputs / HEAD_MULTIPLE) * HEAD_MULTIPLE
