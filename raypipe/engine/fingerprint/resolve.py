"""What a symbol reaches by itself: its names, imports and attributes, looked up in the modules."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from raypipe.engine.digest import digest_bytes
from raypipe.engine.fingerprint.symbols import BUILTINS, ModuleTable, Piece, Sources
from raypipe.errors import PipelineError

FOLLOWED = ("raypipe.stages", "raypipe.model", "raypipe.values", "raypipe.pages")
"""Parts of raypipe that count like a project's own code; the others change no result."""
DYNAMIC = {
    "importlib.import_module": "anywhere",
    "importlib.reload": "package",
    "importlib.util.find_spec": "package",
    "importlib.util.spec_from_file_location": "files",
    "importlib.machinery.SourceFileLoader": "files",
    "runpy.run_path": "files",
    "builtins.exec": "files",
    "builtins.compile": "files",
    "builtins.eval": "module",
    "builtins.globals": "module",
    "builtins.__import__": "anywhere",
    "runpy.run_module": "anywhere",
    "pkgutil.iter_modules": "package",
    "pkgutil.walk_packages": "package",
    "pkgutil.resolve_name": "anywhere",
    "sys.modules": "anywhere",
    "pickle.load": "anywhere",
    "pickle.loads": "anywhere",
    "pickle.Unpickler": "anywhere",
}
"""What finds code by a name or a file that is computed: among the package's, or all there is."""
MODULE = "<module>"
"""Stands for the statements of a module that bind no name."""
WHOLE = "*"
"""Stands for all that a module binds."""
PACKAGE = "**"
"""Stands for all modules of a package."""
EVERYTHING = f":{PACKAGE}"
"""Stands for all modules of the project."""
FOLDER = "folder "
"""Before the name of a package whose modules were listed."""
_SAID = {"files": "a file of code", "anywhere": "the name of a module"}


@dataclass(slots=True)
class Direct:
    """What some code reaches by itself."""

    symbols: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    """Attributes of values of unknown class."""
    packages: set[str] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)
    """The project's modules in which a name was found."""
    widened: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    """Modules that were looked for, whether they are there or not, and folders listed."""
    every_method: bool = False


def is_neutral(module: str) -> bool:
    """Say whether a module is a part of raypipe that counts nothing."""
    if module != "raypipe" and not module.startswith("raypipe."):
        return False
    return not any(module == part or module.startswith(f"{part}.") for part in FOLLOWED)


def absolute(module: str, is_package: bool, target: str, level: int) -> str:
    """Return the module that an import names, a relative one made absolute."""
    if level == 0:
        return target
    parts = module.split(".")
    kept = parts[: len(parts) - level + (1 if is_package else 0)]
    return ".".join([*kept, *([target] if target else [])])


