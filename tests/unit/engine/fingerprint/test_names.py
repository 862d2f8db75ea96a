"""A piece of code's mentions are the names outside of it, and nothing that it binds itself."""

import ast

import pytest

from raypipe.engine.fingerprint.names import Mentions, dotted, imported, mentions_of

NAMES = {
    "a call": ("f(x)", {"f", "x"}),
    "attributes of a name": ("a.b.c", {"a.b.c"}),
    "what is bound": ("x = 1", set()),
    "a parameter": ("def f(x, *y, z, **w): return x, y, z, w", set()),
    "a default": ("def f(x=y): return x", {"y"}),
    "an annotation": ("def f(x: A) -> B: pass", {"A", "B"}),
    "a text as annotation": ("def f(x: 'A[B]', y: list['C']): pass", {"A", "B", "list", "C"}),
    "a text that is no type": ("def f(x: Literal['A'], y: Annotated['B', 'C']): pass",
                               {"Literal", "Annotated", "B"}),
    "a local name": ("def f():\n    x = 1\n    return x", set()),
    "a local name that is bound later": ("def f():\n    g(x)\n    x = 1", {"g"}),
    "a global name that is bound": ("def f():\n    global x\n    x = 1\n    return x", {"x"}),
    "a name of the function around": ("def f(x):\n    def g():\n        return x", set()),
    "a nonlocal name": ("def f(x):\n    def g():\n        nonlocal x\n        x += 1", set()),
    "a comprehension": ("[x for x in y]", {"y"}),
    "a comprehension over a name of its own": ("[x for x in x]", {"x"}),
    "a walrus": ("def f():\n    [y for x in z if (y := x)]\n    return y", {"z"}),
    "an exception": ("def f():\n    try: pass\n    except E as e: return e", {"E"}),
    "match": ("def f(x):\n    match x:\n        case [A(b), *c] | {'k': b, **c}: return b, c",
              {"A"}),
    "a lambda": ("lambda x: x + y", {"y"}),
    "a name of a class": ("class A:\n    x = 1\n    y = x", set()),
    "a name that a class has later": ("class A:\n    y = x\n    x = 1", {"x"}),
    "a class' own name": ("class A:\n    x = x", {"x"}),
    "a method sees no name of its class": ("class A:\n    x = 1\n    def f(self): return x", {"x"}),
    "a setter": ("class A:\n    @property\n    def x(self): pass\n    @x.setter\n"
                 "    def x(self, v): pass", {"property"}),
    "a local annotation": ("def f():\n    x: A = 1", set()),
    "a field's annotation": ("class A:\n    x: B", {"B"}),
    "a deleted name": ("def f():\n    x = 1\n    del x", set()),
}  # fmt: skip

ATTRIBUTES = {
    "of a parameter": ("def f(x): return x.a.b", {"a", "b"}),
    "of a call": ("f().a", {"a"}),
    "by name": ("def f(x): return getattr(x, 'a')", {"a"}),
    "by several names": ("attrgetter('a.b')", {"a", "b"}),
    "of a global name": ("x.a", set()),
}

WIDENS = {
    "getattr of a computed name": ("getattr(x, y)", {"module", "methods"}),
    "globals": ("globals()", {"module"}),
    "eval that is handed on": ("map(eval, x)", {"module"}),
    "a method named eval": ("model.eval()", set()),
    "a parameter named eval": ("def f(eval): eval('1')", set()),
    "vars of nothing": ("vars()", {"module"}),
    "vars of a value": ("vars(x)", set()),
    "an import by a known name": ("import_module('a.b')", set()),
    "an import by a computed name": ("importlib.import_module(x)", {"anywhere"}),
    "an import by a name in its own package": ("import_module(f'{__package__}.{x}')", {"package"}),
    "an import by a name under its own": ("import_module(__name__ + '.' + x)", {"package"}),
    "an import by a name whose start is known": ("il.import_module(f'a.b.{x}')", {"under a.b"}),
    "an import relative to a package": ("import_module('.a', 'b')", set()),
    "an import relative to its own package": ("import_module(f'.{x}', __package__)", {"package"}),
    "an import relative to a computed package": ("import_module('.a', b)", {"anywhere"}),
    "a hidden import": ("__import__(x)", {"anywhere"}),
    "a module that is loaded, by a known name": ("sys.modules['a']", set()),
    "the module itself": ("sys.modules[__name__]", {"module"}),
}


def mentions(text: str) -> Mentions:
    return mentions_of(ast.parse(text).body)


@pytest.mark.parametrize("case", NAMES)
def test_names_are_those_from_outside(case: str) -> None:
    text, expected = NAMES[case]

    assert mentions(text).names == expected


@pytest.mark.parametrize("case", ATTRIBUTES)
def test_attributes_of_unknown_values_are_kept_apart(case: str) -> None:
    text, expected = ATTRIBUTES[case]

    assert mentions(text).attributes == expected


@pytest.mark.parametrize("case", WIDENS)
def test_a_name_that_is_computed_widens(case: str) -> None:
    text, expected = WIDENS[case]

    assert mentions(text).widens == expected


def test_an_import_in_a_function_counts_by_what_is_used_of_it() -> None:
    found = mentions(
        "def f():\n    import a.b\n    import c as d\n    from .e import g, h\n"
        "    return a.b.i, d.j, g"
    )

    assert found.names == set()
    assert found.imports == {("a", 0, "", "b.i"), ("c", 0, "", "j"), ("e", 1, "g", "")}
    assert ("e", 1, "h") in found.modules


def test_an_import_in_a_class_is_one_of_its_attributes() -> None:
    assert mentions("class A:\n    from b import c").imports == {("b", 0, "c", "")}


def test_what_a_function_sets_outside_of_it_is_known() -> None:
    found = mentions(
        "def f(p):\n    global x\n    x = 1\n    y = 2\n    a.b = 3\n    t['k'] = 4\n    p.c = 5"
    )

    assert found.sets == {"x", "a.b", "t"}


def test_an_import_binds_its_first_name_or_its_other_one() -> None:
    statements = ast.parse("import a.b\nimport a.b as c\nfrom ..d import e as f, g").body

    found = [pair for statement in statements for pair in imported(statement)]  # type: ignore[arg-type]

    assert found == [
        ("a", ("a", 0, "")),
        ("c", ("a.b", 0, "")),
        ("f", ("d", 2, "e")),
        ("g", ("d", 2, "g")),
    ]


def test_only_what_starts_with_a_name_is_dotted() -> None:
    texts = ["a", "a.b.c", "a().b", "a[0].b"]

    assert [dotted(ast.parse(t, mode="eval").body) for t in texts] == ["a", "a.b.c", "", ""]
