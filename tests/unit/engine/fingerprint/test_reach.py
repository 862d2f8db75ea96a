"""An edit changes a step's fingerprint where it can change its result, and mostly only there."""

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raypipe.engine.fingerprint import ModuleTable, fingerprint
from raypipe.engine.fingerprint.parse import parse_module
from raypipe.engine.fingerprint.resolve import absolute, is_neutral
from raypipe.engine.records import Fingerprint
from raypipe.errors import CodeReferenceError


@dataclass(frozen=True)
class Texts:
    """A project in memory: path to text."""

    files: Mapping[str, str]
    versions: Mapping[str, str] = field(default_factory=dict)
    parsed: dict[str, ModuleTable | None] = field(default_factory=dict)

    def path(self, name: str) -> str | None:
        stem = name.replace(".", "/")
        return next((p for p in (f"{stem}/__init__.py", f"{stem}.py") if p in self.files), None)

    def is_folder(self, name: str) -> bool:
        return any(path.startswith(f"{name.replace('.', '/')}/") for path in self.files)

    def module(self, name: str) -> ModuleTable | None:
        if name not in self.parsed:
            self.parsed[name] = self.parse(name)
        return self.parsed[name]

    def parse(self, name: str) -> ModuleTable | None:
        path = self.path(name)
        if path is not None:
            packaged = path.endswith("__init__.py")
            return parse_module(name, self.files[path], is_package=packaged, shown=path)
        return parse_module(name, "", is_package=True, shown=name) if self.is_folder(name) else None

    def has(self, name: str) -> bool:
        return self.path(name) is not None or self.is_folder(name)

    def submodules(self, package: str) -> Iterable[str]:
        folder = package.replace(".", "/")
        paths = (path for path in self.files if path.startswith(f"{folder}/"))
        return sorted(
            p.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for p in paths
        )

    def everything(self) -> Iterable[str]:
        return sorted(
            p.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for p in self.files
        )

    def lines(self, name: str) -> list[str]:
        path = self.path(name)
        return self.files[path].splitlines() if path else []

    def distribution(self, top_level: str) -> tuple[str, str] | None:
        if top_level in sys.stdlib_module_names:
            return None
        return top_level, self.versions.get(top_level, "not installed")


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports a project from memory."""

    def __init__(self, project: Texts) -> None:
        self.project = project

    def find_spec(self, fullname: str, *_: Any) -> importlib.machinery.ModuleSpec | None:
        path = self.project.path(fullname)
        if path is None and not self.project.is_folder(fullname):
            return None
        packaged = path is None or path.endswith("__init__.py")
        return importlib.machinery.ModuleSpec(fullname, self, is_package=packaged)

    def exec_module(self, module: ModuleType) -> None:
        exec("\n".join(self.project.lines(module.__name__)), module.__dict__)


@contextmanager
def importable(project: Texts) -> Iterator[None]:
    finder, before = Finder(project), set(sys.modules)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in set(sys.modules) - before:
            if getattr(sys.modules[name].__spec__, "loader", None) is finder:
                del sys.modules[name]


def result_of(project: Texts) -> Any:
    """Run the step, with what a function named `given` gives where there is one."""
    with importable(project):
        try:
            go = importlib.import_module("flow").go
            modules = [sys.modules.get(name) for name in ("flow", "lib")]
            givers = [module.given for module in modules if hasattr(module, "given")]
            return go(givers[0]() if givers else 2)
        except Exception as error:
            return repr(error)


# The edit of a row writes 42 for every 41 in it. Where a row counts, its result differs too, unless
# it is one of SAME_RESULT: so the table itself is held to what Python does.
COUNTS = {
    "the step's own body": """
def go(x):
    return x + 41
""",
    "a function called": """
def go(x):
    return helper(x)
def helper(x):
    return x + 41
""",
    "a function two calls away": """
def go(x):
    return first(x)
def first(x):
    return second(x)
def second(x):
    return x + 41
""",
    "mutual recursion": """
def go(x):
    return even(x)
def even(x):
    return 0 if x == 0 else odd(x - 1)
def odd(x):
    return 41 if x == 1 else even(x - 1)
""",
    "a function that is handed on": """
def go(x):
    return list(map(helper, [x]))
def helper(x):
    return x + 41
""",
    "a constant": """
RATE = 41
def go(x):
    return x + RATE
""",
    "a constant of a constant": """
BASE = 41
RATE = BASE * 2
def go(x):
    return x + RATE
""",
    "one of a tuple of constants": """
LOW, HIGH = 1, 41
def go(x):
    return HIGH
""",
    "a constant that depends on a condition": """
import sys
if sys.version_info > (3,):
    RATE = 41
else:
    RATE = 1
def go(x):
    return RATE
""",
    "the condition of a constant": """
if 1 < 2 ** 41 % 4398046511104 - 2 ** 41 + 1 or 41 == 41.0:
    RATE = 41
def go(x):
    return RATE
""",
    "a constant made by a loop": """
TABLE = {}
for key in range(3):
    TABLE[key] = 41
def go(x):
    return TABLE[x]
""",
    "an augmented assignment": """
RATE = 1
RATE += 41
def go(x):
    return RATE
""",
    "an augmented assignment to an imported list": """
# file: flow.py
import lib
lib.RATES += [41]
def go(x):
    return lib.RATES[-1]
# file: lib.py
RATES = []
""",
    "a global that a function sets": """
RATE = 1
def go(x):
    set_up()
    return RATE
def set_up():
    global RATE
    RATE = 41
""",
    "a global set when the module is imported": """
