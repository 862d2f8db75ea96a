"""The model for texts that comes built in: a mean of embeddings, or a small transformer."""

import math
from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from raypipe.errors import UsageError
from raypipe.model.families import head_width, width_of
from raypipe.values.signature import Signature, TensorSpec


class TextClassifier(nn.Module):
    """Tokens [rows, length], 0 for padding, to a vector a text; then one layer to the logits.

    Without layers it is the mean of the tokens' embeddings (Joulin et al., 2016, Bag of Tricks for
    Efficient Text Classification, arXiv 1607.01759); with layers, a transformer (Vaswani et al.,
    2017, Attention Is All You Need, arXiv 1706.03762) with normalisation before each part, whose
    mean over the tokens it is. Numbers (float32) stand beside the texts as they are.
    """

    def __init__(
        self,
        signature: Signature,
        *,
        tensors: tuple[str, ...],
        width: int,
        layers: int,
        heads: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.outputs = signature.label.outputs
        self.texts = _texts(signature, tensors)
        self.dense = tuple(spec for spec in signature.tensors if spec.dtype == "float32")
        self.tokens = nn.ModuleDict(
            {spec.name: nn.Embedding(_vocabulary(spec), width) for spec in self.texts}
        )
        for table in self.tokens.values():
            nn.init.normal_(cast(nn.Embedding, table).weight, std=1 / math.sqrt(width))
        self.places = nn.ParameterDict()
        self.layers = nn.ModuleDict()
        if layers:
            for spec in self.texts:
                self.places[spec.name] = nn.Parameter(torch.randn(spec.shape[0], width) * 0.02)
                self.layers[spec.name] = _transformer(width, layers, heads, dropout)
        read = width * len(self.texts) + sum(map(width_of, self.dense))
        self.norm = nn.LayerNorm(read)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(read, head_width(self.outputs))

    def forward(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Return logits of shape [rows, outputs]."""
        parts = [self._read(spec.name, tensors[spec.name]) for spec in self.texts]
        parts += [tensors[spec.name].flatten(1) for spec in self.dense]
        values = self.dropout(self.norm(torch.cat(parts, dim=1)))
        return cast(Tensor, self.head(values))[:, : self.outputs]

    def _read(self, name: str, tokens: Tensor) -> Tensor:
        """Return the mean over the tokens of each text, [rows, width]; zeros of an empty one."""
        values, real = self.tokens[name](tokens), tokens != 0
        if name in self.layers:
            padding = ~real
            padding[:, 0] = False  # attention to nothing at all is no number
            values = self.layers[name](values + self.places[name], src_key_padding_mask=padding)
        counted = real.unsqueeze(-1).to(values.dtype)
        mean = (values * counted).sum(dim=1) / counted.sum(dim=1).clamp(min=1)
        return cast(Tensor, mean)


def _transformer(width: int, layers: int, heads: int, dropout: float) -> nn.Module:
    layer = nn.TransformerEncoderLayer(
        width, heads, 4 * width, dropout, activation="gelu", batch_first=True, norm_first=True
    )
    return nn.TransformerEncoder(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False)


def _texts(signature: Signature, named: tuple[str, ...]) -> tuple[TensorSpec, ...]:
    known = {spec.name: spec for spec in signature.tensors}
    found = named or tuple(name for name, spec in known.items() if spec.dtype == "int64")
    for name in found:
        if name not in known or known[name].dtype != "int64" or len(known[name].shape) != 1:
            have = ", ".join(f"{s.name} {s.dtype}{list(s.shape)}" for s in signature.tensors)
            raise UsageError(
                f"text_classifier cannot read {name!r} as tokens: they are int64 [length]; the "
                f"signature has {have}",
                hint="name tensors of tokens in training.model.tensors",
            )
    if not found:
        raise UsageError(
            "text_classifier has no text to read: the signature has no tensor of int64",
            hint="give the recipe a group of kind text",
        )
    return tuple(known[name] for name in found)


def _vocabulary(spec: TensorSpec) -> int:
    if not spec.cardinalities:
        raise UsageError(
            f"text_classifier cannot embed {spec.name!r}: the signature does not say how many "
            "tokens there are (cardinalities)"
        )
    return max(spec.cardinalities)
