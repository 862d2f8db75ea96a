"""Small projects drawn at random, with an edit: what hypothesis searches."""

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import strategies as st

MODULES = ("flow", "pkg", "pkg.deep", "pkg.sub.far", "space.mod", "lib")
"""Each imports only those after it, so that what runs at import finds what it needs."""
PATHS = {name: f"{name.replace('.', '/')}.py" for name in MODULES} | {"pkg": "pkg/__init__.py"}
REGISTRY = """
TABLE = {}
MADE = {}
SEEN = []
def register(function):
    TABLE[function.__name__] = function
    return function
def seen(function):
    SEEN.append(function)
    return function
def loud(function):
    def inner(*args):
        return function(*args) + 0
    inner.__name__ = function.__name__
    return inner
def setting(owner, name):
    def put(value):
        setattr(owner, name, value)
        return value
    return put
class Base:
    kinds = {}
    def __init_subclass__(cls):
        Base.kinds[cls.__name__] = cls
"""
HEAD = """
import contextlib, functools, importlib, operator, sys
import registry
"""
GIVEN = """class Given:
    def weigh(self):
        return {}{}
    @property
    def height(self):
        return {}
def helped():
    return {}"""
"""The class of what the step is given; nothing that it reaches names it."""
FUNCTION_WAYS = (
    "call", "map", "partial", "dict", "default", "closure", "comprehension", "walrus", "match",
    "with", "reduce", "table", "getattr", "computed", "import", "import computed", "local import",
    "loaded", "seen",
)  # fmt: skip
CLASS_WAYS = (
    "method", "property", "rate", "inherit", "operator", "unknown", "unknown property", "called",
    "iterated", "kind", "attrgetter", "static",
)  # fmt: skip
STYLES = ("module", "alias", "name", "renamed", "star")
MARKS = ("", "@registry.register\n", "@registry.loud\n", "@functools.cache\n", "@registry.seen\n")


@dataclass
class Thing:
    """A constant, a function or a class of a project."""

    kind: str
    home: int
    uses: list[tuple[int, int]]
    """Numbers that choose a later thing, and the way that it is used."""
    mark: str = ""


@dataclass
class Project:
    """Files as blocks of text, so that an edit can take, move or change one."""

    blocks: dict[str, list[str]] = field(default_factory=dict)

    def files(self) -> dict[str, str]:
        files = {path: "\n".join(blocks) + "\n" for path, blocks in self.blocks.items()}
        return {"registry.py": REGISTRY, "pkg/sub/__init__.py": "", **files}

    def replaced(self, path: str, blocks: list[str]) -> "Project":
        return Project({**self.blocks, path: blocks})