RATE = 1
def set_up():
    global RATE
    RATE = 41
set_up()
def go(x):
    return RATE
""",
    "a global set by the argument of a call": """
RATE = 1
def set_up(rate):
    global RATE
    RATE = rate
set_up(41)
def go(x):
    return RATE
""",
    "a walrus at module level": """
if (RATE := 41) > 1:
    pass
def go(x):
    return RATE
""",
    "a walrus in a function": """
def go(x):
    return (y := helper()) + y
def helper():
    return 41
""",
    "a walrus in a comprehension": """
def go(x):
    return [y for _ in range(x) if (y := helper())]
def helper():
    return 41
""",
    "a name that a comprehension and the module share": """
RATE = 41
def go(x):
    return [RATE for RATE in range(RATE)]
""",
    "a comprehension": """
def go(x):
    return {k: helper(k) for k in range(x)}
def helper(x):
    return x + 41
""",
    "a generator": """
def go(x):
    return list(rows())
def rows():
    yield from (n + 41 for n in range(2))
""",
    "a lambda": """
helper = lambda x: x + 41
def go(x):
    return helper(x)
""",
    "what a lambda calls": """
def go(x):
    return (lambda y: helper(y))(x)
def helper(x):
    return x + 41
""",
    "a nested function": """
def go(x):
    def inner(y):
        return helper(y)
    return inner(x)
def helper(x):
    return x + 41
""",
    "a closure": """
def make(rate):
    def inner(x):
        return x + rate
    return inner
helper = make(41)
def go(x):
    return helper(x)
""",
    "a default argument": """
def go(x):
    return helper(x)
def helper(x, rate=41):
    return x + rate
""",
    "the constant of a default argument": """
RATE = 41
def go(x, rate=RATE):
    return x + rate
""",
    "a keyword-only default argument": """
def rate():
    return 41
def go(x, *, rate=rate()):
    return x + rate
""",
    "a decorator": """
def twice(function):
    return lambda x: function(x) + 41
@twice
def go(x):
    return x
""",
    "a decorator's argument": """
def plus(rate):
    return lambda function: lambda x: function(x) + rate
def go(x):
    return helper(x)
@plus(41)
def helper(x):
    return x
""",
    "a function for a dispatch by type": """
from functools import singledispatch
@singledispatch
def helper(x):
    return 0
@helper.register
def _(x: int):
    return 41
def go(x):
    return helper(x)
""",
    "a dict of functions": """
def helper(x):
    return x + 41
TABLE = {"x": helper}
def go(x):
    return TABLE["x"](x)
""",
    "a dict that a function is put into": """
TABLE = {}
def helper(x):
    return x + 41
TABLE["x"] = helper
def go(x):
    return TABLE["x"](x)
""",
    "a dict that is updated": """
TABLE = {}
TABLE.update(x=41)
def go(x):
    return TABLE["x"]
""",
    "a registration by decorator": """
TABLE = {}
def register(function):
    TABLE[function.__name__] = function
    return function
@register
def helper(x):
    return x + 41
def go(x):
    return TABLE["helper"](x)
""",
    "a registration by decorator of an object": """
class Registry:
    def __init__(self):
        self.known = {}
    def add(self, name):
        return lambda function: self.known.setdefault(name, function)
registry = Registry()
@registry.add("x")
def helper(x):
    return x + 41
def go(x):
    return registry.known["x"](x)
""",
    "a registration by call": """
TABLE = {}
def register(name, function):
    TABLE[name] = function
def helper(x):
    return x + 41
register("x", helper)
def go(x):
    return TABLE["x"](x)
""",
    "a registration in a module that is only imported": """
# file: flow.py
import plugins
from registry import TABLE
def go(x):
    return TABLE["helper"](x)
# file: plugins.py
from registry import register
@register
def helper(x):
    return x + 41
# file: registry.py
TABLE = {}
def register(function):
    TABLE[function.__name__] = function
    return function
""",
    "a registration in a module whose import is dotted": """
# file: flow.py
import pkg.plugins
from registry import TABLE
def go(x):
    return TABLE["helper"](x)
# file: pkg/plugins.py
from registry import register
@register
def helper(x):
    return x + 41
# file: registry.py
TABLE = {}
def register(function):
    TABLE[function.__name__] = function
    return function
""",
    "a method of an unknown value of a module whose import is dotted": """
# file: flow.py
import pkg.plugins
def go(x):
    return x.area()
def given():
    return pkg.plugins.Square()
# file: pkg/plugins.py
class Square:
    def area(self):
        return 41
""",
    "a registration in a package's __init__": """
# file: flow.py
from pkg.registry import TABLE
def go(x):
    return TABLE["helper"](x)
# file: pkg/__init__.py
from pkg.registry import register
@register
def helper(x):
    return x + 41
# file: pkg/registry.py
TABLE = {}
def register(function):
    TABLE[function.__name__] = function
    return function
""",
    "a subclass that its base keeps": """
class Base:
    known = {}
    def __init_subclass__(cls):
        Base.known[cls.__name__] = cls
class One(Base):
    rate = 41
def go(x):
    return Base.known["One"].rate
""",
    "a subclass that is looked for": """
class Base:
    pass
class One(Base):
    def speed_of_it(self):
        return 41
def go(x):
    return [one().speed_of_it() for one in Base.__subclasses__()]
""",
    "functools.partial": """
from functools import partial
def helper(x, y):
    return x + y + 41
plus = partial(helper, 1)
def go(x):
    return plus(x)
""",
    "a method of a known class": """
class Model:
    def area(self, x):
        return x + 41
def go(x):
    return Model().area(x)
