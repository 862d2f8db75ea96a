"""Near-duplicates by signatures: held against all pairs, and against datasketch."""

import random
import warnings

import numpy as np
import pyarrow as pa

from raypipe.values.hashing import value_hash
from raypipe.values.minhash import PERMUTATIONS, near_pairs, row_signatures, text_signatures

WORDS = [f"word{n}" for n in range(2_000)]


def texts(count: int, near: int, seed: int = 0) -> list[str]:
    """Return texts of twelve words; the last `near` are the first ones with one word changed."""
    draw = random.Random(seed)
    made = [" ".join(draw.choices(WORDS, k=12)) for _ in range(count)]
    return made + [text.replace(text.split()[4], "other") for text in made[:near]]


def shingles(text: str) -> set[str]:
    return {text[n : n + 6] for n in range(max(1, len(text) - 5))}


def shared(a: str, b: str) -> float:
    ours, theirs = shingles(a), shingles(b)
    return len(ours & theirs) / len(ours | theirs)


def pairs_of(given: list[str], at_least: float) -> set[tuple[int, int]]:
    found = near_pairs(text_signatures(pa.array(given)), at_least)
    return {(a, b) for a, b in found.tolist()}


def test_each_near_text_is_found_and_no_far_one():
    given = texts(500, 100)
    found = pairs_of(given, 0.7)
    assert {(n, 500 + n) for n in range(100) if shared(given[n], given[500 + n]) > 0.85} <= found
    assert all(shared(given[a], given[b]) > 0.5 for a, b in found)


def test_the_share_of_equal_bytes_is_that_of_shared_shingles():
    given = texts(300, 300)
    signed = text_signatures(pa.array(given))
    guessed = [(signed[n] == signed[300 + n]).mean() for n in range(300)]
    truth = [shared(given[n], given[300 + n]) for n in range(300)]
    assert abs(np.mean(guessed) - np.mean(truth)) < 0.02
    assert np.abs(np.subtract(guessed, truth)).mean() < 2 * np.sqrt(0.25 / PERMUTATIONS)


def test_datasketch_finds_the_same():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from datasketch import MinHash, MinHashLSH
    given = texts(150, 50)
    lsh, theirs = MinHashLSH(threshold=0.6, num_perm=128), set()
    for number, text in enumerate(given):
        signed = MinHash(num_perm=128)
        signed.update_batch([one.encode() for one in sorted(shingles(text))])
        theirs |= {(other, number) for other in lsh.query(signed)}
        lsh.insert(number, signed)
    sure = {pair for pair in theirs if shared(given[pair[0]], given[pair[1]]) > 0.7}
    assert len(sure) > 10
    assert sure <= pairs_of(given, 0.6)


def test_case_and_white_space_do_not_count_and_short_texts_are_told_apart():
    signed = text_signatures(
        pa.array(["A  text\nof words", "a text of words", "ab", "ac", "", None])
    )
    assert (signed[0] == signed[1]).all()
    assert (signed[2] != signed[3]).any()
    assert (signed[4] == signed[5]).all()


def test_a_slice_of_texts_is_signed_as_by_itself():
    given = pa.array(texts(50, 0))
    assert (text_signatures(given[20:30]) == text_signatures(given)[20:30]).all()


def test_many_equal_signatures_make_no_more_pairs_than_twice_the_rows():
    signed = text_signatures(pa.array(["the same text again and again"] * 500))
    assert len(near_pairs(signed, 0.9)) < 1_000


def test_rows_are_as_near_as_columns_are_equal():
    draw = np.random.default_rng(0)
    table = [pa.array(draw.integers(0, 1 << 40, 100)) for _ in range(20)]
    one = [pa.array([*column.to_pylist(), column[7].as_py()]) for column in table[1:]]
    other = [pa.array([*table[0].to_pylist(), -1]), *one]
    found = near_pairs(row_signatures([value_hash(column) for column in other]), 0.8)
    assert found.tolist() == [[7, 100]]
