"""Where the order of statements counts: what is bound twice, or changed when it is imported."""

from collections.abc import Iterable, Iterator

from raypipe.engine.fingerprint.resolve import MODULE, Code, absolute
from raypipe.engine.fingerprint.symbols import Piece
from raypipe.engine.fingerprint.walk import Imports

ORDER = "<order>"
"""Stands for the order of a module's statements."""


def leading(acting: set[str], scope: int, imports: Imports) -> set[str]:
    """Return the modules, among those of some bits, that are acting or import one that is."""
    bits = sum(imports.bits[module] for module in acting)
    return {module for module in imports.named(scope) if imports.closure(module) & bits}


def orders(
    symbols: Iterable[str], acting: set[str], changed: set[str], leading: set[str], code: Code
) -> dict[str, str]:
    """Return, for each module in which the order counts, what stands where, line by line.

    `acting` are modules that change what is reached, `changed` the symbols that they change; in
    `leading` modules it counts in what order modules are imported too.
    """
    reached: dict[str, set[str]] = {}
    for symbol in symbols:
        module, _, name = symbol.partition(":")
        reached.setdefault(module, set()).add(name.partition(".")[0])
    counted = {module for module, names in reached.items() if _is_rebound(code, module, names)}
    counted |= (acting & reached.keys()) | leading
    found = {}
    for module in sorted(counted):
        order = [*_order(code, module, reached.get(module, set()), changed, leading)]
        if len(order) > 1:
            found[f"{module}:{ORDER}"] = "\n".join(order)
    return found


def _is_rebound(code: Code, module: str, names: Iterable[str]) -> bool:
    return any(name != MODULE and code.is_bound_twice(f"{module}:{name}") for name in names)


def _order(
    code: Code, module: str, names: set[str], changed: set[str], leading: set[str]
) -> Iterator[str]:
    """Yield what runs at import of what is reached in a module, in its order."""
    table = code.table(module)
    if table is None:
        return
    found: list[tuple[int, str]] = []
    for piece in table.pieces:
        is_reached = names & set(piece.binds or (MODULE,))
        if is_reached and not _is_plain(code, module, piece, changed):
            bound = " ".join(piece.binds) or "a statement"
            found.append((piece.at, f"{bound} ({piece.digest[:16]})"))
    every = [
        *((name, target, level) for name, of in table.imports.items() for target, level, _ in of),
        *(("*", target, level) for target, level in table.stars),
    ]
    count: dict[str, int] = {}
    for name, target, level in every:
        number = count[name] = count.get(name, -1) + 1
        other = absolute(module, table.is_package, target, level)
        if name in names or other in leading:
            found.append((table.places[name][number][0], f"import {other}"))
    yield from (said for _, said in sorted(found))


def _is_plain(code: Code, module: str, piece: Piece, changed: set[str]) -> bool:
    """Say whether it never counts where a statement stands: a function or class by itself."""
    bound = [f"{module}:{name}" for name in piece.binds]
    is_by_itself = piece.is_definition and not piece.is_active and not changed & {*bound}
    return is_by_itself and not any(map(code.is_bound_twice, bound))
