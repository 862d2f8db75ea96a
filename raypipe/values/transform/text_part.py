"""What a fitted group of texts does to columns."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from raypipe.values.transform.content_groups import Text
from raypipe.values.transform.reading import Column
from raypipe.values.transform.stacking import Target

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer


class TextPart:
    """A tokenizer, which is read when it is first needed."""

    def __init__(self, group: Text) -> None:
        self._group = group
        self._made: Tokenizer | None = None

    def prepare(self) -> "Tokenizer":
        """Return the tokenizer, and keep to it from now on."""
        if self._made is None:
            from tokenizers import Tokenizer

            made = Tokenizer.from_str(self._group.tokenizer)
            made.enable_truncation(self._group.length)
            made.no_padding()
            self._made = made
        return self._made

    def __call__(self, columns: Sequence[Column], target: Target) -> None:
        target[:] = 0
        texts = joined_texts(columns)
        rows = [row for row, text in enumerate(texts) if text]
        encoded = self._encoded([texts[row] for row in rows])
        for row, encoding in zip(rows, encoded, strict=True):
            ids = encoding.ids
            target[row, : len(ids)] = ids
            if self._group.shift:
                target[row, : len(ids)] += self._group.shift

    def _encoded(self, texts: list[str]) -> "list[Encoding]":
        tokenizer = self.prepare()
        if len(texts) == 1:
            return [tokenizer.encode(texts[0])]
        return tokenizer.encode_batch(texts)


def joined_texts(columns: Sequence[Column]) -> list[str]:
    """Return the text of each row, those of several columns joined by a line feed."""
    listed = [one if isinstance(one, list) else one.to_pylist() for one in columns]
    if len(listed) == 1:
        return [text or "" for text in listed[0]]
    return [
        "\n".join(text for text in texts if text is not None) for texts in zip(*listed, strict=True)
    ]
