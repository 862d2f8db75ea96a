"""Texts as numpy sees them: where each starts, how many bytes it has, and its first eight."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Places = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

LOW_BYTES = np.array([(1 << (8 * n)) - 1 for n in range(9)], dtype=np.uint64)
"""What keeps so many of the first bytes of a word."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Texts:
    """The bytes of texts, or of bytes; a null may have some too."""

    starts: Places
    lengths: Places
    """In bytes."""
    content: npt.NDArray[np.uint8]
    """Of all texts, and zeros after them, so that two words can be read from where the last ends.
    """

    @classmethod
    def of(cls, array: pa.Array) -> Self:
        """Look at an array of texts or bytes, of whatever layout."""
        kind, types = array.type, pa.types
        if types.is_string_view(kind):
            array = pc.cast(array, pa.large_string())
        elif types.is_fixed_size_binary(kind) or types.is_binary_view(kind):
            array = pc.cast(array, pa.large_binary())
        wide = types.is_large_string(array.type) or types.is_large_binary(array.type)
        _, place, held = array.buffers()
        if not len(array) or place is None:
            none = np.zeros(len(array), np.int64)
            return cls(starts=none, lengths=none, content=np.zeros(16, np.uint8))
        places = np.frombuffer(place, np.int64 if wide else np.int32)
        places = places[array.offset : array.offset + len(array) + 1]
        first, last = int(places[0]), int(places[-1])
        content = np.empty((last - first) // 8 * 8 + 24, np.uint8)
        content[last - first :] = 0
        if last > first:
            content[: last - first] = np.frombuffer(held, np.uint8)[first:last]
        places = places.astype(np.int64) - first
        return cls(starts=places[:-1], lengths=np.diff(places), content=content)

    @cached_property
    def words(self) -> Words:
        """All bytes by eights, the first of them the lowest."""
        return self.content.view("<u8").astype(np.uint64, copy=False)

    def words_at(self, places: Places) -> Words:
        """Return the eight bytes from each place."""
        return next(self.words_from(places, 1))

    def words_from(self, places: Places, count: int) -> Iterator[Words]:
        """Return the eight bytes from each place, then the next eight, so many times.

        Numpy takes twenty times as long to read numbers from places that are not multiples of 8, so
        each is put together of the two words that it lies in.
        """
        at, above = places >> 3, ((places & 7) << 3).astype(np.uint64)
        below = np.uint64(64) - above
        word: Words = self.words[at]
        for _ in range(count):
            at += 1
            low, word = word, self.words[at]
            yield (low >> above) | (word << below)

    @cached_property
    def first(self) -> Words:
        """The first eight bytes of each text, zeros where it is shorter."""
        words = self.words_at(self.starts)
        words &= LOW_BYTES[np.minimum(self.lengths, 8)]
        return words

    @cached_property
    def heads(self) -> Words:
        """The same, as numbers that are ordered as the texts are."""
        return self.first.byteswap()

    @cached_property
    def is_ascii(self) -> bool:
        """Whether each byte is a character."""
        return int(self.content.max()) < 128
