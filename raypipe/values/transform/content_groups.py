"""Fitted groups that read texts and images; each has a tensor of its own."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Text:
    """The indices of a text's tokens; int64 [length]. Behind them, and where there is none, 0."""

    columns: tuple[str, ...]
    tensor: str
    tokenizer: str
    """State of the tokenizer, as the JSON of the Hugging Face `tokenizers` library."""
    length: int
    shift: int
    """Added to the tokenizer's own indices: 1 where its 0 is no padding."""
    size: int
    """How many values an index can take."""

    @property
    def names(self) -> tuple[str, ...]:
        """What each value of a row is."""
        return tuple(f"token {place}" for place in range(self.length))

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """How many values each index can take: the same for all."""
        return (self.size,)


@dataclass(frozen=True, kw_only=True)
class Image:
    """The pixels of an image, normalised; float32 [channels, height, width]. Missing: all 0."""

    columns: tuple[str, ...]
    tensor: str
    size: tuple[int, int]
    """Height and width, in pixels."""
    channels: int
    mean: tuple[float, ...]
    """Subtracted from values of 0 to 1, by channel."""
    std: tuple[float, ...]
    """Divided by, by channel; never 0."""
    broken: str
    """`blank`: bytes that are no whole image count as missing; `stop`: they are a UsageError."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one image."""
        return (self.channels, *self.size)
