"""The residual network for tables that comes built in."""

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from raypipe.errors import UsageError
from raypipe.model.families import embedded, embeddings, head_width, width_of
from raypipe.values.signature import Signature


class TabularResNet(nn.Module):
    """Blocks that each add to what came before, over numbers and embeddings.

    After the ResNet of Gorishniy et al., 2021, Revisiting Deep Learning Models for Tabular Data
    (arXiv 2106.11959, section 3.2), with layer instead of batch normalisation: so no row's answer
    depends on the rows beside it, in training neither.
    """

    def __init__(
        self,
        signature: Signature,
        *,
        width: int,
        blocks: int,
        expansion: float,
        dropout: float,
        embedding_width: int,
    ) -> None:
        super().__init__()
        self.dense = tuple(spec for spec in signature.tensors if spec.dtype == "float32")
        self.indexed = tuple(spec for spec in signature.tensors if spec.dtype == "int64")
        self.outputs = signature.label.outputs
        self.embeddings = nn.ModuleDict(
            {spec.name: embeddings(spec, embedding_width) for spec in self.indexed}
        )
        tables = (table for table in self.embeddings.modules() if isinstance(table, nn.Embedding))
        read = sum(map(width_of, self.dense)) + sum(table.embedding_dim for table in tables)
        if not read:
            raise UsageError("tabular_resnet has nothing to read: the signature has no tensors")
        inner = max(1, round(width * expansion))
        self.first = nn.Linear(read, width)
        self.blocks = nn.ModuleList(_block(width, inner, dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, head_width(self.outputs))

    def forward(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Return logits of shape [rows, outputs]."""
        parts = [tensors[spec.name].flatten(1) for spec in self.dense]
        for spec in self.indexed:
            indices = tensors[spec.name].reshape(-1, width_of(spec)).unbind(1)
            parts += embedded(self.embeddings[spec.name], indices)
        values = self.first(torch.cat(parts, dim=1))
        for block in self.blocks:
            values = values + block(values)
        return cast(Tensor, self.head(torch.relu(self.norm(values))))[:, : self.outputs]


def _block(width: int, inner: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(width),
        nn.Linear(width, inner),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(inner, width),
        nn.Dropout(dropout),
    )
