"""From a step to all the code that it can reach, as a fingerprint."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import astuple
from difflib import get_close_matches
from typing import Any, Protocol

from raypipe.engine.digest import digest_bytes
from raypipe.engine.fingerprint.effects import Effect, effects_of
from raypipe.engine.fingerprint.notes import Notes, digest_of
from raypipe.engine.fingerprint.order import leading, orders
from raypipe.engine.fingerprint.resolve import Code, Resolver
from raypipe.engine.fingerprint.symbols import NOT_INSTALLED, Sources
from raypipe.engine.fingerprint.walk import Facts, Imports, Walk, facts_of
from raypipe.engine.records import Fingerprint
from raypipe.errors import CodeReferenceError


class Kept(Protocol):
    """Where what was found of the code lasts."""

    def kept(self) -> Any:
        """Return what was kept; None where nothing was."""
        ...

    def keep(self, found: Any) -> None:
        """Keep what can be written as JSON."""
        ...

    def content(self, module: str) -> str:
        """Return the digest of what a module says, its form aside; empty where it is not there."""
        ...


def fingerprint(
    target: str, sources: Sources, *, also: Iterable[str] = (), imported: Iterable[str] = ()
) -> Fingerprint:
    """Return the fingerprint of the code that `module:qualname`, and each of `also`, can reach.

    `imported` are modules that are imported before it runs, such as the pipeline's: what they
    change of what is reached counts too. CodeReferenceError names what is not there. A name that
    cannot be resolved widens to the whole module.
    """
    return Tracer(sources).fingerprint(target, also=also, imported=imported)


class Tracer:
    """Makes the fingerprints of one project; what it found of a module serves all steps."""

    def __init__(self, sources: Sources, kept: "Kept | None" = None) -> None:
        """`kept` is where what was found lasts."""
        self.sources = sources
        self.imports = Imports(Code(sources), self._facts)
        self.notes = None if kept is None else Notes(kept.kept(), self._state)
        self._kept = kept
        self._effects: dict[str, tuple[Effect, ...]] = {}
        self._changing: dict[str, list[tuple[int, Effect]]] = {}
        """By symbol, `package NAME`, or nothing where it is anybody's."""
        self._indexed = 0
        self._states: dict[int, int] = {}

    def fingerprint(
        self, target: str, *, also: Iterable[str] = (), imported: Iterable[str] = ()
    ) -> Fingerprint:
        """Return a fingerprint; the parts of one that is kept are found when asked for."""
        started, before = (target, *sorted(also)), tuple(imported)
        if self.notes is None:
            return self._trace(started, before)
        key = "\n".join((*started, "", *before))
        known = self.notes.recall(key)
        if known is None:
            reach, found = self._reach(started, before)
            states = self._states_of(reach.scope)
            self.notes.note(key, [found.digest, list(found.widened)], reach.told(), states)
            return found
        return _later(known[0], tuple(known[1]), lambda: self._trace(started, before))

    def save(self) -> None:
        """Let what was found last."""
        if self._kept is not None and self.notes is not None and self.notes.is_changed:
            self._kept.keep(self.notes.to_json())
            self.notes.is_changed = False

    def _trace(self, started: tuple[str, ...], imported: tuple[str, ...]) -> Fingerprint:
        return self._reach(started, imported)[1]

    def _reach(
        self, started: tuple[str, ...], imported: tuple[str, ...]
    ) -> tuple["_Reach", Fingerprint]:
        reach = _Reach(self, imported)
        for reference in started:
            reach.start(reference)
        reach.go()
        return reach, reach.fingerprint(started)

    def _states_of(self, scope: int) -> int:
        """Return what tells of the imports and effects of the modules of some bits."""
        assert self.notes is not None
        if scope not in self._states:
            modules = [*self.imports.named(scope)]
            names = (f"{kind} {module}" for module in modules for kind in ("imports", "effects"))
            self._states[scope] = self.notes.states(names)
        return self._states[scope]

    # --- what is found of a module

    def effects_on(self, reached: set[str], scope: int) -> Iterator[tuple[str, int, Effect]]:
        """Yield what is changed of what is reached, by the modules of some bits.

        Each with the module's bit and the effect.
        """
        if missing := scope & ~self._indexed:
            self._indexed |= missing
            for module in self.imports.named(missing):
                self._index(module)
        for changed in reached & self._changing.keys():
            for bit, effect in self._changing[changed]:
                if bit & scope:
                    yield changed, bit, effect

    def _index(self, module: str) -> None:
        bit = self.imports.bits[module]
        for effect in self._effects_of(module):
            packages = [f"package {name}" for name in effect.packages]
            for changed in (*effect.symbols, *packages, *([""] if effect.everywhere else [])):
                self._changing.setdefault(changed, []).append((bit, effect))

    def _facts(self, module: str) -> Facts:
        _, (imports, members) = self._found(
            f"imports {module}", lambda: facts_of(module, self.imports.code)
        )
        return Facts(tuple(imports), tuple(map(tuple, members)))

    def _effects_of(self, module: str) -> list[Effect]:
        _, effects = self._found(f"effects {module}", lambda: effects_of(module, self.imports))
        return [Effect(tuple(a), tuple(b), tuple(c), d) for a, b, c, d in effects]

    def _found(self, key: str, find: Callable[[], tuple[Any, set[str]]]) -> tuple[str, Any]:
        """Return a digest of what is found of a module, with it."""
        known = None if self.notes is None else self.notes.recall(key)
        if known is None:
            found, told = find()
            listed = [astuple(one) for one in found] if isinstance(found, list) else astuple(found)
            known = [digest_of(json.dumps(listed)), listed]
            if self.notes is not None:
                self.notes.note(key, known, told)
        return known[0], known[1]

    def _state(self, name: str) -> str:
        """Return what a name stands for, of those that findings are told by."""
        kind, _, rest = name.partition(" ")
        match kind:
            case "imports" if rest:
                return self._found(name, lambda: facts_of(rest, self.imports.code))[0]
            case "effects" if rest:
                return self._found(name, lambda: effects_of(rest, self.imports))[0]
            case "folder":
                found = self.sources.submodules(rest) if rest else self.sources.everything()
                return digest_of("\n".join(found))
            case "distribution":
                return " ".join(self.sources.distribution(rest) or ())
        assert self._kept is not None
        return self._kept.content(name)