class Code:
    """A project's modules as a graph of symbols; what was found is kept."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self._direct: dict[str, Direct] = {}
        self._bound: dict[str, tuple[str, bool]] = {}
        self._tops: dict[str, str] = {}

    def table(self, module: str) -> ModuleTable | None:
        """Return the table of a module of the project; None for any other."""
        return self.sources.module(module)

    def has(self, module: str) -> bool:
        """Say whether a module is one of the project's."""
        return self.sources.has(module)

    def top(self, symbol: str) -> str:
        """Return the symbol of the class that a member is of; any other symbol as it is."""
        top = self._tops.get(symbol)
        if top is None:
            module, _, name = symbol.partition(":")
            top = self._tops[symbol] = f"{module}:{name.partition('.')[0]}"
        return top

    def direct(self, symbol: str) -> Direct:
        """Return what a symbol reaches by itself."""
        found = self._direct.get(symbol)
        if found is None:
            found = self._direct[symbol] = self._look_up(symbol)
        return found

    def _look_up(self, symbol: str) -> Direct:
        module, _, name = symbol.partition(":")
        resolver = Resolver(self)
        resolver.found.asked.add(module)
        if name == WHOLE:
            resolver.open_module(module)
        elif symbol == EVERYTHING:
            resolver.open_everything()
        elif name == PACKAGE:
            resolver.open_package(module)
        else:
            for piece in self.pieces(symbol):
                resolver.follow(module, piece)
        return resolver.found

    def pieces(self, symbol: str) -> list[Piece]:
        """Return the statements, or the members of a class, that a symbol stands for."""
        module, _, name = symbol.partition(":")
        table = self.table(module)
        if table is None:
            return []
        if name == MODULE:
            return [piece for piece in table.pieces if not piece.binds]
        owner, _, member = name.partition(".")
        if not member:
            return [table.pieces[index] for index in table.by_name.get(name, ())]
        if owner == MODULE:
            owners = self.pieces(f"{module}:{MODULE}")
        else:
            owners = [table.pieces[index] for index in table.by_name.get(owner, ())]
        return [one for piece in owners for one in piece.members if member in one.binds]

    def digest(self, symbol: str) -> str:
        """Return the digest of what binds a symbol: statements, imports, stars, in their order."""
        return self._binding(symbol)[0]

    def is_bound_twice(self, symbol: str) -> bool:
        """Say whether more than one statement binds a symbol."""
        return self._binding(symbol)[1]

    def _binding(self, symbol: str) -> tuple[str, bool]:
        found = self._bound.get(symbol)
        if found is None:
            binders = self._binders(symbol)
            said = " ".join(said for _, said in sorted(binders))
            found = self._bound[symbol] = digest_bytes(said.encode()), len(binders) > 1
        return found

    def _binders(self, symbol: str) -> list[tuple[tuple[int, int], str]]:
        found = [((piece.at, n), piece.digest) for n, piece in enumerate(self.pieces(symbol))]
        module, _, name = symbol.partition(":")
        table = self.table(module)
        if table is None or name == MODULE or "." in name:
            return found
        places = table.places.get(name, ())
        for (target, level, inside), place in zip(table.imports.get(name, ()), places, strict=True):
            other = absolute(module, table.is_package, target, level)
            found.append(((place[0], -1), f"import {other} {inside}".rstrip()))
        starred = self.starred(module, table, name) if table.stars else ()
        for star, place in zip(table.stars, table.places.get("*", ()), strict=True):
            other = absolute(module, table.is_package, *star)
            if other in starred or (not found and not self.has(other)):
                found.append(((place[0], -1), f"star {other}"))
        return found

    def starred(self, module: str, table: ModuleTable, name: str) -> list[str]:
        """Return the project's modules that give a module a name by a star."""
        others = (absolute(module, table.is_package, *target) for target in table.stars)
        return [
            other
            for other in others
            if other != module
            and not is_neutral(other)
            and self.has(other)
            and self._gives(other, name, {module})
        ]

    def _gives(self, module: str, name: str, seen: set[str]) -> bool:
        table = self.table(module)
        if table is None or module in seen:
            return False
        seen.add(module)
        if name in table.by_name or name in table.imports:
            return True
        if table.is_package and self.has(f"{module}.{name}"):
            return True
        others = (absolute(module, table.is_package, *target) for target in table.stars)
        return any(self._gives(other, name, seen) for other in others)

    def text(self, symbol: str) -> str:
        """Return the source of what binds a symbol."""
        module, _, name = symbol.partition(":")
        table = self.table(module)
        spans = {(piece.first, piece.last) for piece in self.pieces(symbol)}
        if table is not None and name != MODULE and "." not in name:
            imports = table.places.get(name, ())
            stars = table.places.get("*", ()) if not spans and not imports else ()
            spans |= {
                (first, last)
                for _, first, last in (*imports, *stars)
                if not any(start <= first and last <= end for start, end in spans)
            }
        lines = self.sources.lines(module)
        return "\n".join("\n".join(lines[first - 1 : last]) for first, last in sorted(spans))


