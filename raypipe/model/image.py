"""The model for images that comes built in: a small residual network."""

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from raypipe.errors import UsageError
from raypipe.model.families import head_width, width_of
from raypipe.values.signature import Signature, TensorSpec

GROUP = 8
"""Channels that are normalised together."""


class ImageClassifier(nn.Module):
    """An image [rows, channels, height, width] to logits, by stages of residual blocks.

    After He et al., 2015, Deep Residual Learning for Image Recognition (arXiv 1512.03385), with
    group normalisation (Wu and He, 2018, arXiv 1803.08494), so that no row's answer depends on the
    rows beside it. Numbers (other tensors of float32) stand beside the image as they are.
    """

    def __init__(
        self,
        signature: Signature,
        *,
        tensor: str | None,
        widths: tuple[int, ...],
        blocks: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.outputs = signature.label.outputs
        self.image = _image(signature, tensor)
        self.dense = tuple(
            spec
            for spec in signature.tensors
            if spec.dtype == "float32" and spec.name != self.image.name and len(spec.shape) < 2
        )
        self.first = nn.Sequential(
            nn.Conv2d(self.image.shape[0], widths[0], 3, padding=1, bias=False),
            nn.GroupNorm(widths[0] // GROUP, widths[0]),
            nn.ReLU(),
        )
        before = (widths[0], *widths)
        self.stages = nn.ModuleList(
            _Block(
                before[stage] if block == 0 else wide,
                wide,
                stride=2 if stage and block == 0 else 1,
            )
            for stage, wide in enumerate(widths)
            for block in range(blocks)
        )
        read = widths[-1] + sum(map(width_of, self.dense))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(read, head_width(self.outputs))

    def forward(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Return logits of shape [rows, outputs]."""
        values = self.first(tensors[self.image.name])
        for block in self.stages:
            values = block(values)
        parts = [values.mean(dim=(2, 3)), *(tensors[spec.name].flatten(1) for spec in self.dense)]
        return cast(Tensor, self.head(self.dropout(torch.cat(parts, dim=1))))[:, : self.outputs]


class _Block(nn.Module):
    """Two convolutions, and what came before added to them."""

    def __init__(self, given: int, wide: int, *, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(given, wide, 3, stride, padding=1, bias=False),
            nn.GroupNorm(wide // GROUP, wide),
            nn.ReLU(),
            nn.Conv2d(wide, wide, 3, padding=1, bias=False),
            nn.GroupNorm(wide // GROUP, wide),
        )
        self.beside: nn.Module = nn.Identity()
        if stride != 1 or given != wide:
            self.beside = nn.Sequential(
                nn.Conv2d(given, wide, 1, stride, bias=False), nn.GroupNorm(wide // GROUP, wide)
            )

    def forward(self, values: Tensor) -> Tensor:
        """Return values of another width, and perhaps half the size."""
        return torch.relu(self.body(values) + self.beside(values))


def _image(signature: Signature, named: str | None) -> TensorSpec:
    images = {
        spec.name: spec
        for spec in signature.tensors
        if spec.dtype == "float32" and len(spec.shape) == 3
    }
    if named is None and len(images) == 1:
        return next(iter(images.values()))
    if named in images:
        return images[named]
    have = ", ".join(f"{s.name} {s.dtype}{list(s.shape)}" for s in signature.tensors) or "none"
    asked = f"no image named {named!r}" if named else f"{len(images)} images"
    raise UsageError(
        f"image_classifier finds {asked}: an image is float32 [channels, height, width]; the "
        f"signature has {have}",
        hint="name one of them in training.model.tensor, or give the recipe a group of kind image",
    )
