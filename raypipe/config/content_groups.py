"""Groups of a recipe that read texts and images."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from raypipe.config.base import BaseConfig, Columns


class TextGroup(BaseConfig):
    """A text as the indices of its tokens, 0 behind the last: a mask is `indices != 0`.

    A text that is missing or empty is all 0, and what the tokenizer does not know has an index of
    its own. What is longer than `length` loses its end.
    """

    kind: Literal["text"] = "text"

    columns: Columns
    """Columns of text; several are joined by a line feed, those that are missing left out."""

    length: int = Field(128, ge=1)
    """Tokens of each row."""

    tokenizer: Literal["bpe", "words"] = "bpe"
    """What is learned from the train split: byte-pair merges of letters, or whole words."""

    vocabulary: int = Field(8_000, ge=16)
    """Most tokens that are learned, the padding and the unknown one included."""

    min_count: int = Field(2, ge=1)
    """A word, or a pair of tokens, that is rarer in the train split is not learned."""

    lowercase: bool = True
    """Take capital letters for small ones, and letters without their accents."""

    file: str | None = None
    """A `tokenizer.json` of the Hugging Face `tokenizers` library, instead of one that is learned.

    A path from the project's root; the file is kept with the model. Its own indices are kept where
    its index 0 is a padding token; else each is one more, so that 0 is free.
    """

    tensor: str = "tokens"
    """Tensor (int64, [length]) that the indices go into; nothing else can."""


class ImageGroup(BaseConfig):
    """An image as numbers of shape [channels, height, width]; float32.

    An image that is missing is all 0, which after `normalise: train` is the mean colour.
    """

    kind: Literal["image"] = "image"

    columns: Annotated[Columns, Field(max_length=1)]
    """The column of the images' bytes: PNG, JPEG, GIF, BMP, WebP (in a request, as base64)."""

    size: tuple[Annotated[int, Field(ge=1, le=4096)], Annotated[int, Field(ge=1, le=4096)]]
    """Height and width that images are resized to, in pixels."""

    channels: Literal[1, 3] = 3
    """1: grey; 3: red, green and blue. Transparent images are laid on black."""

    normalise: Literal["train", "unit", "given"] = "train"
    """Train: subtract the train split's mean of each channel, divide by its standard deviation.

    Unit: from 0 (black) to 1. Given: by `mean` and `std`.
    """

    mean: tuple[float, ...] | None = None
    """Mean of each channel, of values from 0 to 1; with `normalise: given`."""

    std: tuple[Annotated[float, Field(gt=0)], ...] | None = None
    """Standard deviation of each channel, of values from 0 to 1; with `normalise: given`."""

    broken: Literal["stop", "blank"] = "stop"
    """What becomes of bytes that are no whole image: an error, or they count as missing."""

    tensor: str = "image"
    """Tensor (float32, [channels, height, width]) that the image goes into; nothing else can."""

    @model_validator(mode="after")
    def _given_figures_fit(self) -> Self:
        for name, given in (("mean", self.mean), ("std", self.std)):
            if (given is not None) != (self.normalise == "given"):
                raise ValueError("mean and std are given with `normalise: given`, and only then")
            if given is not None and len(given) != self.channels:
                raise ValueError(f"{name} has {len(given)} numbers for {self.channels} channels")
        return self
