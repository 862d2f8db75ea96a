"""A syntax tree in a normal form.

It is without comments, docstrings, formatting or local variables' annotations.
"""

import ast
from collections.abc import Iterator

from raypipe.engine.digest import digest_bytes

_SKIPPED = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
_WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def digest_node(node: ast.AST) -> str:
    """Return the digest of a node's normal form; the same for every supported version of Python."""
    return digest_bytes(
        "\0".join(_dump(node, inside_function=False)).encode("utf-8", "surrogatepass")
    )


def is_docstring(statement: ast.stmt) -> bool:
    """Say whether a statement is a string that does nothing."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _dump(node: ast.AST, *, inside_function: bool) -> Iterator[str]:
    if inside_function and isinstance(node, ast.AnnAssign):
        if node.value is None:
            return
        node = ast.Assign(targets=[node.target], value=node.value)
    yield type(node).__name__
    inside = isinstance(node, _FUNCTIONS) or (
        inside_function and not isinstance(node, ast.ClassDef)
    )
    for name, value in ast.iter_fields(node):
        if name in _SKIPPED or value is None or value == []:
            continue
        if name == "body" and isinstance(node, _WITH_DOCSTRING) and is_docstring(value[0]):
            value = value[1:]
        yield f".{name}"
        yield from _dump_value(value, inside)
    yield "."


def _dump_value(value: object, inside: bool) -> Iterator[str]:
    if isinstance(value, ast.AST):
        yield from _dump(value, inside_function=inside)
    elif isinstance(value, list):
        yield "["
        for item in value:
            yield from _dump_value(item, inside)
        yield "]"
    else:
        yield f"{type(value).__name__} {value!r}"