""",
    "a method of a known object": """
class Model:
    def area(self, x):
        return x + 41
model = Model()
def go(x):
    return model.area(x)
""",
    "a method in a base class": """
# file: flow.py
from lib import Base
class Model(Base):
    pass
def go(x):
    return Model().area(x)
# file: lib.py
class Base:
    def area(self, x):
        return x + 41
""",
    "a method called on self": """
class Base:
    def area(self):
        return self.side()
class Model(Base):
    def side(self):
        return 41
def go(x):
    return Model().area()
""",
    "a method called by super": """
class Base:
    def area(self):
        return 41
class Model(Base):
    def area(self):
        return super().area()
def go(x):
    return Model().area()
""",
    "a class method, and a static one": """
class Model:
    @classmethod
    def make(cls):
        return cls.rate()
    @staticmethod
    def rate():
        return 41
def go(x):
    return Model.make()
""",
    "a property": """
class Model:
    @property
    def area(self):
        return 41
def go(x):
    return Model().area
""",
    "a property's setter": """
class Model:
    @property
    def area(self):
        return self.size
    @area.setter
    def area(self, size):
        self.size = size + 41
def go(x):
    model = Model()
    model.area = x
    return model.area
""",
    "a class attribute": """
class Model:
    rate = 41
    def area(self):
        return self.rate
def go(x):
    return Model().area()
""",
    "a class attribute of a constant": """
rate = 41
class Model:
    rate = rate
def go(x):
    return Model.rate
""",
    "an attribute put on a class": """
class Model:
    pass
Model.rate = 41
def go(x):
    return Model.rate
""",
    "an operator of a class": """
class Model:
    def __add__(self, x):
        return x + 41
def go(x):
    return Model() + x
""",
    "a metaclass": """
class Meta(type):
    def __call__(cls):
        return 41
class Model(metaclass=Meta):
    pass
def go(x):
    return Model()
""",
    "a class in a function": """
def go(x):
    class Model:
        def area(self):
            return helper()
    return Model().area()
def helper():
    return 41
""",
    "a dataclass' default": """
from dataclasses import dataclass
@dataclass
class Row:
    size: int = 41
def go(x):
    return Row().size
""",
    "a dataclass' annotation": """
from dataclasses import dataclass, fields
@dataclass
class Row:
    size: "int | 41" = 1
def go(x):
    return fields(Row)[0].type
""",
    "a named tuple": """
from collections import namedtuple
Row = namedtuple("Row", "size", defaults=[41])
def go(x):
    return Row().size
""",
    "an enumeration": """
from enum import Enum
class Kind(Enum):
    ONE = 41
def go(x):
    return Kind.ONE.value
""",
    "a parameter's annotation": """
def go(x: "int | 41" = 1):
    return go.__annotations__["x"]
""",
    "a type that a parameter's annotation names": """
from __future__ import annotations
class Row:
    size = 41
def go(x: Row):
    return 1
""",
    "a type that a text in an annotation names": """
class Row:
    size = 41
def go(x: list["Row"]):
    return 1
""",
    "a type alias": """
from typing import Literal
Size = Literal[41]
def go(x: Size):
    return go.__annotations__["x"].__args__
""",
    "a method of an unknown value": """
# file: flow.py
import lib
def go(x):
    return x.area()
# file: lib.py
class Square:
    def area(self):
        return 41
def given():
    return Square()
""",
    "what a method of an unknown value calls": """
# file: flow.py
import lib
def go(x):
    return x.area()
# file: lib.py
from other import side
class Square:
    def area(self):
        return side()
def given():
    return Square()
# file: other.py
def side():
    return 41
""",
    "a property of an unknown value": """
class Square:
    @property
    def area(self):
        return 41
def go(x):
    return x.area
def given():
    return Square()
""",
    "an attribute of an unknown value's class": """
class Square:
    side = 41
    def area(self):
        return self.side
def go(x):
    return x.area()
def given():
    return Square()
""",
    "an operator of an unknown value": """
class Square:
    def __add__(self, other):
        return 41
def go(x):
    return x + 1
def given():
    return Square()
""",
    "a call of an unknown value": """
class Square:
    def __call__(self, other):
        return 41
def go(x):
    return x(1)
def given():
    return Square()
""",
    "a method of a nested class": """
class Outer:
    class Square:
        def area(self):
            return 41
def go(x):
    return x.area()
def given():
    return Outer.Square()
""",
    "a method of a class under a condition": """
try:
    import nothing_of_this_name
except ImportError:
    class Square:
        def area(self):
            return 41
def go(x):
    return x.area()
def given():
    return Square()
""",
    "a method of a class that a function makes": """
def make():
    class Square:
        def area(self):
            return 41
    return Square()
def go(x):
    return x.area()
def given():
    return make()
""",
    "match": """
from dataclasses import dataclass
@dataclass
class Row:
    size: int = 41
def go(x):
    match Row():
        case Row(size=size):
            return size
""",
    "match by value": """
class Kind:
    ONE = 41
def go(x):
    match 41:
        case Kind.ONE:
            return helper()
def helper():
    return 41
""",
    "the setter of a property of an unknown value": """
class Square:
    @property
    def area(self):
        return self.size
    @area.setter
    def area(self, size):
        self.size = size + 41
def go(x):
    x.area = 1
    return x.area
def given():
    return Square()
""",
    "getattr of an unknown value of another module": """
# file: flow.py
import lib
def go(x):
    return getattr(x, "ar" + "ea")()
# file: lib.py
class Square:
    def area(self):
        return 41
def given():
    return Square()
