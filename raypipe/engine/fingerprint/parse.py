"""A module's source as a table of what it binds."""

import ast
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from raypipe.engine.fingerprint.imports_run import calls_unknown, is_active, run_at_import
from raypipe.engine.fingerprint.names import Mentions, dotted, imported, mentions_of, own_names
from raypipe.engine.fingerprint.normal import digest_node, is_docstring
from raypipe.engine.fingerprint.start import as_main, is_start_of_script
from raypipe.engine.fingerprint.symbols import (
    NOTHING_RUNS,
    Import,
    ModuleTable,
    Piece,
    Place,
    Runs,
)
from raypipe.errors import PipelineError

_DEEP = 20_000
"""Frames that reading a module may take: an expression of a thousand terms is as deep as that."""
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_CONSTANT_MAKERS = frozenset(
    {"Path", "getLogger", "compile", "frozenset", "TypeVar", "ParamSpec", "NewType", "namedtuple",
     "int", "float", "str", "bool", "bytes", "len", "partial"}
)  # fmt: skip
"""Calls whose results are never changed in place, or not so that a result differs."""


def parse_module(
    name: str, text: str, *, is_package: bool, shown: str, is_main: bool = False
) -> ModuleTable:
    """Parse a module's source; PipelineError names the file (as `shown`) and the line.

    `is_main` says that it runs as `__main__`: what its block for that binds or changes counts
    then, but not the calls that only run a pipeline.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        raise PipelineError(
            f"{shown}, line {line}: {getattr(error, 'msg', error)}", hint="mend the syntax"
        ) from error
    with _deep():
        return _Parser(name, is_package).parse(as_main(tree) if is_main else tree)


@contextmanager
def _deep() -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _DEEP))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


class _Parser:
    def __init__(self, name: str, is_package: bool) -> None:
        self.name = name
        self.is_package = is_package
        self.imports: dict[str, list[Import]] = {}
        self.stars: list[tuple[str, int]] = []
        self.dotted: set[str] = set()
        self.pieces: list[Piece] = []
        self.places: dict[str, list[Place]] = {}

    def parse(self, tree: ast.Module) -> ModuleTable:
        for at, statement in enumerate(tree.body):
            self._imports_in(statement, at)
        self._global_imports_in(tree)
        for at, statement in enumerate(tree.body):
            if not _does_nothing(statement):
                self._add(statement, at)
        by_name: dict[str, list[int]] = {}
        for index, piece in enumerate(self.pieces):
            for bound in piece.binds:
                by_name.setdefault(bound, []).append(index)
        return ModuleTable(
            name=self.name,
            is_package=self.is_package,
            pieces=tuple(self.pieces),
            imports={name: tuple(found) for name, found in self.imports.items()},
            stars=tuple(self.stars),
            dotted=tuple(sorted(self.dotted)),
            by_name={name: tuple(found) for name, found in by_name.items()},
            places={name: tuple(found) for name, found in self.places.items()},
        )

    def _imports_in(self, statement: ast.stmt, at: int) -> None:
        for node in _module_level(statement):
            if isinstance(node, ast.Import):
                self.dotted.update(alias.name for alias in node.names if "." in alias.name)
            if isinstance(node, ast.Import | ast.ImportFrom):
                for local, what in imported(node):
                    if local == "*":
                        self.stars.append((what[0], what[1]))
                    else:
                        self.imports.setdefault(local, []).append(what)
                    self._place(local, at, node)

    def _place(self, local: str, at: int, node: ast.stmt) -> None:
        place = (at, node.lineno, node.end_lineno or node.lineno)
        self.places.setdefault(local, []).append(place)

    def _global_imports_in(self, tree: ast.Module) -> None:
        """Find what functions import for the whole module: `global np; import numpy as np`."""
        names = {n for node in ast.walk(tree) if isinstance(node, ast.Global) for n in node.names}
        for node in ast.walk(tree) if names else ():
            if isinstance(node, ast.Import | ast.ImportFrom):
                for local, what in imported(node):
                    if local in names and what not in self.imports.get(local, ()):
                        self.imports.setdefault(local, []).append(what)
                        self._place(local, len(tree.body), node)

    def _add(self, statement: ast.stmt, at: int) -> None:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            statement.decorator_list = [
                one for one in statement.decorator_list if not self._is_neutral(one)
            ]
        binds = tuple(sorted(_bound_by(statement)))
        members = tuple(_members(statement)) if isinstance(statement, ast.ClassDef) else ()
        self.pieces.append(make_piece(statement, binds, members, at=at))

    def _is_neutral(self, decorator: ast.expr) -> bool:
        """Say whether a decorator is raypipe's own: what it says of resources changes no result."""
        function = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
            found = self.imports.get(function.value.id, ())
            return any(what[0] == "raypipe" and not what[2] for what in found)
        if not isinstance(function, ast.Name):
            return False
        return any(
            what[0].partition(".")[0] == "raypipe" and what[2] in {"step", "pipeline"}
            for what in self.imports.get(function.id, ())
        )


