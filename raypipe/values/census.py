"""What texts look like: numbers, dates, truth values, nothing at all, or padded with spaces."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from raypipe.values.texts import Texts

Looks = npt.NDArray[np.uint8]

LOOKS = ("text", "empty", "padded", "integer", "float", "date", "bool", "missing")
"""What a text may look like; the number of a look is its place here."""

_PATTERNS = {
    "integer": r"^[+-]?[0-9]+$",
    "float": r"^[+-]?([0-9]+[.][0-9]*|[.][0-9]+|[0-9]+)([eE][+-]?[0-9]+)?$",
    "date": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.]+(Z|[+-][0-9:]+)?)?$"
    r"|^[0-9]{1,2}[/.][0-9]{1,2}[/.][0-9]{4}$",
    "bool": r"^(?i:true|false|yes|no)$",
    "missing": r"^(?i:na|n/a|nan|null|none|nil|[?-])$",
}
_LONGEST = 40
_FEW = 200
"""Texts up to which Python finds the first and the last sooner than Arrow does."""


def looks_of(values: pa.Array, texts: Texts) -> Looks:
    """Return what each text looks like; of one that is padded, that it is."""
    lengths = texts.lengths
    looks = np.zeros(len(values), np.uint8)
    first = texts.first.astype(np.uint8)
    last = texts.content[texts.starts + np.maximum(lengths - 1, 0)]
    looks[_is_space(first) | _is_space(last)] = LOOKS.index("padded")
    looks[lengths == 0] = LOOKS.index("empty")
    left = np.flatnonzero(_OPENS[first])
    left = left[(looks[left] == 0) & (lengths[left] <= _LONGEST)]
    left = left[_may_be_told(texts, left)]
    if not len(left):
        return looks
    held = values.take(left)
    found = np.zeros(len(left), np.uint8)
    for look in reversed(_PATTERNS):
        match = pc.match_substring_regex(held, _PATTERNS[look])
        found[match.to_numpy(zero_copy_only=False)] = LOOKS.index(look)
    looks[left] = found
    return looks


def _may_be_told(texts: Texts, left: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Say which texts a pattern is worth trying on: of the most, a few bytes say that it is not.

    A word is told if it has five letters at most, all else if no other letter is in it.
    """
    words = texts.first[left]
    told: npt.NDArray[np.bool_] = _PAIR_GOES_ON[words >> np.uint64(8) & np.uint64(0xFFFF)]
    told &= _PAIR_GOES_ON[words >> np.uint64(24) & np.uint64(0xFFFF)]
    lengths = texts.lengths[left]
    places = np.flatnonzero(told & (lengths > 2))
    middle = texts.starts[left[places]] + lengths[places] // 2
    told[places] = _GOES_ON[texts.content[middle]]
    is_word = _IS_LETTER[words.astype(np.uint8)]
    told[is_word] = lengths[is_word] <= 5
    return told


def told(looks: Looks, times: npt.NDArray[np.int64] | None) -> dict[str, int]:
    """Return how many texts have each look, those that none has left out."""
    counts = np.bincount(looks, times, len(LOOKS)).astype(np.int64).tolist()
    return dict(sorted((look, n) for look, n in zip(LOOKS, counts, strict=True) if n))


def ends_of(values: pa.Array, texts: Texts, kept: npt.NDArray[np.int64] | None) -> tuple[str, str]:
    """Return the first and the last of some texts in code-point order, which is that of bytes."""
    heads = texts.heads if kept is None else texts.heads[kept]
    first, last = (
        values.take(places if kept is None else kept[places])
        for places in (np.flatnonzero(heads == head) for head in (heads.min(), heads.max()))
    )
    if len(first) + len(last) > _FEW:
        return pc.min(first).as_py(), pc.max(last).as_py()
    return min(first.to_pylist()), max(last.to_pylist())


def _is_space(characters: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    tab, space = np.uint8(ord("\t")), np.uint8(ord(" "))
    # Five characters follow one another, the tab the first; what is below wraps around.
    spaces: npt.NDArray[np.bool_] = (characters == space) | (characters - tab < 5)
    return spaces


def _table(characters: bytes) -> npt.NDArray[np.bool_]:
    table = np.zeros(256, np.bool_)
    table[list(characters)] = True
    return table


_IS_LETTER = _table(bytes(range(65, 91)) + bytes(range(97, 123)))
_OPENS = _table(b"0123456789+-.?" + b"tTfFyYnN")
_GOES_ON = _table(b"0123456789+-.:/eETZ ")
_ENDS_OR_GOES_ON = _GOES_ON | _table(b"\0")
_PAIR_GOES_ON = np.outer(_ENDS_OR_GOES_ON, _ENDS_OR_GOES_ON).ravel()
"""Of two bytes as one number."""