""",
    "match of a mapping's rest": """
def go(x):
    match {"a": helper()}:
        case {**helper_of}:
            return helper_of
def helper():
    return 41
""",
    "a class whose base is under a name": """
# file: flow.py
import lib
class Model(lib.Base):
    pass
def go(x):
    return Model().area()
# file: lib.py
class Base:
    def area(self):
        return 41
""",
    "from module import name": """
# file: flow.py
from lib import helper
def go(x):
    return helper(x)
# file: lib.py
def helper(x):
    return x + 41
""",
    "a renamed import": """
# file: flow.py
from lib import helper as other
import lib2 as l
def go(x):
    return other(x) + l.RATE
# file: lib.py
def helper(x):
    return x + 41
# file: lib2.py
RATE = 1
""",
    "a renamed module": """
# file: flow.py
import pkg.lib as l
def go(x):
    return l.helper(x)
# file: pkg/lib.py
def helper(x):
    return x + 41
""",
    "a dotted import": """
# file: flow.py
import pkg.lib
def go(x):
    return pkg.lib.helper(x)
# file: pkg/__init__.py
# file: pkg/lib.py
def helper(x):
    return x + 41
""",
    "from package import module": """
# file: flow.py
from pkg import lib
def go(x):
    return lib.helper(x)
# file: pkg/__init__.py

# file: pkg/lib.py
def helper(x):
    return x + 41
""",
    "a module of a namespace package": """
# file: flow.py
from pkg.sub import lib
def go(x):
    return lib.helper(x)
# file: pkg/sub/lib.py
def helper(x):
    return x + 41
""",
    "a name that a package's __init__ hands on": """
# file: flow.py
from pkg import helper
def go(x):
    return helper(x)
# file: pkg/__init__.py
from .lib import helper
# file: pkg/lib.py
def helper(x):
    return x + 41
""",
    "what a package's __init__ sets": """
# file: flow.py
import pkg.lib
def go(x):
    return pkg.lib.RATE
# file: pkg/__init__.py
from pkg import lib
lib.RATE = 41
# file: pkg/lib.py
RATE = 1
""",
    "a relative import": """
# file: flow.py
from pkg.one import helper
def go(x):
    return helper(x)
# file: pkg/one.py
from . import two
from .sub.three import RATE
def helper(x):
    return two.helper(x) + RATE
# file: pkg/two.py
def helper(x):
    return x
# file: pkg/sub/three.py
from ..four import RATE
# file: pkg/four.py
RATE = 41
""",
    "a star import": """
# file: flow.py
from lib import *
def go(x):
    return helper(x)
# file: lib.py
def helper(x):
    return x + 41
""",
    "a star import of a star import": """
# file: flow.py
from lib import *
def go(x):
    return helper(x)
# file: lib.py
from other import *
# file: other.py
def helper(x):
    return x + 41
""",
    "a star import over a builtin": """
# file: flow.py
from lib import *
def go(x):
    return sum([x])
# file: lib.py
def sum(x):
    return 41
""",
    "an import that may fail": """
# file: flow.py
try:
    from nothing_of_this_name import helper
except ImportError:
    from lib import helper
def go(x):
    return helper(x)
# file: lib.py
def helper(x):
    return x + 41
""",
    "an import under a condition": """
# file: flow.py
if 1 > 2:
    from one import helper
else:
    from two import helper
def go(x):
    return helper(x)
# file: one.py
def helper(x):
    return x
# file: two.py
def helper(x):
    return x + 41
""",
    "a function defined where an import fails": """
try:
    from nothing_of_this_name import helper
except ImportError:
    def helper(x):
        return x + 41
def go(x):
    return helper(x)
""",
    "an import in a function": """
# file: flow.py
def go(x):
    from lib import helper
    return helper(x)
# file: lib.py
def helper(x):
    return x + 41
""",
    "a dotted import in a function": """
# file: flow.py
def go(x):
    import pkg.lib
    return pkg.lib.helper(x)
# file: pkg/lib.py
def helper(x):
    return x + 41
""",
    "an import in a function, renamed": """
# file: flow.py
def go(x):
    import pkg.lib as l
    return l.helper(x)
# file: pkg/lib.py
def helper(x):
    return x + 41
""",
    "an import that a nested function uses": """
# file: flow.py
def go(x):
    from lib import helper
    def inner():
        return helper(x)
    return inner()
# file: lib.py
def helper(x):
    return x + 41
""",
    "an import in a function, made global": """
# file: flow.py
def go(x):
    load()
    return helper(x)
def load():
    global helper
    from lib import helper
# file: lib.py
def helper(x):
    return x + 41
""",
    "an import in a class": """
# file: flow.py
class Model:
    from lib import area
def go(x):
    return Model().area()
# file: lib.py
def area(self):
    return 41
""",
    "an import for its effect in a function": """
# file: flow.py
import registry
def go(x):
    import plugins
    return registry.TABLE["x"]
# file: plugins.py
import registry
registry.TABLE["x"] = 41
# file: registry.py
TABLE = {}
""",
    "a cycle of imports": """
# file: flow.py
import one
def go(x):
    return one.helper(x)
# file: one.py
import two
def helper(x):
    return two.helper(x)
def base():
    return 41
# file: two.py
import one
def helper(x):
    return one.base()
""",
    "a module that is handed on": """
# file: flow.py
import lib
def go(x):
    return use(lib)
def use(module):
    return module.helper()
# file: lib.py
def helper():
    return 41
""",
    "a function put into another module": """
# file: flow.py
import lib
def mine():
    return 41
lib.inner = mine
def go(x):
    return lib.helper()
