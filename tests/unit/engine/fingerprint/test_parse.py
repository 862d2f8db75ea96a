"""A module's table says by which statements each name is bound or changed."""

import json

import pytest

from raypipe.engine.fingerprint.parse import parse_module
from raypipe.engine.fingerprint.symbols import ModuleTable
from raypipe.errors import PipelineError

BINDS = {
    "a function": ("def f(): x = 1", {"f"}),
    "a class": ("class A: x = 1", {"A"}),
    "several names": ("a, (b, *c) = d = x", {"a", "b", "c", "d"}),
    "a part of a value": ("a.b['c'] = x", {"a"}),
    "an augmented assignment": ("a += x", {"a"}),
    "a loop": ("for a in b:\n    c = a", {"a", "c"}),
    "a branch": ("if a:\n    b = 1\nelse:\n    def c(): pass", {"b", "c"}),
    "a with": ("with a as b:\n    c = 1", {"b", "c"}),
    "a walrus": ("if (a := 1): pass", {"a"}),
    "a call": ("a.append(b)", {"a", "b"}),
    "a call under a condition": ("if x:\n    a.append(b)", {"x", "a", "b"}),
    "a deletion": ("del a", {"a"}),
    "a print": ("print(a)", {"a"}),
}

NOTHING = {
    "a docstring": "'text'",
    "an import": "import a",
    "pass": "pass",
    "an import for types": "if TYPE_CHECKING:\n    import a",
    "the start of a script": "if __name__ == '__main__':\n    run()",
}

SOMETHING = {
    "not the start of a script": "if __name__ != '__main__':\n    a = 1",
    "a start of a script with an else": "if __name__ == '__main__':\n    a = 1\nelse:\n    a = 2",
    "a name for types": "if TYPE_CHECKING:\n    a = 1",
}

HOLDS = {
    "[]": True,
    "{}": True,
    "Registry()": True,
    "other": True,
    "(1, [])": True,
    "1": False,
    "-1.5": False,
    "(1, 'a')": False,
    "2 * 3": False,
    "lambda: 1": False,
    "Path(x).parent / 'a'": False,
    "logging.getLogger(x)": False,
}


def parse(text: str) -> ModuleTable:
    return parse_module("flow", text, is_package=False, shown="flow.py")


@pytest.mark.parametrize("case", BINDS)
def test_a_statement_binds_what_it_may_change(case: str) -> None:
    text, expected = BINDS[case]

    assert set(parse(text).by_name) == expected


@pytest.mark.parametrize("case", NOTHING)
def test_some_statements_are_no_pieces(case: str) -> None:
    assert parse(NOTHING[case]).pieces == ()


@pytest.mark.parametrize("case", SOMETHING)
def test_what_may_run_is_a_piece(case: str) -> None:
    assert len(parse(SOMETHING[case]).pieces) == 1


@pytest.mark.parametrize("value", HOLDS)
def test_a_value_that_may_be_changed_in_place_is_known(value: str) -> None:
    (piece,) = parse(f"a = {value}").pieces

    assert piece.holds == HOLDS[value]


def test_every_statement_that_binds_a_name_is_found_by_it() -> None:
    assert parse("a = 1\nb = 2\na += 3\n").by_name == {"a": (0, 2), "b": (1,)}


def test_imports_at_any_depth_of_the_module_are_kept() -> None:
    table = parse(
        "import a.b\ntry:\n    from .c import d\nexcept ImportError:\n    from e import f as d\n"
        "from g import *\ndef h():\n    global i\n    import i\n    import j\n"
    )

    assert table.imports == {
        "a": (("a", 0, ""),),
        "d": (("c", 1, "d"), ("e", 0, "f")),
        "i": (("i", 0, ""),),
    }
    assert table.stars == (("g", 0),)


def test_raypipes_own_decorators_do_not_count() -> None:
    plain = "from raypipe import step\nimport raypipe\n{}def f(): pass\n"
    digests = {
        parse(plain.format(mark)).pieces[0].digest
        for mark in ("", "@step\n", "@step(num_cpus=2)\n", "@raypipe.step\n")
    }

    assert len(digests) == 1
    assert parse(plain.format("@other.step\n")).pieces[0].digest not in digests


def test_a_class_has_its_members_and_those_of_classes_inside() -> None:
    (piece,) = parse(
        "class A:\n    'Text.'\n    x = 1\n    class B:\n        def f(self): pass\n"
    ).pieces

    assert [member.binds for member in piece.members] == [("x",), ("B",)]
    assert piece.members[1].methods == ("f",)


def test_a_piece_starts_at_its_decorators() -> None:
    (piece,) = parse("@a\n@b\ndef f():\n    pass\n").pieces

    assert (piece.first, piece.last) == (1, 4)


def test_what_runs_at_import_is_known() -> None:
    (function,) = parse("@a.b(c())\ndef f(x=d()):\n    e()\n").pieces
    (kind,) = parse("class A(B, metaclass=C):\n    x = d()\n    def f(self): e()\n").pieces

    assert function.calls == ("a.b", "c", "d")
    assert kind.calls == ("B", "C", "d")


def test_a_table_is_read_back_as_it_was() -> None:
    table = parse(
        "import a\nfrom b import *\n@a.c\nclass D(a.E):\n    x: int = 1\n    def f(self):\n"
        "        from g import h\n        return h(getattr(self, a))\nD.y = []\n"
    )

    assert ModuleTable.from_json(*json.loads(json.dumps(table.to_json()))) == table


def test_a_table_of_another_form_is_refused() -> None:
    content, lines = json.loads(json.dumps(parse("a = 1").to_json()))
    del content[2][0][0][0]

    with pytest.raises((TypeError, ValueError)):
        ModuleTable.from_json(content, lines)


def test_a_fault_of_syntax_names_file_and_line() -> None:
    with pytest.raises(PipelineError, match=r"flow\.py, line 2"):
        parse("a = 1\ndef f(:\n")


MAIN = """
RATE = 1


def go():
    return RATE


if __name__ == "__main__":
    RATE = 2
    helpers.SCALE = 3
    outcome = flow.run(rate=3)
    flow.run()
"""


def test_what_the_start_of_a_script_binds_counts_where_it_runs_as_one() -> None:
    plain = parse(MAIN)
    as_main = parse_module("flow", MAIN, is_package=False, shown="flow.py", is_main=True)
    assert [piece.binds for piece in plain.pieces] == [("RATE",), ("go",)]
    assert [piece.binds for piece in as_main.pieces] == [
        ("RATE",),
        ("go",),
        ("RATE",),
        ("helpers",),
    ]
