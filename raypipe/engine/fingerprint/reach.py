"""From a step to all the code that it can reach, over as many modules as it takes."""

import json
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches

from raypipe.engine.digest import digest_bytes
from raypipe.engine.fingerprint.names import BUILTINS
from raypipe.engine.fingerprint.symbols import NOT_INSTALLED, ModuleTable, Piece, Sources
from raypipe.engine.records import Fingerprint
from raypipe.errors import CodeReferenceError, PipelineError

FOLLOWED = ("raypipe.stages", "raypipe.model", "raypipe.values")
"""Parts of raypipe that count like a project's own code; the others change no result."""
DYNAMIC = {
    "importlib.import_module": "package",
    "importlib.reload": "package",
    "importlib.util.find_spec": "package",
    "importlib.util.spec_from_file_location": "files",
    "importlib.machinery.SourceFileLoader": "files",
    "runpy.run_path": "files",
    "builtins.exec": "files",
    "builtins.compile": "files",
    "builtins.eval": "module",
    "builtins.globals": "module",
    "builtins.__import__": "package",
    "runpy.run_module": "package",
    "pkgutil.iter_modules": "package",
    "pkgutil.walk_packages": "package",
    "pkgutil.resolve_name": "package",
}
"""What finds code by a name or a file that is computed: among the package's, or all there is."""
CONSTRUCTING = frozenset(
    {"__init__", "__new__", "__post_init__", "__init_subclass__", "__class_getitem__",
     "__set_name__", "__slots__", "__match_args__", "__doc__", "__module__", "__all__"}
)  # fmt: skip
"""Special names that nothing uses of a value that is there already."""
MODULE = "<module>"
"""Stands for the statements of a module that bind no name."""


def fingerprint(
    target: str, sources: Sources, *, also: Iterable[str] = (), imported: Iterable[str] = ()
) -> Fingerprint:
    """Return the fingerprint of the code that `module:qualname`, and each of `also`, can reach.

    `imported` are modules that are imported before it runs, such as the pipeline's: what they
    change of what is reached counts too. CodeReferenceError names what is not there. A name that
    cannot be resolved widens to the whole module.
    """
    also = sorted(also)
    walk = _Walk(sources, imported)
    for reference in (target, *also):
        walk.start(reference)
    walk.go()
    return walk.fingerprint((target, *also))


def is_neutral(module: str) -> bool:
    """Say whether a module is a part of raypipe that counts nothing."""
    if module != "raypipe" and not module.startswith("raypipe."):
        return False
    return not any(module == part or module.startswith(f"{part}.") for part in FOLLOWED)


