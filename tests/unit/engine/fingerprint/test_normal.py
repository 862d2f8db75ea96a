"""What a digest of code counts, and what it does not."""

import ast

import pytest

from raypipe.engine.fingerprint.normal import digest_node, is_docstring

SAME = {
    "comments and blank lines": ("x = 1", "x = 1  # one\n\n"),
    "spaces and brackets": ("x = f(1, 2)", "x = (f( 1,\n  2, ))"),
    "quotes": ("x = 'a'", 'x = "a"'),
    "how a number is written": ("x = 1000", "x = 1_000"),
    "a docstring": ("def f():\n    return 1", "def f():\n    'Text.'\n    return 1"),
    "a class' docstring": ("class A:\n    x = 1", "class A:\n    'Text.'\n    x = 1"),
    "a local annotation": ("def f():\n    x = 1", "def f():\n    x: int = 1"),
    "a local declaration": ("def f():\n    x = 1", "def f():\n    x: int\n    x = 1"),
    "a local annotation under a condition": (
        "def f():\n    if a:\n        x = 1",
        "def f():\n    if a:\n        x: int = 1",
    ),
}

DIFFERENT = {
    "a number": ("x = 1", "x = 2"),
    "the type of a number": ("x = 1", "x = 1.0"),
    "a number and a truth": ("x = 1", "x = True"),
    "text and bytes": ("x = 'a'", "x = b'a'"),
    "a sign of zero": ("x = 0.0", "x = -0.0"),
    "order": ("x = a - b", "x = b - a"),
    "grouping": ("x = a - (b - c)", "x = a - b - c"),
    "nesting of lists": ("x = [[a], b]", "x = [a, [b]]"),
    "a parameter's annotation": ("def f(x: int): pass", "def f(x: str): pass"),
    "a result's annotation": ("def f() -> int: pass", "def f() -> str: pass"),
    "a field's annotation": ("class A:\n    x: int", "class A:\n    x: str"),
    "a field's annotation in a local class": (
        "def f():\n    class A:\n        x: int",
        "def f():\n    class A:\n        x: str",
    ),
    "a module's annotation": ("x: int = 1", "x: str = 1"),
    "a later text": ("def f():\n    return 'a'", "def f():\n    return 'b'"),
    "what is yielded": ("def f():\n    yield 1", "def f():\n    return 1"),
    "async": ("def f(): pass", "async def f(): pass"),
    "a default": ("def f(x=1): pass", "def f(x=2): pass"),
    "where a default lies": ("def f(x, *, y=1): pass", "def f(x, y=1): pass"),
    "a conversion of a format string": ("x = f'{a!r}'", "x = f'{a!s}'"),
    "None and nothing": ("def f():\n    return None", "def f():\n    return"),
}


def digest_of(text: str) -> str:
    return digest_node(ast.parse(text))


@pytest.mark.parametrize("pair", SAME)
def test_form_does_not_count(pair: str) -> None:
    one, other = SAME[pair]

    assert digest_of(one) == digest_of(other)


@pytest.mark.parametrize("pair", DIFFERENT)
def test_meaning_counts(pair: str) -> None:
    one, other = DIFFERENT[pair]

    assert digest_of(one) != digest_of(other)


def test_text_that_is_no_unicode_has_a_digest() -> None:
    assert digest_of(r"x = '\ud800'") != digest_of(r"x = '\ud801'")


def test_only_a_text_by_itself_is_a_docstring() -> None:
    found = [is_docstring(statement) for statement in ast.parse("'a'\nb'a'\n1\nx = 'a'").body]

    assert found == [True, False, False, False]
