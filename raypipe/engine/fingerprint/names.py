"""Which names outside of itself a piece of code mentions."""

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeGuard

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_WIDENS = {"eval": "module", "exec": "module", "globals": "module", "__import__": "anywhere"}
_BY_NAME = frozenset({"attrgetter", "methodcaller"})
_PATCHING = frozenset({"setattr", "delattr"})
_LOADED = "sys.modules"
_OWN_PACKAGE = frozenset({"__name__", "__package__"})
_READING = frozenset({"open", "read", "read_text", "read_bytes"})
_TEXTS = frozenset({"Literal", "Annotated"})
"""Types in whose brackets a text is a value, not a type."""


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
    """What a name that is computed at run time may mean.

    "module", "package", "methods" (of any class), "anywhere" (any of the project's modules),
    "files" (the same, of a file that is loaded), or "under NAME": the modules of a package.
    """
    sets: set[str] = field(default_factory=set)
    """Global names, with attributes, that are bound, or changed in a part: `helpers.TABLE`."""
    modules: set[tuple[str, int, str]] = field(default_factory=set)
    """Imports inside, used or not: (module, level, name)."""
    patches: bool = False
    """A part of what a function is given, or has got, is set: it may be anybody's."""
    calls_given: bool = False
    """A function calls at once what it is given."""


@dataclass
class _Scope:
    names: set[str]
    imports: dict[str, list[tuple[str, int, str]]]
    declared: set[str] = field(default_factory=set)
    """Names that `global` names."""
    is_class: bool = False
    """Its names are seen by the statements of the class, not by the functions in it."""
    own: str = ""
    """Of a method: the name of the value that it is of."""
    is_inner: bool = False
    """Of a comprehension."""
    given: frozenset[str] = frozenset()
    """Parameters of a function."""


def mentions_of(nodes: Iterable[ast.AST], *, in_class: Iterable[str] | None = None) -> Mentions:
    """Collect what some statements mention.

    `in_class` is for those of a class: what its body bound before.
    """
    visitor = _Visitor()
    if in_class is not None:
        visitor.scopes.append(_Scope(set(in_class), {}, is_class=True))
    for node in nodes:
        visitor.visit(node)
    return visitor.found