class _Walk:
    def __init__(self, sources: Sources, imported: Iterable[str] = ()) -> None:
        self.sources = sources
        self.imported = tuple(imported)
        self.symbols: dict[str, tuple[str, list[Piece]]] = {}
        self.modules: set[str] = set()
        self.attributes: set[str] = set()
        self.packages: set[str] = set()
        self.widened: set[str] = set()
        self.waiting: deque[tuple[str, Piece]] = deque()
        self.asked: dict[tuple[str, str, tuple[str, ...]], bool] = {}
        self.whole: set[str] = set()
        self.every_method = False
        self._closure: dict[str, tuple[str, ...]] = {}
        self._effects: dict[tuple[str, int], Effect] = {}

    # --- starting

    def start(self, reference: str) -> None:
        module, _, qualname = reference.partition(":")
        name = qualname.partition(".")[0]
        table = self.sources.module(module)
        if table is None:
            if self._is_installed(module):
                self._package(module)
                return
            raise CodeReferenceError(
                f"{reference!r} names the module {module!r}, which is not there",
                hint="name it relative to the project root (the folder of pyproject.toml)",
            )
        if not self._reach_name(module, name, ()):
            close = get_close_matches(name, [*table.by_name, *table.imports], n=1)
            known = ", ".join(sorted(table.by_name)[:8])
            raise CodeReferenceError(
                f"{reference!r}: the module {module!r} has no {name!r}",
                hint=f"did you mean {close[0]!r}?" if close else f"it has {known or 'nothing'}",
            )

    def go(self) -> None:
        before = -1
        while before < len(self.symbols):
            before = len(self.symbols)
            self._follow_all()
            self._reach_methods()
            self._reach_effects()

    def _follow_all(self) -> None:
        while self.waiting:
            self._follow(*self.waiting.popleft())

    # --- following

    def _follow(self, module: str, piece: Piece) -> None:
        for mentioned in piece.names:
            name, *chain = mentioned.split(".")
            if self._reach_name(module, name, tuple(chain)):
                continue
            if name not in BUILTINS:
                self._unresolved(module, name)
            elif name == "compile":
                self._widen(module, "files")
        for target, level, name, chain_text in piece.imports:
            chain = chain_text.split(".") if chain_text else []
            self._reach_import(module, (target, level, name), tuple(chain))
        self.attributes.update(piece.attributes)
        for width in piece.widens:
            self._widen(module, width)

    def _reach_name(self, module: str, name: str, chain: tuple[str, ...]) -> bool:
        """Reach what a name means in a module; say whether it means anything."""
        asked = (module, name, chain)
        if asked not in self.asked:
            self.asked[asked] = False
            self.asked[asked] = self._reach_own(module, name, chain)
        elif not self.asked[asked]:
            # modules that import it from each other, or a package from itself
            return self._reach_submodule(module, name, chain)
        return self.asked[asked]

    def _reach_own(self, module: str, name: str, chain: tuple[str, ...]) -> bool:
        table = self.sources.module(module)
        if table is None:
            return False
        self._enter(module, table)
        found = False
        if name in table.by_name:
            self._reach_pieces(module, name, [table.pieces[i] for i in table.by_name[name]])
            self.attributes.update(chain)
            found = True
        for what in table.imports.get(name, ()):
            self._reach_import(module, what, chain)
            found = True
        return (
            found
            or self._reach_submodule(module, name, chain)
            or self._reach_star(module, table, name, chain)
            or self._reach_getattr(module, table)
        )

    def _reach_submodule(self, module: str, name: str, chain: tuple[str, ...]) -> bool:
        submodule = f"{module}.{name}"
        if self.sources.module(submodule) is None:
            return False
        self._reach_module(submodule, chain)
        return True

    def _reach_star(
        self, module: str, table: ModuleTable, name: str, chain: tuple[str, ...]
    ) -> bool:
        found = False
        for target, level in table.stars:
            other = absolute(module, table.is_package, target, level)
            if other == module:
                continue
            if self.sources.module(other) is not None and not is_neutral(other):
                found = self._reach_name(other, name, chain) or found
            elif self._package(other):
                found = found or name not in BUILTINS
        return found

    def _reach_getattr(self, module: str, table: ModuleTable) -> bool:
        """A module's own `__getattr__` may give any name."""
        if "__getattr__" not in table.by_name:
            return False
        return self._reach_name(module, "__getattr__", ())

    def _reach_import(
        self, module: str, what: tuple[str, int, str], chain: tuple[str, ...]
    ) -> None:
        target, level, name = what
        table = self.sources.module(module)
        other = absolute(module, bool(table and table.is_package), target, level)
        if is_neutral(other):
            return
        if self.sources.module(other) is None:
            self._package(other)
            if width := DYNAMIC.get(".".join(filter(None, (other, name, *chain)))):
                self._widen(module, width)
            return
        if not name:
            self._reach_module(other, chain)
        elif name == "*" or not self._reach_name(other, name, chain):
            self._whole_module(other)

    def _reach_module(self, module: str, chain: tuple[str, ...]) -> None:
        """A module that is mentioned: by what is taken from it, or whole where it is handed on."""
        if is_neutral(module):
            return
        if not chain:
            self._whole_module(module)
        elif not self._reach_name(module, chain[0], chain[1:]):
            self._unresolved(module, chain[0])

    def _reach_pieces(self, module: str, name: str, pieces: list[Piece]) -> None:
        symbol = f"{module}:{name}"
        if symbol not in self.symbols:
            self.symbols[symbol] = (module, pieces)
            self.waiting.extend((module, piece) for piece in pieces)

    def _enter(self, module: str, table: ModuleTable) -> None:
        if module in self.modules:
            return
        self.modules.add(module)
        loose = [piece for piece in table.pieces if not piece.binds]
        if loose:
            self._reach_pieces(module, MODULE, loose)

    # --- what cannot be resolved

    def _unresolved(self, module: str, name: str) -> None:
        if name.startswith("__") and name.endswith("__") and name != "__dict__":
            return
        self.widened.add(f"{module}: {name} is not found")
        self._whole_module(module)

    def _widen(self, module: str, width: str) -> None:
        if module.startswith("raypipe."):
            return  # what raypipe finds by name at run time is code references, which count
        what = "a file of code" if width == "files" else "a name"
        self.widened.add(f"{module}: {what} is computed at run time")
        kind, _, package = width.partition(" ")
        self._whole_module(module)
        if kind == "methods":
            self.every_method = True
        elif kind == "files":
            for other in self.sources.everything():
                with suppress(PipelineError):  # what is no Python of today cannot be loaded either
                    self._whole_module(other)
        elif kind in {"package", "under"}:
            is_named = package and not package.startswith(".")
            where = package if is_named else module.partition(".")[0]
            for submodule in self.sources.submodules(where):
                self._whole_module(submodule)

    def _whole_module(self, module: str) -> None:
        table = self.sources.module(module)
        if table is None or is_neutral(module) or module in self.whole:
            return
        self.whole.add(module)
        self._enter(module, table)
        for name, indices in table.by_name.items():
            self._reach_pieces(module, name, [table.pieces[i] for i in indices])
        for found in table.imports.values():
            for what in found:
                other = absolute(module, table.is_package, what[0], what[1])
                if self.sources.module(other) is None and not is_neutral(other):
                    self._package(other)

    # --- methods of unknown values

    def _reach_methods(self) -> None:
        """Reach each method of the import closure whose name is taken from some value."""
        for module in self._import_closure(self.modules):
            table = self.sources.module(module)
            assert table is not None
            for piece in table.pieces:
                owner = piece.binds[0] if piece.binds else MODULE
                if f"{module}:{owner}" in self.symbols:
                    continue
                if self._taken(module, piece.methods) and not piece.members:
                    self._reach_piece(module, table, piece)
                found: dict[str, list[Piece]] = {}
                for member in piece.members:
                    names = self._taken(module, member.binds)
                    if self._taken(module, member.methods):
                        names.update(member.binds)
                    for name in names:
                        found.setdefault(f"{owner}.{name}", []).append(member)
                for symbol, members in found.items():
                    self._reach_pieces(module, symbol, members)

    def _taken(self, module: str, names: Iterable[str]) -> set[str]:
        """Return those names of a class that code which is reached may take from a value of it.

        A special one is taken by operators and builtins, which name no class.
        """
        every = self.every_method and not module.startswith("raypipe.")
        return {
            name
            for name in names
            if every
            or name in self.attributes
            or (name.startswith("__") and name.endswith("__") and name not in CONSTRUCTING)
        }

    def _reach_piece(self, module: str, table: ModuleTable, piece: Piece) -> None:
        self._enter(module, table)
        for name in piece.binds:
            self._reach_pieces(module, name, [table.pieces[i] for i in table.by_name[name]])

    # --- what an import changes

    def _reach_effects(self) -> None:
        """Reach each statement of the import closure that changes what is reached already.

        Such as a registration by decorator, or a module that sets another's attribute.
        """
        reached = {top_symbol(module, symbol) for symbol, (module, _) in self.symbols.items()}
        reached |= {f"{module}:*" for module in self.whole}
        for module in self._import_closure({*self.modules, *self.imported}):
            table = self.sources.module(module)
            assert table is not None
            for index, piece in enumerate(table.pieces):
                if not piece.calls and not piece.is_effect:
                    continue
                if piece.binds and all(f"{module}:{name}" in self.symbols for name in piece.binds):
                    continue
                if (module, index) not in self._effects:
                    self._effects[module, index] = effect_of(module, piece, self.sources)
                effect = self._effects[module, index]
                if effect.symbols & reached or effect.packages & self.packages:
                    self._reach_piece(module, table, piece)

    # --- the import closure

    def _import_closure(self, modules: Iterable[str]) -> list[str]:
        seen: set[str] = set()
        waiting = list(modules)
        while waiting:
            module = waiting.pop()
            if module in seen or is_neutral(module) or self.sources.module(module) is None:
                continue
            seen.add(module)
            waiting.extend(self._imported_by(module))
            if "." in module:
                waiting.append(module.rpartition(".")[0])
        return sorted(seen)

    def _imported_by(self, module: str) -> tuple[str, ...]:
        if module not in self._closure:
            table = self.sources.module(module)
            assert table is not None
            self._closure[module] = tuple(self._direct_imports(module, table))
        return self._closure[module]

    def _direct_imports(self, module: str, table: ModuleTable) -> Iterable[str]:
        named = [what for found in table.imports.values() for what in found]
        inner = [
            (target, level, name)
            for piece in table.pieces
            for target, level, name in (*piece.modules, *(one[:3] for one in piece.imports))
        ]
        stars = [(target, level, "") for target, level in table.stars]
        whole = [(target, 0, "") for target in table.dotted]
        for target, level, name in (*named, *inner, *stars, *whole):
            other = absolute(module, table.is_package, target, level)
            for candidate in (other, f"{other}.{name}"):
                if not is_neutral(candidate) and self.sources.module(candidate) is not None:
                    yield candidate

    # --- the result

    def _is_installed(self, module: str) -> bool:
        found = self.sources.distribution(module.partition(".")[0])
        return found is None or found[1] != NOT_INSTALLED

    def _package(self, module: str) -> bool:
        """Count the distribution that a module is of; say whether it is there at all."""
        top = module.partition(".")[0]
        if top:
            self.packages.add(top)
        return bool(top)

    def fingerprint(self, started: tuple[str, ...]) -> Fingerprint:
        symbols: dict[str, str] = {}
        texts: dict[str, str] = {}
        for symbol, (module, pieces) in sorted(self.symbols.items()):
            digest = digest_bytes(" ".join(piece.digest for piece in pieces).encode())
            symbols[symbol] = digest
            texts[digest] = self._text(module, pieces)
        packages = dict(
            sorted(found for top in self.packages if (found := self.sources.distribution(top)))
        )
        widened = tuple(sorted(self.widened))
        reached = [sorted(symbols.items()), sorted(packages.items())]
        counted = ["fingerprint 2", started, *reached]
        return Fingerprint(
            digest=digest_bytes(json.dumps(counted, separators=(",", ":")).encode()),
            symbols=symbols,
            packages=packages,
            widened=widened,
            sources=texts,
        )

    def _text(self, module: str, pieces: list[Piece]) -> str:
        lines = self.sources.lines(module)
        return "\n".join("\n".join(lines[piece.first - 1 : piece.last]) for piece in pieces)


