"""What of a statement runs when its module is imported, and what that may change."""

import ast
from collections.abc import Iterable, Iterator

from raypipe.engine.fingerprint.names import dotted

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_QUIET = (
    ast.Constant,
    ast.expr_context,
    ast.operator,
    ast.Name,
    ast.Tuple,
    ast.List,
    ast.Dict,
    ast.Set,
)
"""Parts of an expression that run nobody's code."""
# fmt: off
_READERS = frozenset({
    "ConfigDict", "Enum", "Field", "NewType", "ParamSpec", "Path", "TypeVar", "abs", "all", "any",
    "bool", "bytes", "cast", "classmethod", "compile", "copy", "count", "dataclass", "dict",
    "endswith", "enumerate", "field", "float", "format", "fromkeys", "frozenset", "get",
    "getLogger", "hash", "index", "int", "isinstance", "issubclass", "items", "join", "keys",
    "len", "list", "lower", "max", "min", "namedtuple", "partial", "property", "range", "repr",
    "reversed", "round", "set", "sorted", "split", "startswith", "staticmethod", "str", "strip",
    "sum", "super", "tuple", "type", "upper", "values", "zip",
})
# fmt: on
"""Calls that change nothing of what they are given, and call none of it."""


def run_at_import(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what of a statement runs at import: a function's head, a class' head and body."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield from node.decorator_list
            yield from node.args.defaults
            yield from filter(None, node.args.kw_defaults)
        case ast.ClassDef():
            yield from node.decorator_list
            yield from node.bases
            yield from (keyword.value for keyword in node.keywords)
            for statement in node.body:
                yield from run_at_import(statement)
        case _:
            yield node


def is_active(running: Iterable[ast.AST], *, whole: bool) -> bool:
    """Say whether code may run by what runs at import, or `whole`: whether anything does at all.

    A name alone, or a list of them, runs nothing.
    """
    for node in running:
        if whole and any(isinstance(one, ast.Name) for one in _without_bodies(node)):
            return True
        if any(isinstance(one, ast.expr) and not isinstance(one, _QUIET) for one in _parts(node)):
            return True
    return False


def _parts(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what runs of a statement; that of an annotation is left out."""
    if isinstance(node, ast.AnnAssign):
        yield from _without_bodies(node.value) if node.value is not None else ()
        yield from _without_bodies(node.target)
    else:
        yield from _without_bodies(node)


def _without_bodies(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Lambda):
        return
    yield node
    if isinstance(node, _FUNCTIONS):
        for head in run_at_import(node):
            yield from _without_bodies(head)
        return
    for inner in ast.iter_child_nodes(node):
        yield from _without_bodies(inner)


def calls_unknown(running: Iterable[ast.AST]) -> bool:
    """Say whether something is called that may change what it is given, or call it."""
    return any(
        isinstance(one, ast.Call) and _called(one.func) not in _READERS
        for node in running
        for one in _without_bodies(node)
    )


def _called(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else dotted(function)