def own_names(statement: ast.stmt) -> set[str]:
    """Return the names that a statement of a class binds whenever it runs."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Assign(targets=targets):
            return {n.id for target in targets for n in ast.walk(target) if _is_bound(n)}
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()):
            return {name}
    return set()


def _is_bound(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def dotted(node: ast.expr) -> str:
    """Return `a.b.c` as text; nothing where it does not start with a name."""
    chain: list[str] = []
    while isinstance(node, ast.Attribute):
        chain.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(chain)]) if isinstance(node, ast.Name) else ""


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
        scope = _scope_of(node, body)
        if self.scopes and self.scopes[-1].is_class and (arguments := _arguments(node.args)):
            scope.own = arguments[0].arg
        self.scopes.append(scope)
        for statement in body:
            self.visit(statement)
        self.scopes.pop()

    visit_FunctionDef = _visit_function
    visit_AsyncFunctionDef = _visit_function
    visit_Lambda = _visit_function

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for outside in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(outside)
        scope = _Scope(set(), {}, is_class=True)
        self.scopes.append(scope)
        for statement in node.body:
            self.visit(statement)
            scope.names |= own_names(statement)
        self.scopes.pop()

    def _visit_comprehension(self, node: ast.AST) -> None:
        generators: list[ast.comprehension] = node.generators  # type: ignore[attr-defined]
        self.visit(generators[0].iter)
        names = {
            name.id
            for generator in generators
            for name in ast.walk(generator.target)
            if isinstance(name, ast.Name)
        }
        self.scopes.append(_Scope(names, {}, is_inner=True))
        self.generic_visit(node)
        self.scopes.pop()

    visit_ListComp = _visit_comprehension
    visit_SetComp = _visit_comprehension
    visit_DictComp = _visit_comprehension
    visit_GeneratorExp = _visit_comprehension

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if all(scope.is_class for scope in self.scopes):
            self._annotation(node.annotation)
        self.visit(node.target)
        if node.value is not None:
            self.visit(node.value)

    def _annotation(self, node: ast.expr | None) -> None:
        if node is None:
            return
        self.visit(node)
        for text in _texts(node):
            try:
                self._annotation(ast.parse(text, mode="eval").body)
            except SyntaxError:
                continue

    # --- names

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._mention(node.id, ())
        elif any(node.id in scope.declared for scope in self.scopes[-1:]):
            self.found.sets.add(node.id)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._set(node)
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

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._set(node)
        if dotted(node.value) == _LOADED and self._is_known_module(node.slice):
            return
        self.generic_visit(node)

    def _is_known_module(self, name: ast.expr) -> bool:
        """Say whether a module is taken from `sys.modules` by a name that is known, and note it."""
        match name:
            case ast.Constant(value=str(module)):
                self.found.imports.add((module, 0, "", ""))
            case ast.Name(id="__name__"):
                self.found.widens.add("module")
            case _:
                return False
        return True

    def visit_Compare(self, node: ast.Compare) -> None:
        match node:
            case ast.Compare(ops=[ast.In() | ast.NotIn()], comparators=[ast.Attribute() as loaded]):
                if dotted(loaded) == _LOADED:  # whether a module was imported: none is used
                    self.visit(node.left)
                    return
        self.generic_visit(node)

    def _set(self, node: ast.expr) -> None:
        while isinstance(node, ast.Subscript):
            node = node.value
        name = dotted(node)
        if name and not self._is_local(name.partition(".")[0]):
            self.found.sets.add(name)
        elif self.scopes and name.partition(".")[0] != self.scopes[-1].own:
            self.found.patches = True

    def visit_Call(self, node: ast.Call) -> None:
        called = dotted(node.func).rpartition(".")[2]
        if isinstance(node.func, ast.Name) and self.scopes:
            scope = next((s for s in reversed(self.scopes) if not s.is_inner), self.scopes[0])
            self.found.calls_given |= node.func.id in scope.given
        first = node.args[0] if node.args else None
        if called == "import_module" or dotted(node.func) == "__import__":
            self._import_module(node, first)
            for argument in (*node.args, *node.keywords):
                self.visit(argument)
            return
        if dotted(node.func) == "getattr" and len(node.args) > 1:
            self._by_name(node.args[1])
        elif called in _BY_NAME and first is not None:
            self._by_name(first)
        elif dotted(node.func) == "vars" and first is None:
            self.found.widens.add("module")
        elif dotted(node.func) in _PATCHING:
            self.found.patches = True
        elif _loads_code(dotted(node.func), first):
            self.found.widens.add("files")
        self.generic_visit(node)

    def _by_name(self, name: ast.expr) -> None:
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            self.found.attributes.update(name.value.split("."))
        else:
            self.found.widens |= {"module", "methods"}

    def _import_module(self, node: ast.Call, name: ast.expr | None) -> None:
        start = _start(name)
        package = node.args[1] if len(node.args) > 1 else None
        whole = isinstance(name, ast.Constant)
        if start.startswith(".") and isinstance(package, ast.Constant) and whole:
            self.found.imports.add((_joined(str(package.value), start), 0, "", ""))
        elif start.startswith("."):
            known = package is None or dotted(package) in _OWN_PACKAGE
            self.found.widens.add("package" if known else "anywhere")
        elif whole and start and package is None:
            self.found.imports.add((start, 0, "", ""))
        elif "." in start:
            self.found.widens.add(f"under {start.rpartition('.')[0]}")
        else:
            self.found.widens.add("package" if _starts_with_own_package(name) else "anywhere")

    def visit_Import(self, node: ast.Import) -> None:
        """Nothing outside of a class: an import counts by the names that are used of it."""
        self._import(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Only a star, which brings everything."""
        if any(alias.name == "*" for alias in node.names):
            self.found.imports.add((node.module or "", node.level, "*", ""))
        self._import(node)

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        for _, what in imported(node):
            if self.scopes and self.scopes[-1].is_class:
                self.found.imports.add((*what, ""))
            if isinstance(node, ast.ImportFrom):
                self.found.modules.add(what)
        if isinstance(node, ast.Import):
            self.found.modules.update((alias.name, 0, "") for alias in node.names)

    def _is_local(self, name: str) -> bool:
        return any(
            name in scope.names or name in scope.imports
            for scope in self.scopes
            if not scope.is_class
        )

    def _mention(self, name: str, chain: tuple[str, ...]) -> None:
        for scope in reversed(self.scopes):
            if scope.is_class and scope is not self.scopes[-1]:
                continue
            if name in scope.imports:
                for module, level, imported_name in scope.imports[name]:
                    self.found.imports.add((module, level, imported_name, ".".join(chain)))
                return
            if name in scope.names:
                self.found.attributes.update(chain)
                return
        self.found.names.add(".".join((name, *chain)))
        if not chain and name in _WIDENS:
            self.found.widens.add(_WIDENS[name])