class Writer:
    """Writes things down as a project; each literal is a number of its own, of three digits."""

    def __init__(
        self,
        things: list[Thing],
        styles: list[int],
        effects: list[tuple[int, int, int]],
        given: int,
    ) -> None:
        self.things = things
        self.styles = styles
        self.effects = effects
        self.given = given
        self.number = 100

    def write(self) -> Project:
        heads: dict[int, list[str]] = {home: [HEAD.strip()] for home in range(len(MODULES))}
        bodies: dict[int, list[str]] = {home: [] for home in range(len(MODULES))}
        for home in range(len(MODULES)):
            for other in range(home + 1, len(MODULES)):
                heads[home].extend(self.imports(home, other))
        for place in reversed(range(len(self.things))):
            bodies[self.things[place].home].extend(self.thing(place))
        for effect in self.effects:
            home, text = self.effect(*effect)
            bodies[home].append(text)
        given = self.given % len(MODULES)
        helped = " + helped()" if self.given % 2 else ""
        literals = (self.literal(), helped, self.literal(), self.literal())
        bodies[given].append(GIVEN.format(*literals))
        bodies[0].append(f"def go(x):\n    return {self.value(0, 0, 0)} + x.weigh() + x.height")
        return Project({PATHS[MODULES[n]]: [*heads[n], *bodies[n]] for n in heads})

    def literal(self) -> int:
        self.number += 1
        return self.number

    # --- names

    def style(self, home: int, other: int) -> str:
        return STYLES[self.styles[(home * 5 + other) % len(self.styles)]]

    def imports(self, home: int, other: int) -> list[str]:
        names = [self.name(n) for n, thing in enumerate(self.things) if thing.home == other]
        module = MODULES[other]
        lines = [f"import {module}"]
        match self.style(home, other):
            case "alias":
                lines.append(f"import {module} as m{other}")
            case "name" if names:
                lines.append(f"from {module} import {', '.join(names)}")
            case "renamed" if names:
                lines += [f"from {module} import {name} as {name}_x" for name in names]
            case "star":
                lines.append(f"from {module} import *")
        return lines

    def name(self, place: int) -> str:
        return f"{self.things[place].kind[0]}{place}"

    def said(self, place: int, home: int) -> str:
        """Return how a module says a thing."""
        other, name = self.things[place].home, self.name(place)
        if other == home:
            return name
        match self.style(home, other):
            case "alias":
                return f"m{other}.{name}"
            case "name" | "star":
                return name
            case "renamed":
                return f"{name}_x"
        return f"{MODULES[other]}.{name}"

    # --- things

    def later(self, place: int, seed: int) -> int | None:
        """Return a later thing that the home of one may use when it is imported."""
        home = self.things[place].home
        fit = [n for n in range(place + 1, len(self.things)) if self.things[n].home >= home]
        return fit[seed % len(fit)] if fit else None

    def thing(self, place: int) -> list[str]:
        thing, name = self.things[place], self.name(place)
        home = thing.home
        used = [(self.later(place, seed), way) for seed, way in thing.uses]
        values = [self.value(n, way, home) for n, way in used if n is not None]
        match thing.kind:
            case "constant":
                value = " + ".join([str(self.literal()), *values[:1]])
                return [f"{name} = {value}"]
            case "list":
                return [f"{name} = [{self.literal()}]"]
            case "function":
                return [self.function(place, used)]
        total = " * 3 + ".join([str(self.literal()), *values])
        base = "(registry.Base)" if thing.mark else ""
        made = f"registry.MADE[{name!r}] = {name}()"
        return [
            f"class {name}{base}:\n    rate = {self.literal()}\n"
            f"    def run(self):\n        total = {total}\n        return total\n"
            f"    @property\n    def size(self):\n        return {self.literal()}\n"
            f"    def __add__(self, other):\n        return other + {self.literal()}\n"
            f"    def __call__(self):\n        return {self.literal()}\n"
            f"    def __iter__(self):\n        return iter([{self.literal()}])\n"
            f"    @staticmethod\n    def still():\n        return {self.literal()}",
            made,
        ]

    def function(self, place: int, used: list[tuple[int | None, int]]) -> str:
        thing, name = self.things[place], self.name(place)
        default, lines, terms = "", [], [str(self.literal())]
        for other, way in used:
            if other is None:
                continue
            kind = self.things[other].kind
            chosen = FUNCTION_WAYS[way % len(FUNCTION_WAYS)] if kind == "function" else ""
            said = self.said(other, thing.home)
            if chosen == "default" or (kind == "constant" and way % 3 == 0):
                default = f"given={said}"
                terms.append("given()" if kind == "function" else "given")
            elif chosen == "closure":
                lines.append(f"    def inner():\n        return {said}()")
                terms.append("inner()")
            elif chosen == "local import":
                lines.append(
                    f"    from {MODULES[self.things[other].home]} import {self.name(other)} as here"
                )
                terms.append("here()")
            else:
                terms.append(self.value(other, way, thing.home))
        lines.append(f"    total = {' * 3 + '.join(terms)}")
        body = "\n".join([*lines, "    return total"])
        return f"{thing.mark}def {name}({default}):\n{body}"

    def value(self, place: int, way: int, home: int) -> str:
        """Return an expression of a thing's value, as a module writes it."""
        said, name = self.said(place, home), self.name(place)
        module = MODULES[self.things[place].home]
        match self.things[place].kind:
            case "constant":
                return f"{module}.{name}" if way % 2 and self.things[place].home != home else said
            case "list":
                return f"sum({said})"
            case "function":
                return self.called(FUNCTION_WAYS[way % len(FUNCTION_WAYS)], said, name, module)
        return self.made(CLASS_WAYS[way % len(CLASS_WAYS)], said, name)

    def called(self, way: str, said: str, name: str, module: str) -> str:
        start, _, end = module.rpartition(".")
        start = f"{start}." if start else ""
        return {
            "map": f"sum(map(lambda f: f(), [{said}]))",
            "partial": f"functools.partial({said})()",
            "dict": f"{{'k': {said}}}['k']()",
            "comprehension": f"[f() for f in ({said},)][0]",
            "walrus": f"(held := {said})()",
            "with": f"contextlib.nullcontext({said}).__enter__()()",
            "reduce": f"functools.reduce(lambda a, f: f(), [1, {said}])",
            "table": f"registry.TABLE.get({name!r}, int)()",
            "getattr": f"getattr(sys.modules[{module!r}], {name!r})()",
            "computed": f"getattr(sys.modules[{module!r}], {name[:1]!r} + {name[1:]!r})()",
            "import": f"importlib.import_module({module!r}).{name}()",
            "import computed": f"importlib.import_module({start!r} + {end!r}).{name}()",
            "loaded": f"sys.modules[{module!r}].{name}()",
            "seen": "sum(f() * n for n, f in enumerate(registry.SEEN[:2], 1))",
        }.get(way, f"{said}()")

    def made(self, way: str, said: str, name: str) -> str:
        return {
            "property": f"{said}().size",
            "rate": f"{said}.rate",
            "inherit": f"type('Sub', ({said},), {{}})().run()",
            "operator": f"({said}() + 1)",
            "unknown": f"registry.MADE[{name!r}].run()",
            "unknown property": f"registry.MADE[{name!r}].size",
            "called": f"{said}()()",
            "iterated": f"sum({said}())",
            "kind": f"registry.Base.kinds.get({name!r}, {said}).rate",
            "attrgetter": f"operator.attrgetter('rate')({said})",
            "static": f"{said}.still()",
        }.get(way, f"{said}().run()")

    # --- what imports change

    def effect(self, kind: int, seed: int, where: int) -> tuple[int, str]:
        """Return the module of a statement that changes a thing, and the statement."""
        place = seed % min(4, len(self.things))
        thing, name = self.things[place], self.name(place)
        home = where % (thing.home + 1)
        said = f"{MODULES[thing.home]}.{name}" if home != thing.home else name
        other = f"sys.modules[{MODULES[thing.home]!r}]"
        new = self.literal()
        texts = {
            "constant": [
                f"{said} = {new}", f"{said} += {new}", f"setattr({other}, {name!r}, {new})",
                f"{other}.{name} = {new}", f"registry.setting({other}, {name!r})({new})",
            ],
            "list": [
                f"{said}.append({new})", f"held = {said}\nheld.append({new})",
                f"{said} += [{new}]", f"done = list(map({said}.append, [{new}]))",
                f"for held in [{said}]:\n    held[0] = {new}",
                f"def unused(x={said}.append({new})):\n    pass",
            ],
            "function": [
                f"{said} = lambda: {new}", f"registry.TABLE[{name!r}] = lambda: {new}",
                f"setattr({other}, {name!r}, lambda: {new})",
                f"@registry.setting({other}, {name!r})\ndef replaced():\n    return {new}",
                f"if {said}() > {new}:\n    def f99(): return {new}",
            ],
            "class": [
                f"{said}.run = lambda self: {new}", f"{said}.rate = {new}",
                f"setattr({said}, 'rate', {new})", f"registry.MADE[{name!r}].rate = {new}",
                f"class Other({said}):\n    rate = {new}\nregistry.MADE[{name!r}] = Other()",
                f"@registry.setting({said}, 'run')\ndef replaced(self):\n    return {new}",
            ],
        }[thing.kind]  # fmt: skip
        return home, texts[kind % len(texts)]


