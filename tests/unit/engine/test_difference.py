"""What differs between two explanations is said by name, in full."""

from dataclasses import replace

import pytest

from raypipe.engine.difference import (
    ABSENT,
    UNSET,
    changes,
    difference,
    in_words,
    items_differ,
    shown_parts,
)
from raypipe.engine.records import Explanation, Fingerprint

CODE = Fingerprint(digest="c", symbols={"m:f": "1", "m:g": "1"}, packages={"numpy": "2.0"})
BEFORE = Explanation(
    fingerprint="c",
    parameters={"n": "d1", "m": "d1"},
    inputs={"rows[0]": "d1"},
    environment={"env:A": "d1"},
    shown={"n": "1", "m": "1"},
)


def differs(now, code_before=CODE, code_now=CODE):
    return str(difference(BEFORE, now, code_before, code_now))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"parameters": {"n": "d2", "m": "d1"}, "shown": {"n": "2"}}, "parameter: n: 1 → 2"),
        ({"parameters": {"n": "d2", "m": "d1"}, "shown": {"n": "1"}}, "parameter: n: changed"),
        ({"parameters": {"m": "d1"}, "shown": {}}, "parameter: n: removed"),
        ({"parameters": {"n": "d1", "m": "d1", "k": "d"}}, "parameter: k: added"),
        ({"inputs": {"rows[0]": "d2"}}, "input: rows[0]: changed"),
        ({"inputs": {"rows[0]": "d1", "rows[1]": "d1"}}, "input: rows: 1 of 2 items is new"),
        ({"inputs": {}}, "input: rows[0]: removed"),
        ({"parameters": {"n": "d1"}, "inputs": {"rows[0]": "d1", "m": "d2"}}, "input: m: changed"),
        ({"environment": {"env:A": "d2"}}, "environment: env:A: changed"),
        ({"environment": {}}, "environment: env:A: no longer declared"),
        ({}, "new: same key, no result"),
    ],
)
def test_a_difference_names_what_differs_and_how(changed, expected):
    assert differs(replace(BEFORE, **changed)) == expected


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"symbols": {"m:f": "1", "m:g": "2"}}, "code: m:g: changed"),
        ({"symbols": {"m:f": "2", "m:g": "2"}}, "code: m:f: changed, and 1 more"),
        ({"symbols": {"m:a": "1", "m:g": "2"}}, "code: m:g: changed, and 2 more"),
        ({"symbols": {"m:f": "1"}}, "code: m:g: removed"),
        ({"packages": {"numpy": "2.1"}}, "package: numpy: 2.0 → 2.1"),
        ({"packages": {"numpy": "2.0", "torch": "2"}}, "package: torch: added (2)"),
        ({"symbols": {"m:f": "1"}, "packages": {}}, "code: m:g: removed"),
        ({}, "code: what it is widened to"),
    ],
)
def test_a_difference_of_code_names_what_changed_first(changed, expected):
    now = replace(CODE, digest="other", **changed)
    assert differs(replace(BEFORE, fingerprint="other"), code_now=now) == expected


def test_code_that_is_known_no_more_is_a_difference_without_a_name():
    now = replace(BEFORE, fingerprint="other")
    assert differs(now, code_before=None) == "code: the earlier code is not known"


@pytest.mark.parametrize(
    ("entry", "before", "now", "said"),
    [
        ("env:A", UNSET, "d", "set now"),
        ("env:A", "d", UNSET, "unset now"),
        ("env:A", "d", "e", "changed"),
        ("file:a.csv", ABSENT, "d", "new"),
        ("file:a.csv", "d", ABSENT, "gone"),
    ],
)
def test_of_a_declared_thing_it_is_said_whether_it_came_or_went(entry, before, now, said):
    old, new = (replace(BEFORE, environment={entry: digest}) for digest in (before, now))
    assert str(difference(old, new, CODE, CODE)) == f"environment: {entry}: {said}"


def test_an_input_names_the_step_that_gave_it():
    now = replace(BEFORE, inputs={"rows[0]": "d2"})
    found = difference(BEFORE, now, CODE, CODE, {"rows[0]": "load.rows"})
    assert str(found) == "input: rows[0]: changed, from load.rows"


def test_the_items_of_a_list_name_their_step_once():
    old = replace(BEFORE, inputs={f"rows[{n}]": f"d{n}" for n in range(7)})
    now = replace(BEFORE, inputs={f"rows[{n}]": f"d{n}" for n in range(8)})
    given = {f"rows[{n}]": f"profile[{n}]" for n in range(8)}
    found = difference(old, now, CODE, CODE, given)
    assert str(found) == "input: rows: 1 of 8 items is new, from profile"


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ("abc", "abcd", "1 of 4 items is new"),
        ("abc", "xabc", "1 of 4 items is new"),
        ("abc", "abx", "1 of 3 items changed"),
        ("abc", "axyz", "1 of 4 items is new, 2 changed"),
        ("abc", "ab", "1 item is gone"),
        ("abcd", "ab", "2 items are gone"),
        ("abc", "ax", "1 of 2 items changed, 1 gone"),
        ("ab", "abcd", "2 of 4 items are new"),
        ("abc", "cab", "in another order"),
    ],
)
def test_an_item_is_known_by_its_content_and_not_by_its_place(before, now, said):
    old, new = ({str(n): one for n, one in enumerate(text)} for text in (before, now))
    assert items_differ(old, new) == said


def test_one_thing_is_singular():
    assert in_words("shard", 1, new=1, changed=0, gone=0) == "1 of 1 shard is new"


def test_all_that_differs_is_listed_code_first():
    now = replace(
        BEFORE,
        fingerprint="other",
        parameters={"n": "d2", "m": "d1"},
        inputs={"rows[0]": "d2"},
        environment={"env:A": "d2"},
        shown={"n": "2", "m": "1"},
    )
    code = replace(CODE, digest="other", symbols={"m:f": "2", "m:g": "1"}, packages={})
    found = [(one.kind, one.what, one.how) for one in changes(BEFORE, now, CODE, code)]
    assert found == [
        ("code", "m:f", "changed"),
        ("package", "numpy", "removed (2.0)"),
        ("parameter", "n", "1 → 2"),
        ("input", "rows[0]", "changed"),
        ("environment", "env:A", "changed"),
    ]


def test_each_part_of_a_nested_parameter_that_differs_is_listed():
    old, new = ({"rate": 1, "deep": {"a": 1, "b": b}} for b in (1, 2))
    before = replace(BEFORE, parameters={"o": "1"}, inputs={}, shown=shown_parts("o", old))
    now = replace(BEFORE, parameters={"o": "2"}, inputs={}, shown=shown_parts("o", new))
    assert [(one.what, one.how) for one in changes(before, now, CODE, CODE)] == [
        ("o.deep.b", "1 → 2")
    ]
