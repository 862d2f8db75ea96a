"""The block `if __name__ == "__main__":` of a script that is run, as code that counts.

What it binds or changes counts; what only runs a pipeline, or tells of it, does not.
"""

import ast
import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeGuard

from raypipe.engine.fingerprint.names import dotted, mentions_of
from raypipe.engine.fingerprint.symbols import BUILTINS

_RUNS = frozenset({"run", "plan"})
"""Methods of a pipeline and of a cycle."""
_CHANGING = frozenset({"setattr", "delattr", "exec", "eval", "next", "vars", "globals"})
"""Builtins that change what they are given, or give what may be changed."""
_QUIET = (BUILTINS - _CHANGING) | {"sys.exit"}
_KEPT = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
_BODIES = ("body", "orelse", "finalbody")
_BRANCHES = ("handlers", "cases")
Function = ast.FunctionDef | ast.AsyncFunctionDef


def as_main(tree: ast.Module) -> ast.Module:
    """Return a module as it runs as `__main__`: with what counts of its block for that."""
    outside = [one for one in tree.body if not is_start_of_script(one)]
    inside = [one for block in tree.body if is_start_of_script(block) for one in block.body]
    counted = _Counted(_runners(tree), *_read_by([*outside, *_functions(inside)]))
    before = -1
    while before < len(counted.read):
        before = len(counted.read)
        counted.read |= _read_by(counted.of(inside))[0]
    body: list[ast.stmt] = []
    for one in tree.body:
        body.extend(counted.of(one.body) if is_start_of_script(one) else [one])
    return ast.Module(body=body, type_ignores=[])


def is_start_of_script(statement: ast.stmt) -> TypeGuard[ast.If]:
    """Say whether a statement is `if __name__ == "__main__":`, without an `else`."""
    match statement:
        case ast.If(
            test=ast.Compare(
                left=ast.Name(id="__name__"),
                ops=[ast.Eq()],
                comparators=[ast.Constant(value="__main__")],
            ),
            orelse=[],
        ):
            return True
    return False


@dataclass
class _Counted:
    """Tells what of a block counts."""

    runners: frozenset[str]
    """Functions that only run a pipeline."""
    read: set[str]
    """Names that code which counts reads; those that it reads in the block come one by one."""
    reads_any: bool
    """Some name is computed, so that it may be any."""

    def of(self, statements: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
        """Yield what counts of some statements."""
        for one in statements:
            if isinstance(one, _KEPT):
                yield one
            elif hasattr(one, "body") or hasattr(one, "cases"):
                yield from self._of_compound(one)
            elif self._does_something(one):
                yield one

    def _of_compound(self, statement: Any) -> Iterator[ast.stmt]:
        """Yield a statement with what counts of its bodies, if anything of it does."""
        header, kept = copy.copy(statement), copy.copy(statement)
        bodies = []
        for name in filter(statement._fields.__contains__, _BODIES):
            bodies.append(body := [*self.of(getattr(statement, name))])
            setattr(kept, name, body or ([_nothing(statement)] if name == "body" else []))
            setattr(header, name, [])
        for name in filter(statement._fields.__contains__, _BRANCHES):
            branches = [copy.copy(branch) for branch in getattr(statement, name)]
            for branch in branches:
                bodies.append(body := [*self.of(branch.body)])
                branch.body = body or [_nothing(statement)]
            setattr(kept, name, branches)
            setattr(header, name, [])
        if any(bodies) or self._does_something(header):
            yield kept

    def _does_something(self, node: ast.stmt) -> bool:
        bound = {one.id for one in ast.walk(node) if _is_bound(one, ast.Name)}
        parts = any(_is_bound(one, ast.Attribute, ast.Subscript) for one in ast.walk(node))
        if parts or bound & self.read:
            return True
        calls = [one for one in ast.walk(node) if isinstance(one, ast.Call)]
        if any(_is_running(call, self.runners) for call in calls):
            return False
        is_loud = any(dotted(call.func) not in _QUIET for call in calls)
        return is_loud or bool(bound and self.reads_any)


def _is_bound(node: ast.AST, *kinds: type[ast.expr]) -> TypeGuard[Any]:
    return isinstance(node, kinds) and isinstance(getattr(node, "ctx", None), ast.Store | ast.Del)


def _is_running(call: ast.Call, runners: Iterable[str]) -> bool:
    match call.func:
        case ast.Attribute(attr=name):
            return name in _RUNS
        case ast.Name(id=name):
            return name in runners
    return False


def _runners(tree: ast.Module) -> frozenset[str]:
    """Return the pipelines, and the functions that run one and set nothing themselves."""
    functions = [*_functions(tree.body)]
    found = {one.name for one in functions if any(map(_is_pipeline, one.decorator_list))}
    idle = [one for one in functions if not mentions_of([one]).sets]
    before = -1
    while before < len(found):
        before = len(found)
        for one in idle:
            calls = (inner for inner in ast.walk(one) if isinstance(inner, ast.Call))
            if any(_is_running(call, found) for call in calls):
                found.add(one.name)
    return frozenset(found)


def _functions(statements: Iterable[ast.stmt]) -> Iterator[Function]:
    for one in statements:
        if isinstance(one, Function):
            yield one
        elif is_start_of_script(one):
            yield from _functions(one.body)


def _is_pipeline(decorator: ast.expr) -> bool:
    function = decorator.func if isinstance(decorator, ast.Call) else decorator
    return dotted(function).rpartition(".")[2] == "pipeline"


def _read_by(statements: Iterable[ast.stmt]) -> tuple[set[str], bool]:
    """Return the global names that some statements read, and whether they may read any."""
    found = mentions_of(statements)
    return {name.partition(".")[0] for name in found.names}, bool(found.widens)


def _nothing(where: ast.stmt) -> ast.Pass:
    return ast.copy_location(ast.Pass(), where)