kinds = st.sampled_from(["constant", "list", "function", "function", "function", "class"])
numbers = st.integers(0, 59)
things = st.builds(
    Thing,
    kind=kinds,
    home=st.integers(0, len(MODULES) - 1),
    uses=st.lists(st.tuples(numbers, numbers), min_size=1, max_size=3),
    mark=st.sampled_from(MARKS),
)
firsts = st.builds(
    Thing,
    kind=st.just("function"),
    home=st.just(0),
    uses=st.lists(st.tuples(numbers, numbers), min_size=4, max_size=8),
    mark=st.just(""),
)


@st.composite
def projects(draw: st.DrawFn, most_effects: int = 5) -> Project:
    every = [draw(firsts), *draw(st.lists(things, min_size=1, max_size=6))]
    styles = draw(st.lists(st.integers(0, len(STYLES) - 1), min_size=7, max_size=7))
    effects = draw(st.lists(st.tuples(numbers, numbers, numbers), max_size=most_effects))
    return Writer(every, styles, effects, draw(numbers)).write()


# --- edits ---------------------------------------------------------------------------------------


def _literal(draw: st.DrawFn, text: str) -> str:
    found = [*re.finditer(r"\b[1-9]\d\d\b", text)]
    if not found:
        return text
    one = draw(st.sampled_from(found))
    return f"{text[: one.start()]}{int(one.group()) + 500}{text[one.end() :]}"


