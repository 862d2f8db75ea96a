"""From a step to all the code that it can reach, over as many modules as it takes."""

import json
from collections import deque
from collections.abc import Iterable
from difflib import get_close_matches

from raypipe.engine.digest import digest_bytes
from raypipe.engine.fingerprint.names import BUILTINS
from raypipe.engine.fingerprint.symbols import ModuleTable, Piece, Sources
from raypipe.engine.records import Fingerprint
from raypipe.errors import CodeReferenceError

FOLLOWED = ("raypipe.stages", "raypipe.model", "raypipe.values")
"""Parts of raypipe that count like a project's own code; the others change no result."""
MODULE = "<module>"
"""Stands for the statements of a module that bind no name."""


def fingerprint(target: str, sources: Sources, *, also: Iterable[str] = ()) -> Fingerprint:
    """Return the fingerprint of the code that `module:qualname`, and each of `also`, can reach.

    CodeReferenceError names what is not there. A name that cannot be resolved widens to the whole
    module.
    """
    walk = _Walk(sources)
    for reference in (target, *also):
        walk.start(reference)
    walk.go()
    return walk.fingerprint()


def is_neutral(module: str) -> bool:
    """Say whether a module is a part of raypipe that counts nothing."""
    if module != "raypipe" and not module.startswith("raypipe."):
        return False
    return not any(module == part or module.startswith(f"{part}.") for part in FOLLOWED)


class _Walk:
    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.symbols: dict[str, tuple[str, list[Piece]]] = {}
        self.modules: set[str] = set()
        self.attributes: set[str] = set()
        self.packages: set[str] = set()
        self.widened: set[str] = set()
        self.waiting: deque[tuple[str, Piece]] = deque()
        self._closure: dict[str, tuple[str, ...]] = {}

    # --- starting

    def start(self, reference: str) -> None:
        module, _, qualname = reference.partition(":")
        name = qualname.partition(".")[0]
        table = self.sources.module(module)
        if table is None:
            if self._package(module):
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
        while True:
            while self.waiting:
                self._follow(*self.waiting.popleft())
            if not self._reach_methods():
                return

    # --- following

    def _follow(self, module: str, piece: Piece) -> None:
        for mentioned in piece.names:
            name, *chain = mentioned.split(".")
            if not self._reach_name(module, name, tuple(chain)) and name not in BUILTINS:
                self._unresolved(module, name)
        for target, level, name, chain_text in piece.imports:
            chain = chain_text.split(".") if chain_text else []
            self._reach_import(module, (target, level, name), tuple(chain))
        self.attributes.update(piece.attributes)
        for width in piece.widens:
            self._widen(module, width)

    def _reach_name(self, module: str, name: str, chain: tuple[str, ...]) -> bool:
        """Reach what a name means in a module; say whether it means anything."""
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
        if found:
            return True
        submodule = f"{module}.{name}"
        if self.sources.module(submodule) is not None:
            self._reach_module(submodule, chain)
            return True
        return self._reach_star(module, table, name, chain) or self._reach_getattr(module, table)

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
        if name.startswith("__") and name.endswith("__"):
            return
        self.widened.add(f"{module}: {name} is not found")
        self._whole_module(module)

    def _widen(self, module: str, width: str) -> None:
        if module.startswith("raypipe."):
            return  # what raypipe finds by name at run time is code references, which count
        self.widened.add(f"{module}: a name is computed at run time")
        self._whole_module(module)
        if width == "package":
            for submodule in self.sources.submodules(module.partition(".")[0]):
                self._whole_module(submodule)

    def _whole_module(self, module: str) -> None:
        table = self.sources.module(module)
        if table is None or is_neutral(module):
            return
        self._enter(module, table)
        for name, indices in table.by_name.items():
            self._reach_pieces(module, name, [table.pieces[i] for i in indices])
        for found in table.imports.values():
            for what in found:
                other = absolute(module, table.is_package, what[0], what[1])
                if self.sources.module(other) is None and not is_neutral(other):
                    self._package(other)

    # --- methods of unknown values

    def _reach_methods(self) -> bool:
        """Reach each method of the import closure whose name is taken from some value."""
        before = len(self.symbols)
        for module in self._import_closure():
            table = self.sources.module(module)
            assert table is not None
            for piece in table.pieces:
                for member in piece.members:
                    for name in self.attributes.intersection(member.binds):
                        symbol = f"{piece.binds[0]}.{name}"
                        if f"{module}:{piece.binds[0]}" not in self.symbols:
                            self._reach_pieces(module, symbol, [member])
        return len(self.symbols) > before

    def _import_closure(self) -> list[str]:
        seen: set[str] = set()
        waiting = [module for module in self.modules if not is_neutral(module)]
        while waiting:
            module = waiting.pop()
            if module not in seen:
                seen.add(module)
                waiting.extend(self._imported_by(module))
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
            for target, level, name, _ in piece.imports
        ]
        stars = [(target, level, "") for target, level in table.stars]
        for target, level, name in (*named, *inner, *stars):
            other = absolute(module, table.is_package, target, level)
            for candidate in (other, f"{other}.{name}"):
                if not is_neutral(candidate) and self.sources.module(candidate) is not None:
                    yield candidate

    # --- the result

    def _package(self, module: str) -> bool:
        """Count the distribution that a module is of; say whether it is there at all."""
        top = module.partition(".")[0]
        if top:
            self.packages.add(top)
        return bool(top)

    def fingerprint(self) -> Fingerprint:
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
        counted = ["fingerprint 1", sorted(symbols.items()), sorted(packages.items())]
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
