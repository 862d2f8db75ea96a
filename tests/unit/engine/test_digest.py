"""Digests stay what they are: kept results are found by them after every upgrade."""

import pytest

from raypipe.engine.digest import digest_bytes, digest_tree

RECORD = {"k": "record", "t": "m:Split", "f": {"seed": 7, "shares": [0.7, 0.3]}}

PINNED = {
    "none": (None, "3bbca708a4f3a026d3846f45b2d293798bd511e31211e10a6d95ad9ef558f1f8"),
    "true": (True, "8f57ab249dc3b1b0d713232bde9d90951774a39d1336f10447a576fc71a1a25f"),
    "an int": (5, "10948ea7a02dd65af43f918972e8a4ce3952c6a78eb9055722efe46cc6a2085d"),
    "a float": (0.1, "61f9c9777d2b639b81f787fd89acdc5345330100d0554b2fb13ee3e29c692e46"),
    "text": ("Zürich", "6e40387cc7115c386b4dbc105d0971d1da190057a48605088dcb2f228450f6c3"),
    "a list": ([1, [2]], "ae284b4249b9718f4f7717d14a4c2267c70b11f98e6f4bea04f0404976f9ec7c"),
    "a tuple": (
        {"k": "tuple", "v": [1, [2]]},
        "0f61986da468aa8c3d64949c8ad19057049ff6452b16549d4d74d461a979abe6",
    ),
    "a dict": (
        {"k": "dict", "v": {"b": 1, "a": [2]}},
        "728113e5251990b4fb6a0c16dbc2169c60a914cad572d04323d0136faeb575f0",
    ),
    "a map": (
        {"k": "map", "v": [[1, "a"], [2, [3]]]},
        "da468707cd640db8c4899d5879b1bf5e9cf8a51f015c473acc3e4ca53682eb5e",
    ),
    "a set": (
        {"k": "set", "v": [1, 2]},
        "edfe08189b21485159c348f79890b9dfca22ec84962080174f611da889dc40c3",
    ),
    "a record": (RECORD, "ed8133b3cb3dedf34ce4c444d197eb2e167bc4d9024507b98070902b462eb533"),
    "bytes": (
        {"k": "bytes", "v": "YWJj"},
        "540cf57c849d819f0edad24d2974dff5e2637c1d09d05bf19136b60a2798160e",
    ),
    "an array": (
        {"k": "array", "d": "<i8", "s": [1], "v": "AQAAAAAAAAA="},
        "cffd45c2f44041f0bb9df302d83f6d5fe23e9194e92d3ba45c1002aa4272c6ed",
    ),
}


@pytest.mark.parametrize(("node", "digest"), PINNED.values(), ids=PINNED)
def test_a_digest_is_the_same_in_every_version(node, digest):
    assert digest_tree(node) == digest


def test_the_digest_of_bytes_is_blake2b_256():
    assert (
        digest_bytes(b"abc") == "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"
    )


EQUAL_IN_PYTHON = [1, 1.0, True, "1", None, "", [], {"k": "dict", "v": {}}, {"k": "tuple", "v": []}]


def test_values_of_different_types_have_different_digests():
    digests = {digest_tree(node) for node in EQUAL_IN_PYTHON}
    assert len(digests) == len(EQUAL_IN_PYTHON)


def test_minus_zero_is_not_zero():
    assert digest_tree(-0.0) != digest_tree(0.0)


@pytest.mark.parametrize("kind", ["map", "ordered"])
def test_the_order_of_a_map_counts(kind):
    pairs = [[1, "a"], [2, "b"]]
    one, other = {"k": kind, "v": pairs}, {"k": kind, "v": pairs[::-1]}
    assert digest_tree(one) != digest_tree(other)


def test_the_order_of_a_dict_counts():
    one = {"k": "dict", "v": {"a": 1, "b": [2]}}
    other = {"k": "dict", "v": {"b": [2], "a": 1}}
    assert digest_tree(one) != digest_tree(other)


def test_the_order_of_a_list_counts():
    assert digest_tree([1, 2]) != digest_tree([2, 1])


def test_what_is_aside_does_not_count():
    assert digest_tree({**RECORD, "aside": {"path": "/a"}, "set": ["seed"]}) == digest_tree(RECORD)


def test_what_is_aside_in_a_part_does_not_count():
    assert digest_tree([{**RECORD, "aside": {"path": "/a"}}]) == digest_tree([RECORD])


@pytest.mark.parametrize(
    "other",
    [
        {**RECORD, "t": "m:Other"},
        {**RECORD, "f": {**RECORD["f"], "seed": 8}},
        {**RECORD, "f": {**RECORD["f"], "shares": [0.7, 0.2]}},
        {**RECORD, "f": {"seed": 7}},
    ],
)
def test_the_class_and_every_field_of_a_record_count(other):
    assert digest_tree(other) != digest_tree(RECORD)


def test_how_a_list_is_nested_counts():
    assert digest_tree([[1], [2]]) != digest_tree([[1, 2]]) != digest_tree([1, 2])


def test_text_that_reads_like_a_digest_is_not_the_part_of_that_digest():
    assert digest_tree([digest_tree([1])]) != digest_tree([[1]])
