"""Which names outside of itself a piece of code mentions."""

import ast
import builtins
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

BUILTINS = frozenset(dir(builtins))
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_WIDENS = {"eval": "module", "exec": "module", "globals": "module", "vars": "module", "locals": "",
           "__import__": "package"}  # fmt: skip


@dataclass
class Mentions:
    """What a piece of code mentions."""

    names: set[str] = field(default_factory=set)
    """Global names, with the attributes taken from them: `helpers.scale`."""
    attributes: set[str] = field(default_factory=set)
    """Attributes of values of unknown class: each may be a method of the project's."""
    imports: set[tuple[str, int, str, str]] = field(default_factory=set)
    """Names imported inside: (module, level, name, attributes after it)."""
    widens: set[str] = field(default_factory=set)
    """"module" or "package" where a name is computed at run time."""


@dataclass
class _Scope:
    names: set[str]
    imports: dict[str, list[tuple[str, int, str]]]


def mentions_of(nodes: Iterable[ast.AST]) -> Mentions:
    """Collect what some statements mention."""
    visitor = _Visitor()
    for node in nodes:
        visitor.visit(node)
    return visitor.found


def imported(statement: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, tuple[str, int, str]]]:
    """Yield each local name that an import binds, with (module, level, name).

    Name is empty for a module.
    """
    for alias in statement.names:
        if isinstance(statement, ast.ImportFrom):
            yield alias.asname or alias.name, (statement.module or "", statement.level, alias.name)
        elif alias.asname:
            yield alias.asname, (alias.name, 0, "")
        else:
            yield alias.name.partition(".")[0], (alias.name.partition(".")[0], 0, "")


class _Visitor(ast.NodeVisitor):
    def __init__(self) -> None:
        self.found = Mentions()
        self.scopes: list[_Scope] = []

    # --- scopes

    def _visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        if not isinstance(node, ast.Lambda):
            for decorator in node.decorator_list:
                self.visit(decorator)
            self._annotation(node.returns)
        for argument in _arguments(node.args):
            self._annotation(argument.annotation)
        for default in [*node.args.defaults, *node.args.kw_defaults]:
            if default is not None:
                self.visit(default)
        body = node.body if isinstance(node.body, list) else [node.body]
        self.scopes.append(_scope_of(node, body))
        for statement in body:
            self.visit(statement)
        self.scopes.pop()

    visit_FunctionDef = _visit_function
    visit_AsyncFunctionDef = _visit_function
    visit_Lambda = _visit_function

    def _visit_comprehension(self, node: ast.AST) -> None:
        names = {
            name.id
            for generator in node.generators  # type: ignore[attr-defined]
            for name in ast.walk(generator.target)
            if isinstance(name, ast.Name)
        }
        self.scopes.append(_Scope(names, {}))
        self.generic_visit(node)
        self.scopes.pop()

    visit_ListComp = _visit_comprehension
    visit_SetComp = _visit_comprehension
    visit_DictComp = _visit_comprehension
    visit_GeneratorExp = _visit_comprehension

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if not self.scopes:
            self._annotation(node.annotation)
        self.visit(node.target)
        if node.value is not None:
            self.visit(node.value)

    def _annotation(self, node: ast.expr | None) -> None:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                node = ast.parse(node.value, mode="eval").body
            except SyntaxError:
                return
        if node is not None:
            self.visit(node)

    # --- names

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._mention(node.id, ())

    def visit_Attribute(self, node: ast.Attribute) -> None:
        chain: list[str] = []
        value: ast.expr = node
        while isinstance(value, ast.Attribute):
            chain.append(value.attr)
            value = value.value
        if isinstance(value, ast.Name):
            self._mention(value.id, tuple(reversed(chain)))
        else:
            self.found.attributes.update(chain)
            self.visit(value)

    def visit_Call(self, node: ast.Call) -> None:
        called = _called(node.func)
        if called == "getattr" and len(node.args) > 1:
            self._getattr(node.args[1])
        elif called in {"import_module", "importlib.import_module"}:
            self._import_module(node)
        elif called in _WIDENS and _WIDENS[called] and (called != "vars" or node.args == []):
            self.found.widens.add(_WIDENS[called])
        self.generic_visit(node)

    def _getattr(self, name: ast.expr) -> None:
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            self.found.attributes.add(name.value)
        else:
            self.found.widens.add("module")

    def _import_module(self, node: ast.Call) -> None:
        first = node.args[0] if node.args else None
        if isinstance(first, ast.Constant) and isinstance(first.value, str) and len(node.args) == 1:
            self.found.imports.add((first.value, 0, "", ""))
        else:
            self.found.widens.add("package")

    def visit_Import(self, node: ast.Import) -> None:
        """Nothing: an import counts by the names that are used of it."""

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Only a star, which brings everything."""
        if any(alias.name == "*" for alias in node.names):
            self.found.imports.add((node.module or "", node.level, "*", ""))

    def _mention(self, name: str, chain: tuple[str, ...]) -> None:
        for scope in reversed(self.scopes):
            if name in scope.imports:
                for module, level, imported_name in scope.imports[name]:
                    self.found.imports.add((module, level, imported_name, ".".join(chain)))
                return
            if name in scope.names:
                self.found.attributes.update(chain)
                return
        self.found.names.add(".".join((name, *chain)))


def _called(function: ast.expr) -> str:
    if isinstance(function, ast.Name):
        return function.id
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        return f"{function.value.id}.{function.attr}"
    return ""


def _arguments(args: ast.arguments) -> list[ast.arg]:
    every = [*args.posonlyargs, *args.args, *args.kwonlyargs]
    return every + [one for one in (args.vararg, args.kwarg) if one is not None]


def _scope_of(node: ast.AST, body: Sequence[ast.AST]) -> _Scope:
    names = {argument.arg for argument in _arguments(node.args)}  # type: ignore[attr-defined]
    imports: dict[str, list[tuple[str, int, str]]] = {}
    outside: set[str] = set()
    for inner in _own_nodes(body):
        match inner:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                names.add(name)
            case (
                ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
            ):
                names.add(name)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
                names.add(name)
            case ast.MatchStar(name=str(name)):
                names.add(name)
            case ast.Global(names=declared) | ast.Nonlocal(names=declared):
                outside.update(declared)
            case ast.Import() | ast.ImportFrom():
                for local, what in imported(inner):
                    imports.setdefault(local, []).append(what)
    return _Scope(names - outside - imports.keys(), imports)


def _own_nodes(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield the nodes of a function's own scope.

    Not those of functions, classes, comprehensions in it.
    """
    waiting = list(body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, (*_FUNCTIONS, ast.ClassDef, *_COMPREHENSIONS)):
            waiting.extend(ast.iter_child_nodes(node))
        elif isinstance(node, _COMPREHENSIONS):
            walrus = [n.target for n in ast.walk(node) if isinstance(n, ast.NamedExpr)]
            waiting.extend(walrus)
