"""A module as a table of what it binds, by statement: kept in an index, looked up by name."""

import builtins
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

BUILTINS = frozenset(dir(builtins))
Import = tuple[str, int, str]
"""Module, level of a relative import, and name.

The name is empty where the module itself is bound.
"""
Place = tuple[int, int, int]
"""Where a statement stands: its number in the module, its first line and its last."""


@dataclass(frozen=True, slots=True)
class Runs:
    """What of a definition runs when its module is imported, by what that mentions."""

    names: tuple[str, ...]
    attributes: tuple[str, ...]
    imports: tuple[tuple[str, int, str, str], ...]
    sets: tuple[str, ...]


NOTHING_RUNS = Runs((), (), (), ())


@dataclass(frozen=True, slots=True)
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
    is_active: bool
    """Code may run by it when the module is imported: it calls, decorates, inherits, computes."""
    calls_unknown: bool
    """What it calls at import may change what it is given, or call it."""
    calls_given: bool
    """A function, or a class with a method, that calls at once what it is given."""
    patches: bool
    """It sets a part of what it is given, or has got: that may be anybody's."""
    runs: Runs
    """Of a definition: what of it runs at import; of another statement all of it does."""
    at: int
    """Number of the statement in its module."""
    first: int
    """Line where it starts, from 1."""
    last: int
    members: tuple["Piece", ...]
    """Of a class: what its body binds."""

    @property
    def at_import(self) -> Runs:
        """What runs when the module is imported."""
        if self.is_definition:
            return self.runs
        return Runs(self.names, self.attributes, self.imports, self.sets)


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
    places: dict[str, tuple[Place, ...]] = field(default_factory=dict)
    """Where the imports of a name stand; those of stars under `*`."""

    def to_json(self) -> tuple[Any, Any]:
        """Return what an index keeps: what the module says, and on which lines."""
        content = [
            self.name,
            self.is_package,
            [_listed(piece) for piece in self.pieces],
            self.imports,
            self.stars,
            self.dotted,
            self.by_name,
            {name: [place[0] for place in found] for name, found in self.places.items()},
        ]
        lines = [
            [_lines(piece) for piece in self.pieces],
            {name: [place[1:] for place in found] for name, found in self.places.items()},
        ]
        return content, lines

    @classmethod
    def from_json(cls, content: Any, lines: Any) -> "ModuleTable":
        """Read what `to_json` gave; TypeError, ValueError or KeyError where it is another thing."""
        name, is_package, pieces, imports, stars, dotted, by_name, places = content
        return cls(
            name=name,
            is_package=is_package,
            pieces=tuple(map(_piece, pieces, lines[0])),
            imports={name: tuple(map(tuple, found)) for name, found in imports.items()},
            stars=tuple(map(tuple, stars)),
            dotted=tuple(dotted),
            by_name={name: tuple(found) for name, found in by_name.items()},
            places={
                name: tuple(
                    (at, first, last)
                    for at, (first, last) in zip(found, lines[1][name], strict=True)
                )
                for name, found in places.items()
            },
        )


_LISTED = [
    one.name for one in fields(Piece) if one.name not in {"first", "last", "members", "runs"}
]

_FLAT = {str, bool}
_NESTED = (_LISTED.index("imports"), _LISTED.index("modules"))


def _listed(piece: Piece) -> list[Any]:
    runs = piece.runs
    return [
        [getattr(piece, name) for name in _LISTED],
        [] if runs == NOTHING_RUNS else [runs.names, runs.attributes, runs.imports, runs.sets],
        [_listed(member) for member in piece.members],
    ]


def _lines(piece: Piece) -> list[Any]:
    return [piece.first, piece.last, [_lines(member) for member in piece.members]]


def _piece(data: Any, lines: Any) -> Piece:
    (*listed, at), runs, members = data
    first, last, inner = lines
    for place in _NESTED:
        listed[place] = map(tuple, listed[place])
    told: list[Any] = [
        *(one if type(one) in _FLAT else tuple(one) for one in listed),
        _runs(*runs) if runs else NOTHING_RUNS,
        at,
        first,
        last,
        tuple(map(_piece, members, inner)) if members else (),
    ]
    return Piece(*told)


def _runs(names: Any, attributes: Any, imports: Any, sets: Any) -> Runs:
    return Runs(tuple(names), tuple(attributes), tuple(map(tuple, imports)), tuple(sets))


NOT_INSTALLED = "not installed"
"""Stands for the version of a distribution that is not there."""


class Sources(Protocol):
    """Where modules come from."""

    def module(self, name: str) -> ModuleTable | None:
        """Return the table of a module of the project, or of raypipe; None for any other."""
        ...

    def has(self, name: str) -> bool:
        """Say whether there is such a module; it is not read."""
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
