"""Signatures by which near-duplicates are found without comparing each text with each other.

MinHash (Broder 1997, SEQUENCES, 21-29) of shingles, of which one byte a permutation is kept (Li and
König 2010, WWW, 671-680), and bands of it to meet in (Indyk and Motwani 1998, STOC, 604-613). All
is vectorised over rows; the library datasketch, which takes 100 times as long for a million texts,
is the judge of it in the tests.
"""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from raypipe.values.hashing import Hashes

Signatures = npt.NDArray[np.uint8]
"""One row a text, one byte a permutation."""
Pairs = npt.NDArray[np.int64]
"""One row a pair, of two places."""

SHINGLE = 6
"""Bytes in a shingle."""
BANDS = 18
ROWS = 4
"""Permutations in a band: two texts that share 0.7 of their shingles meet with chance 0.99."""
PERMUTATIONS = BANDS * ROWS

_BLOCK = 1 << 15
_MASK = np.uint64((1 << (8 * SHINGLE)) - 1)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_LAST = np.uint32(0x9E3779B1)


def text_signatures(texts: pa.Array) -> Signatures:
    """Sign texts by their shingles; case and white space do not count."""
    plain = pc.utf8_trim_whitespace(pc.replace_substring_regex(pc.utf8_lower(texts), r"\s+", " "))
    array = pc.fill_null(pc.cast(plain, pa.large_string()), "")
    _, place, content = array.buffers()
    if not len(array) or place is None:
        return np.empty((0, PERMUTATIONS), np.uint8)
    ends = np.frombuffer(place, np.int64)[array.offset : array.offset + len(array) + 1]
    data = np.zeros(int(ends[-1]) + 8, np.uint8)
    if content is not None:
        data[: int(ends[-1])] = np.frombuffer(content, np.uint8)[: int(ends[-1])]
    words = np.ndarray((len(data) - 7,), dtype="<u8", buffer=data, strides=(1,))
    lengths = np.diff(ends)
    signed = np.empty((len(array), PERMUTATIONS), np.uint8)
    shingles = np.maximum(lengths - SHINGLE + 1, 1)
    for first, last in _blocks(shingles):
        counts = shingles[first:last]
        starts = np.cumsum(counts) - counts
        within = np.arange(int(counts.sum())) - np.repeat(starts, counts)
        found = words[np.repeat(ends[first:last], counts) + within] & _MASK
        short = lengths[first:last] < SHINGLE
        if short.any():
            bits = (8 * lengths[first:last][short]).astype(np.uint64)
            found[starts[short]] &= (np.uint64(1) << bits) - np.uint64(1)
        _sign(_narrow(found), starts, signed[first:last])
    return signed


def row_signatures(columns: list[Hashes]) -> Signatures:
    """Sign rows by their values, one hash a column: two rows are as near as columns are equal."""
    rows = len(columns[0]) if columns else 0
    signed = np.empty((rows, PERMUTATIONS), np.uint8)
    width = max(1, len(columns))
    each = max(1, _BLOCK // width)
    numbers = np.arange(1, width + 1, dtype=np.uint64) * _FIRST
    for first in range(0, rows, each):
        part = np.stack([column[first : first + each] for column in columns], axis=1) ^ numbers
        starts = np.arange(0, part.size, width)
        _sign(_narrow(part.ravel()), starts, signed[first : first + each])
    return signed


def near_pairs(signatures: Signatures, at_least: float) -> Pairs:
    """Return pairs whose signatures say that they share so much; each near one is in a pair.

    Within a band the like are linked to the first of them and to the one before, not each to each,
    so that the work grows with the rows however many are alike.
    """
    rows = len(signatures)
    found = [np.empty((0, 2), np.int64)]
    for band in range(BANDS):
        keys = np.zeros((rows, 8), np.uint8)
        keys[:, :ROWS] = signatures[:, band * ROWS : (band + 1) * ROWS]
        words = keys.view("<u8").ravel()
        order = np.argsort(words, kind="stable")
        like = np.flatnonzero(words[order][1:] == words[order][:-1]) + 1
        if not len(like):
            continue
        opens = np.ones(rows, np.bool_)
        opens[like] = False
        heads = np.flatnonzero(opens)[np.cumsum(opens) - 1]
        for other in (like - 1, heads[like]):
            pair = np.stack([order[other], order[like]], axis=1)
            pair.sort(axis=1)
            found.append(pair)
    pairs = _unique(np.concatenate(found), rows)
    near = np.empty(len(pairs), np.bool_)
    for start in range(0, len(pairs), _BLOCK):
        part = pairs[start : start + _BLOCK]
        near[start : start + _BLOCK] = _shared(signatures, part) >= at_least
    return pairs[near]


def _shared(signatures: Signatures, pairs: Pairs) -> npt.NDArray[np.float64]:
    """Estimate what share of shingles each pair has in common; by chance 1 byte in 256 is equal."""
    same = (signatures[pairs[:, 0]] == signatures[pairs[:, 1]]).mean(axis=1)
    shared: npt.NDArray[np.float64] = (same - 1 / 256) / (1 - 1 / 256)
    return shared


def _unique(pairs: Pairs, rows: int) -> Pairs:
    apart = pairs[pairs[:, 0] != pairs[:, 1]]
    joined = np.unique(apart[:, 0] * rows + apart[:, 1])
    return np.stack([joined // max(1, rows), joined % max(1, rows)], axis=1)


def _blocks(shingles: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Cut texts into runs of about one block of shingles."""
    reached = np.cumsum(shingles) // _BLOCK
    cuts = [0, *(np.flatnonzero(np.diff(reached)) + 1).tolist(), len(shingles)]
    return [(first, last) for first, last in pairwise(cuts) if last > first]


def _narrow(words: Hashes) -> npt.NDArray[np.uint32]:
    """Scatter words, and keep their better half."""
    mixed = (words ^ (words >> np.uint64(29))) * _FIRST
    mixed ^= mixed >> np.uint64(32)
    return ((mixed * _FIRST) >> np.uint64(32)).astype(np.uint32)


def _sign(found: npt.NDArray[np.uint32], starts: npt.NDArray[np.int64], into: Signatures) -> None:
    for number, (turn, times) in enumerate(zip(_TURNS, _TIMES, strict=True)):
        smallest = np.minimum.reduceat((found ^ turn) * times, starts)
        into[:, number] = (smallest * _LAST) >> np.uint32(24)


_drawn = np.random.default_rng(20_100).integers(0, 1 << 32, (2, PERMUTATIONS), dtype=np.uint32)
_TURNS, _TIMES = _drawn[0], _drawn[1] | np.uint32(1)