def make_piece(
    node: ast.stmt,
    binds: tuple[str, ...],
    members: tuple[Piece, ...] = (),
    *,
    at: int = 0,
    in_class: Iterable[str] | None = None,
) -> Piece:
    """Return a statement as a piece; `in_class` as of `mentions_of`."""
    found: Mentions = mentions_of([node], in_class=in_class)
    is_definition = isinstance(node, _DEFINITIONS)
    running = [*run_at_import(node)]
    decorators = getattr(node, "decorator_list", [])
    return Piece(
        binds=binds,
        digest=digest_node(node),
        names=tuple(sorted(found.names)),
        attributes=tuple(sorted(found.attributes)),
        imports=tuple(sorted(found.imports)),
        modules=tuple(sorted(found.modules)),
        widens=tuple(sorted(found.widens)),
        sets=tuple(sorted(found.sets)),
        calls=tuple(sorted(_called_at_import(node))),
        methods=tuple(sorted(_inner_methods(node, members))),
        is_effect=_is_effect(node),
        is_definition=is_definition,
        holds=_holds(node, members),
        is_active=is_active(running, whole=is_definition),
        calls_unknown=calls_unknown(running),
        calls_given=found.calls_given,
        patches=found.patches,
        runs=_runs(running) if is_definition and running else NOTHING_RUNS,
        at=at,
        first=min([node.lineno, *(one.lineno for one in decorators)]),
        last=node.end_lineno or node.lineno,
        members=members,
    )


def _runs(running: Iterable[ast.AST]) -> Runs:
    found = mentions_of(running)
    return Runs(
        names=tuple(sorted(found.names)),
        attributes=tuple(sorted(found.attributes)),
        imports=tuple(sorted(found.imports)),
        sets=tuple(sorted(found.sets)),
    )


def _members(node: ast.ClassDef) -> Iterator[Piece]:
    bound: set[str] = set()
    for statement in node.body:
        if not is_docstring(statement):
            yield make_piece(statement, tuple(sorted(_bound_by(statement))), in_class=bound)
        bound |= own_names(statement)


def _called_at_import(node: ast.AST) -> Iterator[str]:
    """Yield names of what runs when a statement of a module does; a function's body does not."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            outside: list[ast.AST] = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
            started = node.decorator_list
        case ast.ClassDef():
            outside = [*node.body]
            started = [*node.decorator_list, *node.bases, *(k.value for k in node.keywords)]
        case ast.Lambda():
            return
        case ast.Call():
            outside = [*node.args, *node.keywords]
            started = [node.func]
        case _:
            outside = list(ast.iter_child_nodes(node))
            started = []
    for expression in started:
        if name := dotted(expression):
            yield name
        else:
            outside.append(expression)
    for inner in outside:
        yield from _called_at_import(inner)


def _inner_methods(node: ast.stmt, members: Iterable[Piece]) -> set[str]:
    """Return what classes of a statement bind, but for what its members tell."""
    return {
        name
        for inner in ast.walk(node)
        if isinstance(inner, ast.ClassDef) and not (members and inner is node)
        for statement in inner.body
        for name in _bound_by(statement)
    }


def _holds(node: ast.AST, members: Iterable[Piece]) -> bool:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return False
        case ast.ClassDef():
            hooks = any("__init_subclass__" in member.binds for member in members)
            return hooks or bool(node.keywords) or any(member.holds for member in members)
        case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
            return not _stays(value)
        case ast.AugAssign(value=value):
            return not _stays(value)
    return True


def _stays(value: ast.expr) -> bool:
    """Say whether a value is of a kind that is never changed in place."""
    match value:
        case ast.Constant() | ast.Lambda() | ast.JoinedStr() | ast.BinOp(op=ast.Div()):
            return True
        case ast.Tuple(elts=elements):
            return all(map(_stays, elements))
        case ast.UnaryOp(operand=operand):
            return _stays(operand)
        case ast.BinOp(left=left, right=right):
            return _stays(left) and _stays(right)
        case ast.Call(func=function):
            return dotted(function).rpartition(".")[2] in _CONSTANT_MAKERS
    return False


def _is_effect(node: ast.AST) -> bool:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.Lambda():
            return False
        case ast.Expr() | ast.Delete() | ast.Assert():
            return True
        case ast.Attribute(ctx=ast.Store()) | ast.Subscript(ctx=ast.Store()):
            return True
    return any(map(_is_effect, ast.iter_child_nodes(node)))


def _does_nothing(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Import | ast.ImportFrom | ast.Pass) or is_docstring(statement):
        return True
    if not isinstance(statement, ast.If) or statement.orelse:
        return False
    if _is_for_types(statement.test):
        return all(map(_does_nothing, statement.body))
    return is_start_of_script(statement)


def _is_for_types(test: ast.expr) -> bool:
    """Say whether a condition is that of a type checker."""
    match test:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name == "TYPE_CHECKING"
    return False


def _module_level(statement: ast.AST) -> Iterator[ast.AST]:
    """Yield a statement and those inside it that run when the module is imported."""
    yield statement
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
        return
    for inner in ast.iter_child_nodes(statement):
        yield from _module_level(inner)


def _bound_by(statement: ast.stmt) -> set[str]:
    """Return the names that a statement binds, or that it may change by what it does."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    bound: set[str] = set()
    changes = isinstance(statement, ast.Expr | ast.Delete | ast.Assert)
    for node in _module_level(statement):
        match node:
            case (
                ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
            ):
                bound.add(name)
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                bound.add(name)
            case ast.Attribute(ctx=ast.Store()) | ast.Subscript(ctx=ast.Store()):
                bound |= _root(node)
            case ast.Import() | ast.ImportFrom():
                bound.update(local for local, _ in imported(node) if local != "*")
            case ast.Expr(value=ast.Call()):
                changes = True
    if changes:
        bound |= {name.partition(".")[0] for name in mentions_of([statement]).names} - {"print"}
    return bound


def _root(node: ast.expr) -> set[str]:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return {node.id} if isinstance(node, ast.Name) else set()