# file: lib.py
def inner():
    return 1
def helper():
    return inner()
""",
    "a function put into another module by setattr": """
# file: flow.py
import lib
def mine():
    return 41
setattr(lib, "inner", mine)
def go(x):
    return lib.helper()
# file: lib.py
def inner():
    return 1
def helper():
    return inner()
""",
    "a new name put into another module": """
# file: flow.py
import lib
import patches
def go(x):
    return lib.helper()
# file: patches.py
import lib
def mine():
    return 41
lib.helper = mine
# file: lib.py
""",
    "a registration whose result is kept": """
TABLE = {"x": 1}
OLD = TABLE.setdefault("y", 41)
def go(x):
    return TABLE["y"]
""",
    "what an imported module sets in the library": """
# file: flow.py
import random
import seeds
def go(x):
    return random.random()
# file: seeds.py
import random
random.seed(41)
""",
    "a package that imports its own module": """
# file: flow.py
import pkg
def go(x):
    return pkg.lib.helper(x)
# file: pkg/__init__.py
from pkg import lib
# file: pkg/lib.py
def helper(x):
    return x + 41
""",
    "a package that imports its own module relatively": """
# file: flow.py
from pkg import lib
def go(x):
    return lib.helper(x)
# file: pkg/__init__.py
from . import lib
# file: pkg/lib.py
def helper(x):
    return x + 41
""",
    "modules that import everything of each other": """
# file: flow.py
from one import *
def go(x):
    return helper(x)
# file: one.py
from two import *
# file: two.py
def helper(x):
    return x + 41
from one import *
""",
    "a constant of what is not the start of a script": """
if __name__ != "__main__":
    RATE = 41
def go(x):
    return RATE
""",
    "a dynamic import by a name whose start is known": """
# file: flow.py
import importlib
def go(x):
    return importlib.import_module(f"models.{'l' + 'ib'}").helper(x)
# file: models/lib.py
def helper(x):
    return x + 41
""",
    "a module that patches another": """
# file: flow.py
import patches
from lib import helper
def go(x):
    return helper()
# file: patches.py
import lib
lib.inner = lambda: 41
# file: lib.py
def inner():
    return 1
def helper():
    return inner()
""",
    "a module's __getattr__": """
# file: flow.py
import lib
def go(x):
    return lib.anything
# file: lib.py
def __getattr__(name):
    if name == "anything":
        return 41
    raise AttributeError(name)
""",
    "getattr with a known name": """
# file: flow.py
import lib
def go(x):
    return getattr(lib, "helper")(x)
# file: lib.py
def helper(x):
    return x + 41
""",
    "getattr with a name that is computed": """
# file: flow.py
import lib
def go(x):
    return getattr(lib, "hel" + "per")(x)
# file: lib.py
def helper(x):
    return x + 41
""",
    "getattr of an unknown value": """
class Model:
    def area(self):
        return 41
def make():
    return Model()
model = make()
def go(x):
    return getattr(model, "ar" + "ea")()
""",
    "globals()": """
def go(x):
    return globals()["hel" + "per"](x)
def helper(x):
    return x + 41
""",
    "vars()": """
def go(x):
    return vars()
def helper(x):
    return x + 41
""",
    "vars(module)": """
# file: flow.py
import lib
def go(x):
    return vars(lib)["hel" + "per"](x)
# file: lib.py
def helper(x):
    return x + 41
""",
    "a module's __dict__": """
# file: flow.py
import lib
def go(x):
    return lib.__dict__["hel" + "per"](x)
# file: lib.py
def helper(x):
    return x + 41
""",
    "eval": """
def go(x):
    return eval("hel" + "per(x)")
def helper(x):
    return x + 41
""",
    "eval in a method": """
class Model:
    def area(self):
        return eval("hel" + "per()")
def go(x):
    return Model().area()
def helper():
    return 41
""",
    "operator.attrgetter": """
from operator import attrgetter
class Model:
    @property
    def area(self):
        return 41
def go(x):
    return attrgetter("area")(x)
def given():
    return Model()
""",
    "operator.methodcaller": """
from operator import methodcaller
class Model:
    def area(self):
        return 41
def go(x):
    return methodcaller("area")(x)
def given():
    return Model()
""",
    "a dynamic import by a known name": """
# file: flow.py
import importlib
def go(x):
    return importlib.import_module("lib").helper(x)
# file: lib.py
def helper(x):
    return x + 41
""",
    "a dynamic import by a computed name": """
# file: flow.py
import pkg.start
def go(x):
    return pkg.start.helper(x)
# file: pkg/start.py
from importlib import import_module
def helper(x):
    return import_module("pkg." + "lib").helper(x)
# file: pkg/lib.py
def helper(x):
    return x + 41
""",
    "a dynamic import under another name": """
# file: flow.py
import pkg.start
def go(x):
    return pkg.start.helper(x)
# file: pkg/start.py
from importlib import import_module as load
def helper(x):
    return load("pkg." + "lib").helper(x)
# file: pkg/lib.py
def helper(x):
    return x + 41
""",
    "__import__": """
# file: flow.py
def go(x):
    return __import__("lib").helper(x)
# file: lib.py
def helper(x):
    return x + 41
""",
    "a statement that changes what is read elsewhere": """
import random
random.seed(41)
def go(x):
    return random.random()
""",
    "a set-up function that changes what is read elsewhere": """
import os
def set_up():
    os.environ["MINE"] = "41"
set_up()
def go(x):
    return os.environ["MINE"]
""",
    "an assertion of the module": """
RATE = 42
assert RATE == 41
def go(x):
    return RATE
