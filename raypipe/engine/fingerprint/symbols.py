"""A module as a table of what it binds: parsed once, kept in an index, looked up by name."""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from raypipe.engine.fingerprint.names import Mentions, dotted, imported, mentions_of, own_names
from raypipe.engine.fingerprint.normal import digest_node, is_docstring
from raypipe.engine.fingerprint.start import as_main, is_start_of_script
from raypipe.errors import PipelineError

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_CONSTANT_MAKERS = frozenset(
    {"Path", "getLogger", "compile", "frozenset", "TypeVar", "ParamSpec", "NewType", "namedtuple",
     "int", "float", "str", "bool", "bytes", "len", "partial"}
)  # fmt: skip
"""Calls whose results are never changed in place, or not so that a result differs."""
Import = tuple[str, int, str]
"""Module, level of a relative import, and name.

The name is empty where the module itself is bound.
"""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A statement of a module, or a member of a class.

    What it binds, what it says, what it mentions.
    """

    binds: tuple[str, ...]
    """Names that it binds or changes; none: it belongs to whatever is reached of the module."""
    digest: str
    names: tuple[str, ...]
    attributes: tuple[str, ...]
    imports: tuple[tuple[str, int, str, str], ...]
    modules: tuple[tuple[str, int, str], ...]
    """Imports inside it, whether what they bind is used or not."""
    widens: tuple[str, ...]
    sets: tuple[str, ...]
    """Global names that it binds or changes when it runs, inside functions too."""
    calls: tuple[str, ...]
    """What runs when the module is imported: names called, decorators, bases."""
    methods: tuple[str, ...]
    """Names that the bodies of classes inside it bind."""
    is_effect: bool
    """A statement for what it changes, such as a call whose result is dropped."""
    is_definition: bool
    """A function or a class."""
    holds: bool
    """What it binds may be changed in place."""
    first: int
    """Line where it starts, from 1."""
    last: int
    members: tuple["Piece", ...] = ()
    """Of a class: what its body binds."""


@dataclass(frozen=True, kw_only=True)
class ModuleTable:
    """What a module binds, and by which statements."""

    name: str
    is_package: bool
    pieces: tuple[Piece, ...]
    imports: dict[str, tuple[Import, ...]]
    stars: tuple[tuple[str, int], ...]
    dotted: tuple[str, ...] = ()
    """Modules imported as `import a.b`, which binds `a` alone."""
    by_name: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Name to the indices of the pieces that bind it."""

    def to_json(self) -> Any:
        """Return what an index keeps."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> "ModuleTable":
        """Read what `to_json` gave; KeyError or TypeError where it is something else."""
        imports = {
            name: tuple((module, level, bound) for module, level, bound in found)
            for name, found in data["imports"].items()
        }
        return cls(
            name=data["name"],
            is_package=data["is_package"],
            pieces=tuple(_piece(piece) for piece in data["pieces"]),
            imports=imports,
            stars=tuple((module, level) for module, level in data["stars"]),
            dotted=tuple(data["dotted"]),
            by_name={name: tuple(found) for name, found in data["by_name"].items()},
        )


def _piece(data: Any) -> Piece:
    return Piece(
        binds=tuple(data["binds"]),
        digest=data["digest"],
        names=tuple(data["names"]),
        attributes=tuple(data["attributes"]),
        imports=tuple(tuple(one) for one in data["imports"]),
        modules=tuple(tuple(one) for one in data["modules"]),
        widens=tuple(data["widens"]),
        sets=tuple(data["sets"]),
        calls=tuple(data["calls"]),
        methods=tuple(data["methods"]),
        is_effect=data["is_effect"],
        is_definition=data["is_definition"],
        holds=data["holds"],
        first=data["first"],
        last=data["last"],
        members=tuple(_piece(member) for member in data["members"]),
    )


NOT_INSTALLED = "not installed"
"""Stands for the version of a distribution that is not there."""


class Sources(Protocol):
    """Where modules come from."""

    def module(self, name: str) -> ModuleTable | None:
        """Return the table of a module of the project, or of raypipe; None for any other."""
        ...

    def submodules(self, package: str) -> Iterable[str]:
        """Return the project's modules in a package, at any depth."""
        ...

    def everything(self) -> Iterable[str]:
        """Return all the project's modules, imported by name or not."""
        ...

    def lines(self, name: str) -> list[str]:
        """Return the lines of a module's source."""
        ...

    def distribution(self, top_level: str) -> tuple[str, str] | None:
        """Return name and version of a module's distribution; None for one of Python's own.

        The version of what is not there is NOT_INSTALLED.
        """
        ...


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
    return _Parser(name, is_package).parse(as_main(tree) if is_main else tree)


class _Parser:
    def __init__(self, name: str, is_package: bool) -> None:
        self.name = name
        self.is_package = is_package
        self.imports: dict[str, list[Import]] = {}
        self.stars: list[tuple[str, int]] = []
        self.dotted: set[str] = set()
        self.pieces: list[Piece] = []

    def parse(self, tree: ast.Module) -> ModuleTable:
        for statement in tree.body:
            self._imports_in(statement)
        self._global_imports_in(tree)
        for statement in tree.body:
            if not _does_nothing(statement):
                self._add(statement)
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
        )

    def _imports_in(self, statement: ast.stmt) -> None:
        for node in _module_level(statement):
            if isinstance(node, ast.Import):
                self.dotted.update(alias.name for alias in node.names if "." in alias.name)
            if isinstance(node, ast.Import | ast.ImportFrom):
                for local, what in imported(node):
                    if local == "*":
                        self.stars.append((what[0], what[1]))
                    else:
                        self.imports.setdefault(local, []).append(what)

    def _global_imports_in(self, tree: ast.Module) -> None:
        """Find what functions import for the whole module: `global np; import numpy as np`."""
        names = {n for node in ast.walk(tree) if isinstance(node, ast.Global) for n in node.names}
        for node in ast.walk(tree) if names else ():
            if isinstance(node, ast.Import | ast.ImportFrom):
                for local, what in imported(node):
                    if local in names and what not in self.imports.get(local, ()):
                        self.imports.setdefault(local, []).append(what)

    def _add(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            statement.decorator_list = [
                one for one in statement.decorator_list if not self._is_neutral(one)
            ]
        binds = tuple(sorted(_bound_by(statement)))
        members = tuple(_members(statement)) if isinstance(statement, ast.ClassDef) else ()
        self.pieces.append(make_piece(statement, binds, members))

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
    in_class: Iterable[str] | None = None,
) -> Piece:
    """Return a statement as a piece; `in_class` as of `mentions_of`."""
    found: Mentions = mentions_of([node], in_class=in_class)
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
        is_definition=isinstance(node, _DEFINITIONS),
        holds=_holds(node, members),
        first=min([node.lineno, *(one.lineno for one in decorators)]),
        last=node.end_lineno or node.lineno,
        members=members,
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