def absolute(module: str, is_package: bool, target: str, level: int) -> str:
    """Return the module that an import names, a relative one made absolute."""
    if level == 0:
        return target
    parts = module.split(".")
    kept = parts[: len(parts) - level + (1 if is_package else 0)]
    return ".".join([*kept, *([target] if target else [])])


def top_symbol(module: str, symbol: str) -> str:
    """Return the symbol of the class that a member is of; any other symbol as it is."""
    return f"{module}:{symbol[len(module) + 1 :].partition('.')[0]}"


@dataclass(frozen=True)
class Effect:
    """What a statement may change beside what it binds."""

    symbols: frozenset[str]
    packages: frozenset[str]
    """Top-level modules that are no project's, such as `random` or `os`."""


NO_EFFECT = Effect(frozenset(), frozenset())


def effect_of(module: str, piece: Piece, sources: Sources) -> Effect:
    """Return what a statement may change when its module is imported.

    What it sets; what holds state and is reached by the project code that it calls.
    """
    called = _resolved(module, piece.calls, sources)
    if not called and not piece.is_effect:
        return NO_EFFECT
    walk = _Walk(sources)
    for mentioned in piece.calls if piece.is_definition else piece.names:
        name, *chain = mentioned.split(".")
        walk._reach_name(module, name, tuple(chain))
    changed = _resolved(module, piece.sets, sources)
    if piece.is_effect:
        changed |= _resolved(module, piece.names, sources)
    changed |= _resolved(module, [name for name in piece.calls if "." in name], sources)
    if called:
        walk._follow_all()
        for symbol, (other, pieces) in walk.symbols.items():
            if any(one.holds for one in pieces):
                changed.add(symbol)
            for one in pieces:
                changed |= _resolved(other, one.sets, sources)
    return Effect(frozenset(changed), frozenset(walk.packages if piece.is_effect else ()))


def _resolved(module: str, names: Iterable[str], sources: Sources) -> set[str]:
    """Return the symbols that names mean in a module; of a name that is not there, `module:*`."""
    walk = _Walk(sources)
    for mentioned in names:
        name, *chain = mentioned.split(".")
        walk._reach_name(module, name, tuple(chain))
    return walk.symbols.keys() | {f"{whole}:*" for whole in walk.whole}