""",
    "the value of an import's name where a function has the same": """
from os import path
path = 41
def go(x):
    return path
""",
    "a with statement at module level": """
from contextlib import suppress
with suppress(ValueError):
    RATE = 41
def go(x):
    return RATE
""",
    "a deleted name": """
RATE = 41
def go(x):
    return RATE
helper = 1
del helper
""",
    "an async function": """
import asyncio
async def helper():
    return 41
def go(x):
    return asyncio.run(helper())
""",
    "a format string": """
RATE = 41
def go(x):
    return f"{RATE:{x}}"
""",
    "a text that is not a docstring": """
def go(x):
    "one"
    return "41"
""",
    "the type of a constant": """
def go(x):
    return 41
""",
}

COUNTS_NOT = {
    "a comment": """
def go(x):
    return x  # 41
""",
    "a docstring": """
def go(x):
    "41"
    return x
""",
    "a docstring of a module, a class, a method": """
"41"
class Model:
    "41"
    def area(self):
        "41"
        return 1
def go(x):
    return Model().area()
""",
    "a text under a constant": """
RATE = 1
"41"
def go(x):
    return RATE
""",
    "the annotation of a local variable": """
def go(x):
    y: "int | 41" = x
    z: "int | 41"
    return y
""",
    "another function": """
def go(x):
    return x
def other(x):
    return 41
""",
    "another constant": """
RATE = 1
OTHER = 41
def go(x):
    return RATE
""",
    "a step that is downstream": """
from raypipe import step, pipeline
@step
def go(x: int) -> int:
    return x
@step
def other(x: int) -> int:
    return 41
@pipeline
def flow(x: int = 1):
    return other(go(x))
""",
    "what a step needs of the machine": """
from raypipe import step
@step(num_cpus=41)
def go(x: int) -> int:
    return x
""",
    "another module": """
# file: flow.py
import lib
def go(x):
    return lib.helper(x)
# file: lib.py
def helper(x):
    return x
# file: other.py
import flow
def helper(x):
    return 41
""",
    "another function of an imported module": """
# file: flow.py
import lib
from lib import helper
def go(x):
    return lib.helper(x) + helper(x)
# file: lib.py
def helper(x):
    return x
def other(x):
    return 41
""",
    "another function of a star-imported module": """
# file: flow.py
from lib import *
def go(x):
    return helper(x)
# file: lib.py
def helper(x):
    return x
def other(x):
    return 41
""",
    "a method of another name": """
class Model:
    def area(self):
        return 41
def go(x):
    return x.side()
""",
    "a function that a local name hides": """
def helper():
    return 41
def go(x):
    helper = x
    return helper
""",
    "a function that a parameter hides": """
def helper():
    return 41
def go(helper):
    return [x for x in [helper]]
""",
    "a property with a setter": """
class Model:
    @property
    def area(self):
        return 1
    @area.setter
    def area(self, size):
        pass
def go(x):
    return Model().area
def other():
    return 41
""",
    "a class attribute of a class attribute": """
class Model:
    low = 1
    high = low + 1
def go(x):
    return Model.high
def other():
    return 41
""",
    "a decorated function that is not called": """
from functools import wraps
def loud(function):
    @wraps(function)
    def inner(*args):
        return function(*args)
    return inner
@loud
def go(x):
    return x
@loud
def other(x):
    return 41
""",
    "a start as a script": """
def go(x):
    return x
if __name__ == "__main__":
    go(41)
""",
    "an import for types": """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from lib import helper
def go(x):
    return x
# file: lib.py
def helper():
    return 41
