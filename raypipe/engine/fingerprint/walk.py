"""From some symbols to all that they reach, over as many modules as it takes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from raypipe.engine.fingerprint.resolve import MODULE, WHOLE, Code, Direct, absolute, is_neutral
from raypipe.engine.fingerprint.symbols import ModuleTable, Piece

CONSTRUCTING = frozenset(
    {"__init__", "__new__", "__post_init__", "__init_subclass__", "__class_getitem__",
     "__set_name__", "__slots__", "__match_args__", "__doc__", "__module__", "__all__"}
)  # fmt: skip
"""Special names that nothing uses of a value that is there already."""
Member = tuple[int, str, str]
"""Bit of the module, symbol of the class, symbol that is reached where the name is taken."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a module has to do with others, whatever its statements say otherwise."""

    imports: tuple[str, ...]
    """The project's modules that it imports, and the package that it is in."""
    members: tuple[tuple[str, str, str], ...]
    """Names that its classes bind, each with the class' symbol and the member's."""


class Imports:
    """Which modules import which, as bits of a number, and the methods of their classes by name."""

    def __init__(self, code: Code, facts: Callable[[str], Facts]) -> None:
        self.code = code
        self.modules: list[str] = []
        self.bits: dict[str, int] = {}
        self.members: dict[str, list[Member]] = {}
        """By name; special ones, which operators and builtins take, under the empty name."""
        self._facts = facts
        self._closures: dict[str, int] = {}

    def closure(self, module: str) -> int:
        """Return the bits of the modules that are imported with a module, itself among them."""
        if module not in self._closures:
            bits, waiting = 0, [module]
            while waiting:
                one = waiting.pop()
                if known := self._closures.get(one):
                    bits |= known
                elif not is_out(self.code, one) and not bits & (bit := self._bit(one)):
                    bits |= bit
                    waiting.extend(self._facts(one).imports)
            self._closures[module] = bits
        return self._closures[module]

    def named(self, bits: int) -> Iterable[str]:
        """Yield the modules of some bits."""
        while bits:
            lowest = bits & -bits
            yield self.modules[lowest.bit_length() - 1]
            bits ^= lowest

    def _bit(self, module: str) -> int:
        if module not in self.bits:
            self.bits[module] = bit = 1 << len(self.modules)
            self.modules.append(module)
            for name, owner, symbol in self._facts(module).members:
                self.members.setdefault(name, []).append((bit, owner, symbol))
                if is_special(name):
                    self.members.setdefault("", []).append((bit, owner, symbol))
        return self.bits[module]


def facts_of(module: str, code: Code) -> tuple[Facts, set[str]]:
    """Return the facts of a module, and the modules that tell of them."""
    table = code.table(module)
    asked = {module}
    if table is None:
        return Facts((), ()), asked
    imports = tuple(dict.fromkeys(_imported(module, table, code, asked)))
    return Facts(imports, tuple(_members(module, table.pieces))), asked


def _imported(module: str, table: ModuleTable, code: Code, asked: set[str]) -> Iterable[str]:
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
            asked.add(candidate)
            if not is_out(code, candidate):
                yield candidate
    if "." in module:
        yield module.rpartition(".")[0]


def is_out(code: Code, module: str) -> bool:
    """Say whether a module counts nothing: it is another's, or neutral."""
    return is_neutral(module) or not code.has(module)


def _members(module: str, pieces: Iterable[Piece]) -> Iterable[tuple[str, str, str]]:
    """Yield name, symbol of the class and symbol of the member of what classes bind.

    The name is one that may be taken from a value of the class.
    """
    for piece in pieces:
        owner = piece.binds[0] if piece.binds else MODULE
        if not piece.members:
            for name in piece.methods:
                for bound in piece.binds or (MODULE,):
                    yield name, f"{module}:{owner}", f"{module}:{bound}"
        for member in piece.members:
            for name in (*member.binds, *member.methods):
                reached = member.binds if name in member.methods else (name,)
                for bound in reached:
                    yield name, f"{module}:{owner}", f"{module}:{owner}.{bound}"


def is_special(name: str) -> bool:
    """Say whether operators and builtins take a name of a value, without naming its class."""
    return name.startswith("__") and name.endswith("__") and name not in CONSTRUCTING


class Walk:
    """All that some symbols reach, but for what imports change."""

    def __init__(self, imports: Imports) -> None:
        self.imports = imports
        self.code = imports.code
        self.symbols: set[str] = set()
        self.packages: set[str] = set()
        self.attributes: set[str] = set()
        self.modules: set[str] = set()
        self.widened: set[str] = set()
        self.asked: set[str] = set()
        self.closed = 0
        """Bits of the modules that are imported with those that are reached."""
        self._every_method = False
        self._waiting: list[str] = []

    def add(self, found: Direct) -> None:
        """Reach what was found."""
        if new := found.symbols - self.symbols:
            self._waiting.extend(new)
            self.symbols |= new
        self.packages |= found.packages
        self.attributes |= found.attributes
        self.widened |= found.widened
        self.asked |= found.asked
        self._every_method |= found.every_method
        for module in found.modules - self.modules:
            self.modules.add(module)
            self.closed |= self.imports.closure(module)

    def reach(self, symbols: Iterable[str]) -> bool:
        """Reach some symbols; say whether any of them is new."""
        new = set(symbols) - self.symbols
        if not new:
            return False
        found = Direct(symbols=new)
        for module in {symbol.partition(":")[0] for symbol in new} - self.modules:
            table = self.code.table(module)
            if table is not None:
                found.modules.add(module)
                if any(not piece.binds for piece in table.pieces):
                    found.symbols.add(f"{module}:{MODULE}")
        self.add(found)
        return True

    def go(self) -> None:
        """Follow what is reached until nothing is new."""
        self._follow()
        while self.reach(self._methods()):
            self._follow()

    def _follow(self) -> None:
        while self._waiting:
            self.add(self.code.direct(self._waiting.pop()))

    def _methods(self) -> set[str]:
        """Return the methods whose names are taken from some value, of classes not reached."""
        members = self.imports.members
        found = set()
        for name in ("", *(self.attributes & members.keys())):
            for bit, owner, symbol in members.get(name, ()):
                if bit & self.closed and owner not in self.symbols:
                    found.add(symbol)
        if self._every_method:
            found |= {
                symbol
                for entries in list(members.values())
                for bit, owner, symbol in entries
                if bit & self.closed
                and owner not in self.symbols
                and not owner.startswith("raypipe.")
            }
        return found

    def reached(self) -> list[str]:
        """Return the symbols that are reached, but for members of classes that are themselves."""
        top = self.code.top
        return sorted(
            symbol
            for symbol in self.symbols
            if symbol[-1] != WHOLE
            and ((owner := top(symbol)) == symbol or owner not in self.symbols)
        )
