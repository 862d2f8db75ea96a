"""What the statements of a module change of others when it is imported."""

from collections.abc import Iterable
from dataclasses import dataclass

from raypipe.engine.fingerprint.resolve import MODULE, WHOLE, Code, Direct, Resolver
from raypipe.engine.fingerprint.symbols import Piece, Runs
from raypipe.engine.fingerprint.walk import Imports, Walk

EVERYWHERE = frozenset({"builtins", "locale", "os", "sys"})
"""Python's own modules whose state any code may depend on without naming them."""
READERS = frozenset({"copy", "count", "get", "index", "items", "keys", "values"})
"""Methods of a collection that change nothing."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What a statement may change beside what it binds."""

    by: tuple[str, ...]
    """Symbols of the statement."""
    symbols: tuple[str, ...]
    packages: tuple[str, ...]
    """Top-level modules that are no project's, such as `random` or `os`."""
    everywhere: bool
    """What it changes may be anybody's, such as an attribute of a library."""


def effects_of(module: str, imports: Imports) -> tuple[list[Effect], set[str]]:
    """Return the effects of a module's statements, and the modules that tell of them."""
    table = imports.code.table(module)
    found: list[Effect] = []
    asked = {module}
    if table is None:
        return found, asked
    for piece in table.pieces:
        if piece.is_active or piece.is_effect:
            effect, told = _effect_of(module, piece, imports)
            asked |= told
            if effect.symbols or effect.packages or effect.everywhere:
                found.append(effect)
    return found, asked


def _effect_of(module: str, piece: Piece, imports: Imports) -> tuple[Effect, set[str]]:
    code, runs = imports.code, piece.at_import
    by = tuple(f"{module}:{name}" for name in piece.binds or (MODULE,))
    mentioned, asked = _named(code, module, runs.names, runs.imports)
    if not mentioned.symbols and not piece.is_effect:
        return Effect(by, (), (), everywhere=False), asked
    walk = Walk(imports)
    walk.add(mentioned)
    walk.attributes.update(runs.attributes)
    walk.go()
    if any(one.calls_given for symbol in walk.symbols for one in code.pieces(symbol)):
        called, _ = _named(code, module, piece.names, piece.imports)
        walk.add(called)
        walk.go()
        runs = Runs((), (), (), tuple({*runs.sets, *piece.sets}))
    changed = _changed(module, piece, runs, mentioned.symbols, walk)
    packages, everywhere = _packages(module, piece, runs, imports)
    asked |= walk.asked | {f"imports {one}" for one in imports.named(walk.closed)}
    return Effect(by, tuple(sorted(changed - set(by))), packages, everywhere), asked


def _changed(module: str, piece: Piece, runs: Runs, mentioned: set[str], walk: Walk) -> set[str]:
    """Return the symbols that a statement may change."""
    code = walk.code
    taken = [name for name in piece.calls if name.rpartition(".")[2] not in READERS]
    own = [*runs.sets, *(name for name in taken if "." in name)]
    changed = set(_named(code, module, own)[0].symbols)
    called = _named(code, module, piece.calls)[0].symbols
    pieces = [(symbol, one) for symbol in walk.symbols for one in code.pieces(symbol)]
    if piece.is_effect or any(one.patches for _, one in pieces):
        changed |= mentioned
    has_classes = any(one.members for _, one in pieces)
    may_change = piece.is_effect or piece.calls_unknown or called or has_classes
    for symbol, one in pieces:
        if may_change and one.holds:
            changed.add(symbol)
        if one.sets and one.is_definition:
            changed |= _named(code, symbol.partition(":")[0], one.sets)[0].symbols
    for whole in [symbol for symbol in changed if symbol.endswith(WHOLE)]:
        changed |= code.direct(whole).symbols
    return changed


def _packages(
    module: str, piece: Piece, runs: Runs, imports: Imports
) -> tuple[tuple[str, ...], bool]:
    """Return the libraries whose state a statement may change, and whether that is anybody's."""
    code = imports.code
    patched = _named(code, module, runs.sets)[0].packages
    if not piece.is_effect:
        return tuple(sorted(patched)), bool(patched)
    walk = Walk(imports)
    walk.add(_named(code, module, piece.calls)[0])
    walk.go()
    named = _named(code, module, piece.names)[0].packages | walk.packages
    return tuple(sorted(named | patched)), bool(patched or named & EVERYWHERE)


def _named(
    code: Code,
    module: str,
    names: Iterable[str],
    imports: Iterable[tuple[str, int, str, str]] = (),
) -> tuple[Direct, set[str]]:
    """Look up names, without widening where one is not there."""
    resolver = Resolver(code)
    for mentioned in names:
        name, *chain = mentioned.split(".")
        resolver.reach_name(module, name, tuple(chain))
    resolver.look_up(module, (), imports)
    return resolver.found, resolver.found.asked