""",
}

SAME_RESULT = {
    "a type that a parameter's annotation names",
    "a type that a text in an annotation names",
    "vars()",
}


def project_of(text: str) -> dict[str, str]:
    """Files of a text in which `# file: PATH` starts each; `flow.py` where none does."""
    files: dict[str, list[str]] = {}
    path = "flow.py"
    for line in text.strip().splitlines():
        if line.startswith("# file: "):
            path = line.removeprefix("# file: ")
            files[path] = []
        else:
            files.setdefault(path, []).append(line)
    return {path: "\n".join(lines) + "\n" for path, lines in files.items()}


def fingerprint_of(text: str, **versions: str) -> str:
    return fingerprint("flow:go", Texts(project_of(text), versions)).digest


def edited(text: str) -> str:
    """Return a row after its edits: `# edit: OLD => NEW`, or 42 for each 41."""
    edits = [line for line in text.splitlines() if line.startswith("# edit: ")]
    if not edits:
        assert "41" in text
        return text.replace("41", "42")
    after = text.partition("# edit: ")[0]
    for edit in edits:
        old, _, new = edit.removeprefix("# edit: ").replace("\\n", "\n").partition(" => ")
        assert old in after
        after = after.replace(old, new)
    return after


def check_counts(text: str) -> None:
    """Hold that an edit changes the result of a row, and with it the fingerprint."""
    before, after = text, edited(text)
    assert result_of(Texts(project_of(before))) != result_of(Texts(project_of(after)))
    assert fingerprint_of(before) != fingerprint_of(after)


@pytest.mark.parametrize("row", COUNTS)
def test_an_edit_that_can_change_the_result_changes_the_fingerprint(row: str) -> None:
    assert fingerprint_of(COUNTS[row]) != fingerprint_of(edited(COUNTS[row]))


@pytest.mark.parametrize("row", COUNTS_NOT)
def test_an_edit_of_something_else_leaves_the_fingerprint(row: str) -> None:
    assert fingerprint_of(COUNTS_NOT[row]) == fingerprint_of(edited(COUNTS_NOT[row]))


@pytest.mark.parametrize("row", [*COUNTS, *COUNTS_NOT])
def test_the_table_says_what_python_does(row: str) -> None:
    text = {**COUNTS, **COUNTS_NOT}[row]
    before, after = (result_of(Texts(project_of(t))) for t in (text, edited(text)))
    assert (before != after) == (row in COUNTS and row not in SAME_RESULT)


def test_another_version_of_a_package_that_is_used_changes_the_fingerprint() -> None:
    text = "import numpy\nimport torch\ndef go(x):\n    return numpy.sum(x)\n"

    assert fingerprint_of(text, numpy="1") != fingerprint_of(text, numpy="2")
    assert fingerprint_of(text, torch="1") == fingerprint_of(text, torch="2")


def test_a_package_counts_where_a_method_of_an_unknown_value_uses_it() -> None:
    text = (
        "import numpy\nclass Square:\n    def area(self):\n        return numpy.sum(1)\n"
        "def go(x):\n    return x.area()\n"
    )

    assert fingerprint_of(text, numpy="1") != fingerprint_of(text, numpy="2")


def test_pythons_own_modules_are_no_packages() -> None:
    text = "import math, os.path\ndef go(x):\n    return math.sqrt(x), os.path.join('a', 'b')\n"

    assert fingerprint("flow:go", Texts(project_of(text))).packages == {}


def test_it_names_each_symbol_with_its_source() -> None:
    text = "RATE = 1\ndef go(x):\n    return helper(x)\n@print\ndef helper(x):\n    return RATE\n"

    found = fingerprint("flow:go", Texts(project_of(text)))

    assert sorted(found.symbols) == ["flow:RATE", "flow:go", "flow:helper"]
    assert found.sources[found.symbols["flow:helper"]] == (
        "@print\ndef helper(x):\n    return RATE"
    )
    assert found.widened == ()


def test_it_says_what_it_could_not_resolve() -> None:
    found = fingerprint("flow:go", Texts({"flow.py": "def go(x):\n    return nowhere\n"}))

    assert found.widened == ("flow: nowhere is not found",)


def test_code_that_a_setting_names_counts_too() -> None:
    project = Texts(project_of("def go(x):\n    return x\ndef build():\n    return 1\n"))
    edited = Texts(project_of("def go(x):\n    return x\ndef build():\n    return 2\n"))

    assert fingerprint("flow:go", project) == fingerprint("flow:go", edited)
    assert fingerprint("flow:go", project, also=["flow:build"]) != fingerprint(
        "flow:go", edited, also=["flow:build"]
    )


@pytest.mark.parametrize(
    "text",
    [
        "def go(x):\n    return x == 0 or og(x - 1)\ndef og(x):\n    return x != 0 and go(x - 1)\n",
        "def go(x):\n    return globals()['go']\ndef og(x):\n    return globals()['og']\n",
    ],
    ids=["mutual recursion", "the same whole module"],
)
def test_functions_that_reach_the_same_code_are_told_apart(text: str) -> None:
    project = Texts({"flow.py": text})
    go, og = (fingerprint(f"flow:{name}", project) for name in ("go", "og"))
    assert go.symbols == og.symbols
    assert go.digest != og.digest


def test_what_else_is_reached_counts_by_name_too() -> None:
    text = "class A:\n    b: 'B'\nclass B:\n    a: A\ndef go(x):\n    return x, A, B\n"
    project = Texts({"flow.py": text})
    one = fingerprint("flow:go", project, also=["flow:A"])
    assert one.digest != fingerprint("flow:go", project, also=["flow:B"]).digest
    both = ["flow:A", "flow:B"]
    assert fingerprint("flow:go", project, also=both) == fingerprint(
        "flow:go", project, also=both[::-1]
    )


def test_what_the_pipelines_module_changes_of_a_step_counts() -> None:
    def of(script: str) -> str:
        files = {
            "steps.py": "import helpers\ndef go(x):\n    return x * helpers.SCALE\n",
            "helpers.py": "SCALE = 1\n",
            "script.py": f"import helpers\nfrom steps import go\n{script}\n",
        }
        return fingerprint("steps:go", Texts(files), imported=["script"]).digest

    assert of("") == of("other = 3") == of("def flow():\n    return go(1)")
    assert len({of(""), of("helpers.SCALE = 2"), of("helpers.SCALE = 3")}) == 3


LOADERS = {
    "run_path": "import runpy\ndef go(x):\n    return runpy.run_path(x + '.py')",
    "spec": "from importlib.util import spec_from_file_location as by\n"
    "def go(x):\n    return by('m', x + '.py')",
    "exec": "def go(x):\n    exec(open(x + '.py').read())",
}


@pytest.mark.parametrize("text", LOADERS.values(), ids=LOADERS)
def test_code_that_is_loaded_from_a_file_may_be_any_of_the_projects(text: str) -> None:
    def of(other: str) -> Fingerprint:
        return fingerprint("flow:go", Texts({"flow.py": text, "scripts/other.py": other}))

    assert of("A = 1").digest != of("A = 2").digest
    assert "flow: a file of code is computed at run time" in of("A = 1").widened


LOADS = [
    "compile(text_of(p), p, 'exec')",
    "eval(open(p).read())",
    "eval(p.read_text())",
    "builtins.exec(p)",
    "builtins.compile(p, p, 'exec')",
]


def loading(call: str, plugin: str) -> Texts:
    flow = f"import builtins, re\ndef go(p):\n    return {call}\ndef text_of(p):\n    return p\n"
    return Texts({"flow.py": flow, "plugin.py": plugin, "old.py": "print 1\n"})


@pytest.mark.parametrize("call", LOADS)
def test_code_that_is_loaded_from_a_file_may_be_any_of_the_project_that_is_python(
    call: str,
) -> None:
    before, after = (fingerprint("flow:go", loading(call, f"X = {n}\n")) for n in (1, 2))

    assert before.digest != after.digest
    assert "flow: a file of code is computed at run time" in before.widened


@pytest.mark.parametrize("call", ["open(p).read()", "re.compile(p)", "re.compile(p).sub('', p)"])
def test_a_file_that_is_only_read_is_no_code(call: str) -> None:
    before, after = (fingerprint("flow:go", loading(call, f"X = {n}\n")) for n in (1, 2))

    assert before == after
    assert before.widened == ()


@pytest.mark.parametrize("target", ["flow:og", "flows:go"])
def test_a_name_that_is_not_there_is_refused(target: str) -> None:
    with pytest.raises(CodeReferenceError, match=r"og|flows"):
        fingerprint(target, Texts({"flow.py": "def go(x):\n    return x\n"}, {}))


@pytest.mark.parametrize(
    ("module", "packaged", "target", "level", "expected"),
    [
        ("a.b", False, "c", 0, "c"),
        ("a.b", False, "c", 1, "a.c"),
        ("a.b", False, "", 1, "a"),
        ("a.b", True, "c", 1, "a.b.c"),
        ("a.b", True, "c", 2, "a.c"),
    ],
)
def test_a_relative_import_is_made_absolute(
    module: str, packaged: bool, target: str, level: int, expected: str
) -> None:
    assert absolute(module, packaged, target, level) == expected


@pytest.mark.parametrize(
    ("module", "neutral"),
    [("raypipe", True), ("raypipe.engine.plan", True), ("raypipe.stages.data", False),
     ("raypipe.values", False), ("raypipe.pages", False), ("raypiper", False), ("flow", False)],
)  # fmt: skip
def test_the_parts_of_raypipe_that_change_no_result_count_nothing(
    module: str, neutral: bool
) -> None:
    assert is_neutral(module) == neutral


MODULES = ("flow", "lib", "pkg.deep")
REGISTRY = (
    "TABLE = {}\ndef register(function):\n"
    "    TABLE[function.__name__] = function\n    return function\n"
)
Use = tuple[str, int]


@dataclass(frozen=True)
class Drawn:
    """A project at random: where each constant and function lives, and what each one uses."""

    constants: tuple[int, ...]
    functions: tuple[tuple[int, tuple[Use, ...]], ...]

    def text(self, edited: int | None) -> Texts:
        files = {"registry.py": REGISTRY}
        for number, module in enumerate(MODULES):
            path = module.replace(".", "/") + ".py"
            files[path] = "".join(f"import {m}\n" for m in (*MODULES, "registry"))
            for constant, home in enumerate(self.constants):
                if home == number:
                    files[path] += f"C{constant} = {100 + (constant == edited)}\n"
            for function, (home, uses) in enumerate(self.functions):
                if home == number:
                    files[path] += self._function(function, uses)
        files["flow.py"] += "def go(x):\n    return f0()\n"
        return Texts(files)

    def _function(self, number: int, uses: tuple[Use, ...]) -> str:
        home, _ = self.functions[number]
        default, terms = "", ["1"]
        for way, seed in uses:
            constant = seed % len(self.constants)
            later = range(number + 1, len(self.functions))
            if way == "default" and self.constants[constant] == home:
                default = f"d=C{constant}"
                terms.append("d")
            elif way == "constant":
                terms.append(self._name(f"C{constant}", self.constants[constant], home))
            elif later:
                other = later[seed % len(later)]
                name = self._name(f"f{other}", self.functions[other][0], home)
                terms.append(
                    {
                        "call": f"{name}()",
                        "table": f"registry.TABLE['f{other}']()",
                        "map": f"sum(map(lambda f: f(), [{name}]))",
                        "method": f"K{other}().run()" if self.functions[other][0] == home else "2",
                        "getattr": f"getattr({MODULES[self.functions[other][0]]}, 'f{other}')()",
                    }.get(way, "3")
                )
        return (
            f"@registry.register\ndef f{number}({default}):\n    return {' * 3 + '.join(terms)}\n"
            f"class K{number}:\n    def run(self):\n        return f{number}()\n"
        )

    def _name(self, name: str, home: int, here: int) -> str:
        return name if home == here else f"{MODULES[home]}.{name}"


homes = st.integers(0, len(MODULES) - 1)
ways = st.sampled_from(["constant", "default", "call", "table", "map", "method", "getattr"])
uses = st.lists(st.tuples(ways, st.integers(0, 9)), max_size=3).map(tuple)
projects = st.builds(
    Drawn,
    constants=st.lists(homes, min_size=1, max_size=4).map(tuple),
    functions=st.tuples(
        st.tuples(st.just(0), uses), st.lists(st.tuples(homes, uses), max_size=5).map(tuple)
    ).map(lambda drawn: (drawn[0], *drawn[1])),
)


@given(projects, st.integers(0, 3))
def test_whenever_the_result_changes_so_does_the_fingerprint(drawn: Drawn, constant: int) -> None:
    before, after = drawn.text(None), drawn.text(constant % len(drawn.constants))
    results = [result_of(project) for project in (before, after)]

    assert all(isinstance(result, int) for result in results), results
    if results[0] != results[1]:
        assert fingerprint("flow:go", before).digest != fingerprint("flow:go", after).digest
