"""The models that come built in, beside the perceptron: for tables, texts and images."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from raypipe.config.base import BaseConfig


class TabularResNetConfig(BaseConfig):
    """The built-in residual network for tables, with an embedding for each indexed column."""

    kind: Literal["tabular_resnet"] = "tabular_resnet"

    width: int = Field(128, ge=1)
    """Width of what the blocks add to."""

    blocks: int = Field(3, ge=1)
    """Number of residual blocks."""

    expansion: float = Field(2.0, gt=0)
    """Width inside a block over `width`."""

    dropout: float = Field(0.1, ge=0, lt=1)
    """Share of activations dropped inside a block while training."""

    embedding_width: int = Field(16, ge=1)
    """Largest width of an embedding; small vocabularies get narrower ones."""


class TextClassifierConfig(BaseConfig):
    """The built-in model for texts: a mean of token embeddings, or a small transformer."""

    kind: Literal["text_classifier"] = "text_classifier"

    tensors: tuple[str, ...] = ()
    """Tensors (int64) that hold tokens, 0 for padding; empty: all of int64."""

    width: int = Field(64, ge=2)
    """Width of a token's embedding."""

    layers: int = Field(0, ge=0)
    """Layers of the transformer; 0: the mean of the embeddings, which is quick and often enough."""

    heads: int = Field(4, ge=1)
    """Heads of attention of each layer; they divide `width`."""

    dropout: float = Field(0.1, ge=0, lt=1)
    """Share of activations dropped while training."""

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Self:
        if self.layers and self.width % self.heads:
            raise ValueError(
                f"width is {self.width}, which {self.heads} heads do not divide; make it "
                f"{self.width // self.heads * self.heads or self.heads}, or change heads"
            )
        return self


class ImageClassifierConfig(BaseConfig):
    """The built-in residual convolutional network for images."""

    kind: Literal["image_classifier"] = "image_classifier"

    tensor: str | None = None
    """Tensor (float32 [channels, height, width]) that holds the image; None: the only such one."""

    widths: tuple[Annotated[int, Field(ge=8, multiple_of=8)], ...] = Field(
        (32, 64, 128), min_length=1
    )
    """Channels of each stage; every stage after the first halves height and width."""

    blocks: int = Field(1, ge=1)
    """Residual blocks of each stage."""

    dropout: float = Field(0.1, ge=0, lt=1)
    """Share of the last activations dropped while training."""
