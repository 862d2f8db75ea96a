"""What texts look like: numbers, dates, truth values, nothing at all, or padded with spaces."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

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
_SPACES = b" \t\n\r\v\f"
_EARLY = 6
"""Bytes that are looked at before a pattern is tried: the most texts are told by these."""


def looks_of(values: pa.Array) -> Looks:
    """Return what each text looks like; of one that is padded, that it is."""
    starts, lengths, content = buffers(values)
    looks = np.zeros(len(values), np.uint8)
    looks[lengths == 0] = LOOKS.index("empty")
    if not content.size:
        return looks
    held = np.flatnonzero(lengths)
    first, last = content[starts[held]], content[starts[held] + lengths[held] - 1]
    looks[held[_IS_SPACE[first] | _IS_SPACE[last]]] = LOOKS.index("padded")
    left = held[(_OPENS[first] & ~_IS_SPACE[last]) & (lengths[held] <= _LONGEST)]
    # Where the middle is a letter or a sign of no number, it is text: one look tells the most.
    middle = content[starts[left] + lengths[left] // 2]
    left = left[_GOES_ON[middle] | _IS_LETTER[content[starts[left]]] | (lengths[left] < 3)]
    for place in range(1, _EARLY):
        ends = lengths[left] <= place
        at = content[np.where(ends, 0, starts[left] + place)]
        left = left[ends | _GOES_ON[at] | (_IS_LETTER[content[starts[left]]] & _IS_LETTER[at])]
    if not len(left):
        return looks
    # A text that starts with a letter and is longer than any word that counts is text.
    left = left[~_IS_LETTER[content[starts[left]]] | (lengths[left] <= 5)]
    texts = values.take(left)
    found = np.zeros(len(left), np.uint8)
    for look in reversed(_PATTERNS):
        match = pc.match_substring_regex(texts, _PATTERNS[look])
        found[match.to_numpy(zero_copy_only=False)] = LOOKS.index(look)
    looks[left] = found
    return looks


def told(looks: Looks, times: npt.NDArray[np.int64] | None) -> dict[str, int]:
    """Return how many texts have each look, those that none has left out."""
    counts = np.bincount(looks, times, len(LOOKS)).astype(np.int64).tolist()
    return dict(sorted((look, n) for look, n in zip(LOOKS, counts, strict=True) if n))


def ends_of(values: pa.Array, kept: npt.NDArray[np.int64] | None) -> tuple[str, str]:
    """Return the first and the last of some texts in code-point order, which is that of bytes."""
    starts, lengths, content = buffers(values)
    if kept is not None:
        starts, lengths = starts[kept], lengths[kept]
    padded = np.append(content, np.zeros(8, np.uint8))
    words = np.ndarray((len(content) + 1,), dtype=">u8", buffer=padded, strides=(1,))
    heads = words[starts].astype(np.uint64) & _HEAD[np.minimum(lengths, 8)]
    ends = []
    for choose, head in ((pc.min, heads.min()), (pc.max, heads.max())):
        places = np.flatnonzero(heads == head)
        ends.append(choose(values.take(places if kept is None else kept[places])).as_py())
    return ends[0], ends[1]


def buffers(
    values: pa.Array,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Return where each text starts, how many bytes it has, and all bytes."""
    _, place, content = values.buffers()
    if not len(values) or place is None:
        empty = np.zeros(len(values), np.int64)
        return empty, empty, np.zeros(0, np.uint8)
    kind = np.int64 if pa.types.is_large_string(values.type) else np.int32
    places = np.frombuffer(place, kind)[values.offset : values.offset + len(values) + 1]
    held = np.frombuffer(content, np.uint8) if content is not None else np.zeros(0, np.uint8)
    held = held[places[0] : places[-1]]
    places = places.astype(np.int64) - places[0]
    return places[:-1], np.diff(places), held


_HEAD = np.array([(2**64 - 1) ^ ((1 << (64 - 8 * n)) - 1) for n in range(9)], np.uint64)


def _table(characters: bytes) -> npt.NDArray[np.bool_]:
    table = np.zeros(256, np.bool_)
    table[list(characters)] = True
    return table


_IS_SPACE = _table(_SPACES)
_IS_LETTER = _table(bytes(range(65, 91)) + bytes(range(97, 123)))
_OPENS = _table(b"0123456789+-.?" + b"tTfFyYnN")
_GOES_ON = _table(b"0123456789+-.:/eETZ ")