class Resolver:
    """Looks names up, and collects what they mean; what that reaches in turn is not followed."""

    def __init__(self, code: Code) -> None:
        self.code = code
        self.found = Direct()
        self._known: dict[tuple[str, str, tuple[str, ...]], bool] = {}

    def has(self, module: str) -> bool:
        """Say whether a module is one of the project's, and note that it was asked for."""
        self.found.asked.add(module)
        return self.code.has(module)

    def table(self, module: str) -> ModuleTable | None:
        """Return a module's table, and note that it was asked for."""
        self.found.asked.add(module)
        return self.code.table(module)

    def follow(self, module: str, piece: Piece) -> None:
        """Look up all that a statement mentions."""
        self.look_up(module, piece.names, piece.imports, piece.attributes)
        for width in piece.widens:
            self._widen(module, width)

    def look_up(
        self,
        module: str,
        names: Iterable[str],
        imports: Iterable[tuple[str, int, str, str]] = (),
        attributes: Iterable[str] = (),
    ) -> None:
        """Look up names of a module, imports in it, and attributes of unknown values."""
        for mentioned in names:
            name, *chain = mentioned.split(".")
            if self.reach_name(module, name, tuple(chain)):
                continue
            if name not in BUILTINS:
                self._unresolved(module, name)
            elif name == "compile":
                self._widen(module, "files")
        for target, level, name, chain_text in imports:
            chain = chain_text.split(".") if chain_text else []
            self._reach_import(module, (target, level, name), tuple(chain))
        self.found.attributes.update(attributes)

    def reach_name(self, module: str, name: str, chain: tuple[str, ...]) -> bool:
        """Reach what a name means in a module; say whether it means anything."""
        asked = (module, name, chain)
        if asked not in self._known:
            self._known[asked] = False
            self._known[asked] = self._reach_own(module, name, chain)
        elif not self._known[asked]:
            # modules that import it from each other, or a package from itself
            return self._reach_submodule(module, name, chain)
        return self._known[asked]

    def _reach_own(self, module: str, name: str, chain: tuple[str, ...]) -> bool:
        table = self.table(module)
        if table is None:
            return False
        self._enter(module, table)
        symbol = f"{module}:{name}"
        found = name in table.by_name or name in table.imports
        if found:
            self.found.symbols.add(symbol)
            if name in table.by_name:
                self.found.attributes.update(chain)
            for what in table.imports.get(name, ()):
                self._reach_import(module, what, chain)
            if chain and table.is_package:  # a module of the same name, imported later
                self._reach_also(f"{symbol.replace(':', '.')}", chain)
        else:
            found = self._reach_submodule(module, name, chain)
        return (
            self._reach_star(module, table, name, chain, found)
            or found
            or self._reach_getattr(module, table)
        )

    def _reach_also(self, submodule: str, chain: tuple[str, ...]) -> None:
        if self.has(submodule) and self.code._gives(submodule, chain[0], set()):
            self.reach_name(submodule, chain[0], chain[1:])

    def _reach_submodule(self, module: str, name: str, chain: tuple[str, ...]) -> bool:
        table = self.table(module)
        submodule = f"{module}.{name}"
        if table is None or not table.is_package or not self.has(submodule):
            return False
        self._reach_module(submodule, chain)
        return True

    def _reach_star(
        self, module: str, table: ModuleTable, name: str, chain: tuple[str, ...], found: bool
    ) -> bool:
        """Reach what stars give a name, beside what else binds it."""
        given = False
        for target, level in table.stars:
            other = absolute(module, table.is_package, target, level)
            if other == module:
                continue
            if self.has(other) and not is_neutral(other):
                if found and not self.code._gives(other, name, {module}):
                    continue
                if self.reach_name(other, name, chain):
                    given = True
                    self.reach_name(other, "__all__", ())
            elif self._package(other):
                given = given or (not found and name not in BUILTINS)
        if given:
            self.found.symbols.add(f"{module}:{name}")
        return given

    def _reach_getattr(self, module: str, table: ModuleTable) -> bool:
        """A module's own `__getattr__` may give any name."""
        if "__getattr__" not in table.by_name:
            return False
        return self.reach_name(module, "__getattr__", ())

    def _reach_import(
        self, module: str, what: tuple[str, int, str], chain: tuple[str, ...]
    ) -> None:
        target, level, name = what
        table = self.table(module)
        other = absolute(module, bool(table and table.is_package), target, level)
        if is_neutral(other):
            return
        if not self.has(other):
            self._package(other)
            path = [*other.split("."), *filter(None, [name]), *chain]
            for length in (2, 3):
                if width := DYNAMIC.get(".".join(path[:length])):
                    self._widen(module, width)
            return
        if not name:
            self._reach_module(other, chain)
        elif name == "*" or not self.reach_name(other, name, chain):
            self.found.symbols.add(f"{other}:{WHOLE}")

    def _reach_module(self, module: str, chain: tuple[str, ...]) -> None:
        """A module that is mentioned: by what is taken from it, or whole where it is handed on."""
        if is_neutral(module):
            return
        if not chain:
            self.found.symbols.add(f"{module}:{WHOLE}")
        elif not self.reach_name(module, chain[0], chain[1:]):
            self._unresolved(module, chain[0])

    def _enter(self, module: str, table: ModuleTable) -> None:
        if module not in self.found.modules:
            self.found.modules.add(module)
            if any(not piece.binds for piece in table.pieces):
                self.found.symbols.add(f"{module}:{MODULE}")

    def _package(self, module: str) -> bool:
        """Count the distribution that a module is of; say whether it is there at all."""
        top = module.partition(".")[0]
        if top:
            self.found.packages.add(top)
        return bool(top)

    # --- what cannot be resolved

    def _unresolved(self, module: str, name: str) -> None:
        if name.startswith("__") and name.endswith("__") and name != "__dict__":
            return
        self.found.widened.add(f"{module}: {name} is not found")
        self.found.symbols.add(f"{module}:{WHOLE}")

    def _widen(self, module: str, width: str) -> None:
        if module.startswith("raypipe."):
            return  # what raypipe finds by name at run time is code references, which count
        kind, _, package = width.partition(" ")
        self.found.widened.add(f"{module}: {_SAID.get(kind, 'a name')} is computed at run time")
        self.found.symbols.add(f"{module}:{WHOLE}")
        if kind == "methods":
            self.found.every_method = True
        elif kind in {"files", "anywhere"}:
            self.found.symbols.add(EVERYTHING)
        if kind in {"package", "under", "anywhere"}:
            self.found.symbols.add(f"{package or module.partition('.')[0]}:{PACKAGE}")

    def open_module(self, module: str) -> None:
        """Reach all that a module binds, and the packages that it imports."""
        table = self.table(module)
        if table is None or is_neutral(module):
            return
        self._enter(module, table)
        self.found.symbols.update(f"{module}:{name}" for name in (*table.by_name, *table.imports))
        for found in table.imports.values():
            for target, level, _ in found:
                other = absolute(module, table.is_package, target, level)
                if not is_neutral(other) and not self.has(other):
                    self._package(other)

    def open_package(self, package: str) -> None:
        """Reach all modules of a package."""
        self.found.asked.add(f"{FOLDER}{package}")
        for module in self.code.sources.submodules(package):
            self.found.symbols.add(f"{module}:{WHOLE}")

    def open_everything(self) -> None:
        """Reach all modules of the project."""
        self.found.asked.add(FOLDER)
        for module in self.code.sources.everything():
            with suppress(PipelineError):  # what is no Python of today cannot be loaded either
                if self.table(module) is not None:
                    self.found.symbols.add(f"{module}:{WHOLE}")