def _loads_code(function: str, given: ast.expr | None) -> bool:
    """Say whether a call may run a file's code: `exec` of any text, `eval` of one that is read."""
    if function == "exec":
        return not isinstance(given, ast.Constant)
    return function == "eval" and given is not None and _reads_a_file(given)


def _reads_a_file(node: ast.expr) -> bool:
    calls = (one.func for one in ast.walk(node) if isinstance(one, ast.Call))
    return any(dotted(one) == "open" or getattr(one, "attr", "") in _READING for one in calls)


def _start(text: ast.expr | None) -> str:
    """Return how a text starts, as far as it is written out."""
    match text:
        case ast.Constant(value=str(value)):
            return value
        case ast.JoinedStr(values=[first, *_]) | ast.BinOp(left=first):
            return _start(first)
    return ""


def _starts_with_own_package(text: ast.expr | None) -> bool:
    match text:
        case ast.JoinedStr(values=[ast.FormattedValue(value=ast.Name(id=name)), *_]):
            return name in _OWN_PACKAGE
        case ast.BinOp(left=ast.Name(id=name)):
            return name in _OWN_PACKAGE
        case ast.BinOp(left=left):
            return _starts_with_own_package(left)
    return False


def _joined(package: str, relative: str) -> str:
    """Return the module that a relative name means in a package."""
    name = relative.lstrip(".")
    above = len(relative) - len(name) - 1
    parts = package.split(".")
    return ".".join([*parts[: len(parts) - above], *filter(None, [name])])


def _texts(annotation: ast.expr) -> Iterator[str]:
    """Yield the texts in an annotation that are types."""
    match annotation:
        case ast.Constant(value=str(text)):
            yield text
        case ast.Subscript(value=value, slice=inner):
            if dotted(value).rpartition(".")[2] not in _TEXTS:
                yield from _texts(inner)
            elif isinstance(inner, ast.Tuple) and not dotted(value).endswith("Literal"):
                yield from _texts(inner.elts[0])
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            for element in elements:
                yield from _texts(element)
        case ast.BinOp(left=left, right=right):
            yield from _texts(left)
            yield from _texts(right)


def _arguments(args: ast.arguments) -> list[ast.arg]:
    every = [*args.posonlyargs, *args.args, *args.kwonlyargs]
    return every + [one for one in (args.vararg, args.kwarg) if one is not None]


def _scope_of(node: ast.AST, body: Sequence[ast.AST]) -> _Scope:
    given = {argument.arg for argument in _arguments(node.args)}  # type: ignore[attr-defined]
    names = set(given)
    imports: dict[str, list[tuple[str, int, str]]] = {}
    outside: set[str] = set()
    declared_global: set[str] = set()
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
            case ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
                names.add(name)
            case ast.Global(names=declared):
                outside.update(declared)
                declared_global.update(declared)
            case ast.Nonlocal(names=declared):
                outside.update(declared)
            case ast.Import() | ast.ImportFrom():
                for local, what in imported(inner):
                    imports.setdefault(local, []).append(what)
    scope = _Scope(names - outside - imports.keys(), imports, declared_global)
    scope.given = frozenset(given)
    return scope


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