class _Reach(Walk):
    """What a step reaches, with what imports change of it."""

    def __init__(self, tracer: Tracer, imported: Iterable[str]) -> None:
        super().__init__(tracer.imports)
        self.tracer = tracer
        self._scope = 0
        for module in imported:
            self._scope |= self.imports.closure(module)
        self._acting: set[str] = set()
        """Modules that change what is reached."""
        self._changed: set[str] = set()
        """Symbols that are changed."""
        self._is_foreign = False
        self._leading: set[str] = set()
        """Modules whose order of imports counts."""

    def start(self, reference: str) -> None:
        """Reach what a reference names; CodeReferenceError where it names nothing."""
        module, _, qualname = reference.partition(":")
        name = qualname.partition(".")[0]
        resolver = Resolver(self.code)
        table = resolver.table(module)
        if table is None:
            if self._is_installed(module):
                self.packages.add(module.partition(".")[0])
                self.asked.add(module)
                return
            raise CodeReferenceError(
                f"{reference!r} names the module {module!r}, which is not there",
                hint="name it relative to the project root (the folder of pyproject.toml)",
            )
        if not resolver.reach_name(module, name, ()):
            close = get_close_matches(name, [*table.by_name, *table.imports], n=1)
            known = ", ".join(sorted(table.by_name)[:8])
            raise CodeReferenceError(
                f"{reference!r}: the module {module!r} has no {name!r}",
                hint=f"did you mean {close[0]!r}?" if close else f"it has {known or 'nothing'}",
            )
        self.add(resolver.found)

    def go(self) -> None:
        """Follow what is reached, and what imports change of it, until nothing is new."""
        super().go()
        while self._reach_effects():
            super().go()

    def _reach_effects(self) -> bool:
        """Reach each statement of the imported modules that changes what is reached already.

        Such as a registration by decorator, or a module that sets another's attribute.
        """
        scope = self.scope
        reached = {"", *map(self.code.top, self.symbols)}
        reached.update(f"package {name}" for name in self.packages)
        new: set[str] = set()
        for changed, bit, effect in self.tracer.effects_on(reached, scope):
            new.update(effect.by)
            module = self.imports.modules[bit.bit_length() - 1]
            self._acting.add(module)
            self._changed.add(changed)
            if changed.partition(":")[0] != module:
                self._is_foreign = True
        return self.reach(new)

    def _is_installed(self, module: str) -> bool:
        found = self.tracer.sources.distribution(module.partition(".")[0])
        return found is None or found[1] != NOT_INSTALLED

    # --- the result

    @property
    def scope(self) -> int:
        """Bits of the modules that are imported."""
        return self._scope | self.closed

    def told(self) -> set[str]:
        """Return what tells whether the fingerprint is still the same, beside its scope."""
        return {*self.asked, *self._leading, *(f"distribution {top}" for top in self.packages)}

    def fingerprint(self, started: tuple[str, ...]) -> Fingerprint:
        """Return what was reached as a fingerprint."""
        code = self.code
        reached = self.reached()
        symbols = {symbol: code.digest(symbol) for symbol in reached}
        scope = self.scope
        subclasses = "__subclasses__" in self.attributes
        if self._is_foreign:
            self._leading = leading(self._acting, scope, self.imports)
        acting = self._acting | (self.modules if subclasses else set())
        ordered = orders(reached, acting, self._changed, self._leading, code)
        told = {digest_bytes(text.encode()): text for text in ordered.values()}
        symbols |= {name: digest_bytes(text.encode()) for name, text in ordered.items()}
        texts = Later(lambda: {**{code.digest(one): code.text(one) for one in reached}, **told})
        distribution = self.tracer.sources.distribution
        packages = dict(sorted(found for top in self.packages if (found := distribution(top))))
        counted = ["fingerprint 3", started, sorted(symbols.items()), sorted(packages.items())]
        return Fingerprint(
            digest=digest_bytes(json.dumps(counted, separators=(",", ":")).encode()),
            symbols=dict(sorted(symbols.items())),
            packages=packages,
            widened=tuple(sorted(self.widened)),
            sources=texts,
        )


class Later(Mapping[str, str]):
    """A part of a fingerprint that is found when it is looked at."""

    def __init__(self, find: Callable[[], Mapping[str, str]]) -> None:
        self._find: Callable[[], Mapping[str, str]] | None = find
        self._found: Mapping[str, str] = {}

    @property
    def _whole(self) -> Mapping[str, str]:
        if self._find is not None:
            self._found, self._find = self._find(), None
        return self._found

    def __getitem__(self, name: str) -> str:
        return self._whole[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._whole)

    def __len__(self) -> int:
        return len(self._whole)


def _later(digest: str, widened: tuple[str, ...], find: Callable[[], Fingerprint]) -> Fingerprint:
    found: list[Fingerprint] = []

    def whole() -> Fingerprint:
        if not found:
            found.append(find())
        return found[0]

    return Fingerprint(
        digest=digest,
        symbols=Later(lambda: whole().symbols),
        packages=Later(lambda: whole().packages),
        widened=widened,
        sources=Later(lambda: whole().sources),
    )