def _other_name(draw: st.DrawFn, text: str) -> str:
    found = [*re.finditer(r"\b([fc])(\d)\b", text)]
    if not found:
        return text
    one = draw(st.sampled_from(found))
    return f"{text[: one.start(2)]}{draw(st.integers(0, 6))}{text[one.end(2) :]}"


def _other_module(draw: st.DrawFn, text: str) -> str:
    found = [*re.finditer(r"\b(?:pkg\.deep|pkg\.sub\.far|space\.mod|lib)\b", text)]
    if not found:
        return text
    one = draw(st.sampled_from(found))
    return f"{text[: one.start()]}{draw(st.sampled_from(MODULES[2:]))}{text[one.end() :]}"


NEW = (
    "def sum(x):\n    return 7", "def f1():\n    return 8", "c2 = 9", "TABLE = {}", "import lib",
    "from lib import *", "from pkg.deep import *", "registry.SEEN.reverse()", "__all__ = []",
    "def __getattr__(name):\n    return lambda: 5",
)  # fmt: skip


EDITS = (
    "literal", "literal", "literal", "literal", "literal", "name", "module", "swap",
    "swap what runs", "exchange", "drop", "new",
)  # fmt: skip
_IMPORT = re.compile("import |from ")


def _swap(draw: st.DrawFn, blocks: list[str], places: list[int]) -> None:
    if len(places) > 1:
        one = draw(st.integers(0, len(places) - 2))
        a, b = places[one], places[one + 1]
        blocks[a], blocks[b] = blocks[b], blocks[a]


def _exchange(draw: st.DrawFn, blocks: list[str], places: list[int]) -> None:
    """Let two imports bind each other's names."""
    if len(places) > 1:
        one, other = draw(st.permutations(places))[:2]
        (a, _, first), (b, _, second) = (blocks[n].partition(" as ") for n in (one, other))
        blocks[one], blocks[other] = f"{a} as {second}", f"{b} as {first}"


@st.composite
def edits(draw: st.DrawFn, project: Project) -> Project:
    """Change one file: a literal, a name, a module, a statement's place, or which there are."""
    full = [path for path, blocks in project.blocks.items() if re.search(r"\d\d\d", str(blocks))]
    path = draw(st.sampled_from(full or [PATHS["flow"]]))
    blocks = [*project.blocks[path]]
    place = draw(st.integers(1, len(blocks) - 1))
    match draw(st.sampled_from(EDITS)):
        case "literal":
            blocks[place] = _literal(draw, blocks[place])
        case "name":
            blocks[place] = _other_name(draw, blocks[place])
        case "module":
            blocks[place] = _other_module(draw, blocks[place])
        case "swap":
            runs = [n for n, block in enumerate(blocks) if n and not block.startswith("def go")]
            one, other = draw(st.sampled_from(runs)), draw(st.sampled_from(runs))
            blocks[one], blocks[other] = blocks[other], blocks[one]
        case "swap what runs":
            _swap(draw, blocks, [n for n, b in enumerate(blocks) if n and not _IMPORT.match(b)])
        case "exchange":
            named = [n for n, block in enumerate(blocks) if " as " in block and n]
            _exchange(draw, blocks, named)
        case "drop":
            if not blocks[place].startswith("def go"):
                del blocks[place]
        case "new":
            blocks.insert(place + 1, draw(st.sampled_from(NEW)))
    return project.replaced(path, blocks)


def commented(text: str) -> str:
    return "\n\n".join(f"{line}  # a note" if line.strip() else line for line in text.split("\n"))


def formatted(text: str) -> str:
    return ast.unparse(ast.parse(text))


def documented(text: str) -> str:
    return re.sub(r"^( *)((?:def|class) .*:)$", r'\1\2\n\1    """Text."""', text, flags=re.M)


def annotated(text: str) -> str:
    return re.sub(r"^( +)total = ", r"\1total: int = ", text, flags=re.M)


NEUTRAL: dict[str, Callable[[str], str]] = {
    "comments": commented,
    "formatting": formatted,
    "docstrings": documented,
    "annotations of local variables": annotated,
}


def reordered(blocks: list[str]) -> list[str]:
    """Return blocks with those functions the other way round that only their names tell apart."""
    plain = [n for n, block in enumerate(blocks) if re.match(r"def \w+\(\):", block)]
    moved = [*blocks]
    for place, other in zip(plain, reversed(plain), strict=True):
        moved[place] = blocks[other]
    return moved
