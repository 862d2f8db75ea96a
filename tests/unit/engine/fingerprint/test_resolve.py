"""Each way in which Python finds a name is followed."""

import pytest

from tests.unit.engine.fingerprint.test_reach import check_counts

# An edit writes 42 for every 41, or what `# edit: OLD => NEW` says.
WAYS = {
    "metaclass __call__": r"""
class Meta(type):
    def __call__(cls, *a):
        return 41
class Model(metaclass=Meta):
    pass
def go(x):
    return Model()
""",
    "metaclass __prepare__ from other module": r"""
# file: flow.py
from lib import Model
def go(x):
    return Model.extra
# file: meta.py
class Meta(type):
    def __new__(mcs, name, bases, ns):
        ns = dict(ns); ns['extra'] = 41
        return super().__new__(mcs, name, bases, ns)
# file: lib.py
from meta import Meta
class Base(metaclass=Meta):
    pass
class Model(Base):
    pass
""",
    "__init_subclass__ of base in other module": r"""
# file: flow.py
from lib import Model
def go(x):
    return Model.extra
# file: base.py
class Base:
    def __init_subclass__(cls, **kw):
        cls.extra = 41
# file: lib.py
from base import Base
class Model(Base):
    pass
""",
    "class keyword arg": r"""
# file: flow.py
class Base:
    def __init_subclass__(cls, rate=0, **kw):
        cls.rate = rate
class Model(Base, rate=41):
    pass
def go(x):
    return Model.rate
""",
    "class decorator": r"""
def deco(cls):
    cls.rate = 41
    return cls
@deco
class Model:
    pass
def go(x):
    return Model.rate
""",
    "class decorator with args from another module": r"""
# file: flow.py
from deco import with_rate
import consts
@with_rate(consts.R)
class Model:
    pass
def go(x):
    return Model.rate
# file: consts.py
R = 41
# file: deco.py
def with_rate(r):
    def inner(cls):
        cls.rate = r
        return cls
    return inner
""",
    "global statement in a nested function": r"""
RATE = 1
def go(x):
    def inner():
        global RATE
        RATE = set_it()
    inner()
    return RATE
def set_it():
    return 41
""",
    "global set by called module function": r"""
# file: flow.py
import lib
def go(x):
    lib.setup()
    return lib.RATE
# file: lib.py
RATE = 0
def setup():
    global RATE
    RATE = 41
""",
    "module __getattr__ lazy submodules": r"""
# file: flow.py
import pkg
def go(x):
    return pkg.thing(x)
# file: pkg/__init__.py
import importlib
_LAZY = {"thing": "pkg.impl"}
def __getattr__(name):
    return getattr(importlib.import_module(_LAZY[name]), name)
# file: pkg/impl.py
def thing(x):
    return x + 41
""",
    "star re-export through packages": r"""
# file: flow.py
from pkg import *
def go(x):
    return helper(x)
# file: pkg/__init__.py
from .sub import *
# file: pkg/sub/__init__.py
from .deep import *
# file: pkg/sub/deep.py
def helper(x):
    return x + 41
""",
    "import a.b.c as d": r"""
# file: flow.py
import a.b.c as d
def go(x):
    return d.helper(x)
# file: a/__init__.py
# file: a/b/__init__.py
# file: a/b/c.py
def helper(x):
    return x + 41
""",
    "package attr shadows submodule": r"""
# file: flow.py
from a import b
def go(x):
    return b
# file: a/__init__.py
import a.b
b = 41
# file: a/b.py
""",
    "TYPE_CHECKING else": r"""
# file: flow.py
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from lib import helper
else:
    from other import helper
def go(x):
    return helper(x)
# file: lib.py
def helper(x):
    return x
# file: other.py
def helper(x):
    return 41
""",
    "conditional function definitions": r"""
import sys
if sys.maxsize > 41:
    def helper(x):
        return x
else:
    def helper(x):
        return x + 1
def go(x):
    return helper(41)
""",
    "lambda default": r"""
def go(x, f=lambda: 41):
    return f()
""",
    "lambda default of a helper constant": r"""
K = 41
def go(x, f=lambda y=K: y):
    return f()
""",
    "dataclass default_factory": r"""
from dataclasses import dataclass, field
def make():
    return [41]
@dataclass
class C:
    items: list = field(default_factory=make)
def go(x):
    return C().items
""",
    "dataclass field lambda": r"""
from dataclasses import dataclass, field
K = 41
@dataclass
class C:
    items: list = field(default_factory=lambda: [K])
def go(x):
    return C().items
""",
    "enum auto with _generate_next_value_": r"""
from enum import Enum, auto
class Base(Enum):
    @staticmethod
    def _generate_next_value_(name, start, count, last):
        return 41
class E(Base):
    A = auto()
def go(x):
    return E.A.value
""",
    "operator dunder reached through unknown value": r"""
# file: flow.py
from lib import make
def go(x):
    return make() + make()
# file: lib.py
class V:
    def __add__(self, o):
        return 41
def make():
    return V()
""",
    "context manager": r"""
from contextlib import contextmanager
@contextmanager
def ctx():
    yield 41
def go(x):
    with ctx() as v:
        return v
""",
    "context manager class": r"""
class Ctx:
    def __enter__(self):
        return 41
    def __exit__(self, *a):
        pass
def go(x):
    with Ctx() as v:
        return v
""",
    "descriptor": r"""
class D:
    def __get__(self, o, t):
        return 41
class M:
    d = D()
def go(x):
    return M().d
""",
    "descriptor __set_name__": r"""
class D:
    def __set_name__(self, owner, name):
        owner.extra = 41
class M:
    d = D()
def go(x):
    return M.extra
""",
    "descriptor __set_name__ from another module for reached class by value": r"""
# file: flow.py
from lib import make
def go(x):
    return make().extra
# file: desc.py
class D:
    def __set_name__(self, owner, name):
        owner.extra = 41
# file: lib.py
from desc import D
class M:
    d = D()
def make():
    return M()
""",
    "string format of globals": r"""
RATE = 41
def go(x):
    return "{RATE}".format(**globals())
""",
    "format_map of globals via module dict": r"""
import sys
RATE = 41
def go(x):
    return "{RATE}".format_map(sys.modules[__name__].__dict__)
""",
    "pydantic validator": r"""
from pydantic import BaseModel, field_validator
class M(BaseModel):
    a: int
    @field_validator("a")
    @classmethod
    def check(cls, v):
        return v + 41
def go(x):
    return M(a=1).a
""",
    "pydantic annotated validator function": r"""
from typing import Annotated
from pydantic import BaseModel, AfterValidator
def plus(v):
    return v + 41
class M(BaseModel):
    a: Annotated[int, AfterValidator(plus)]
def go(x):
    return M(a=1).a
""",
    "async helper": r"""
import asyncio
async def helper():
    return 41
def go(x):
    return asyncio.run(helper())
""",
    "async for, aiter": r"""
import asyncio
class A:
    def __aiter__(self):
        return self
    async def __anext__(self):
        if getattr(self, "done", 0):
            raise StopAsyncIteration
        self.done = 1
        return 41
async def main():
    return [i async for i in A()]
def go(x):
    return asyncio.run(main())
""",
    "swapped renamed imports": r"""
# file: flow.py
from lib import one as first, two as second
def go(x):
    return first(x) - second(x)
# file: lib.py
def one(x):
    return 1
def two(x):
    return 2
# edit: one as first, two as second => two as first, one as second
""",
    "swapped modules": r"""
# file: flow.py
import a as m, b as n
def go(x):
    return m.f(x) - n.f(x)
# file: a.py
def f(x):
    return 1
# file: b.py
def f(x):
    return 2
# edit: a as m, b as n => b as m, a as n
""",
    "sys.modules": r"""
# file: flow.py
import lib, sys
def go(x):
    return sys.modules["lib"].helper(x)
# file: lib.py
def helper(x):
    return 41
""",
    "computed import from single-file flow": r"""
# file: flow.py
import importlib
NAME = "li" + "b"
def go(x):
    return importlib.import_module(NAME).helper(x)
# file: lib.py
def helper(x):
    return 41
""",
    "computed import other package": r"""
# file: flow.py
from pkg import m
def go(x):
    return m.load("other.deep").helper(x)
# file: pkg/__init__.py
# file: pkg/m.py
import importlib
def load(name):
    return importlib.import_module(name)
# file: other/__init__.py
# file: other/deep.py
def helper(x):
    return 41
""",
    "relative dynamic import": r"""
# file: flow.py
from pkg import m
def go(x):
    return m.load(".deep").helper(x)
# file: pkg/__init__.py
# file: pkg/m.py
import importlib
def load(name):
    return importlib.import_module(name, __package__)
# file: pkg/deep.py
def helper(x):
    return 41
""",
    "relative dynamic import literal": r"""
# file: flow.py
from pkg import m
def go(x):
    return m.load().helper(x)
# file: pkg/__init__.py
# file: pkg/m.py
import importlib
def load():
    return importlib.import_module(".deep", __package__)
# file: pkg/deep.py
def helper(x):
    return 41
""",
    "__all__ hides a name": r"""
# file: flow.py
from lib import *
def go(x):
    return abs(-2)
# file: lib.py
__all__ = ["abs"]
def abs(x):
    return "mine"
# edit: ["abs"] => []
""",
    "method added to subclass": r"""
class Base:
    def area(self):
        return 1
class Sub(Base):
    pass
def go(x):
    return Sub().area()
# edit: class Sub(Base):\n    pass => class Sub(Base):\n    def area(self):\n        return 2
""",
    "base changed of an imported class": r"""
# file: flow.py
from lib import Sub
def go(x):
    return Sub().area()
# file: lib.py
from bases import A, B
class Sub(A):
    pass
# file: bases.py
class A:
    def area(self):
        return 1
class B:
    def area(self):
        return 2
# edit: class Sub(A): => class Sub(B):
""",
    "a builtin is shadowed by a new definition": r"""
def go(x):
    return sum([1, 2])
# here
# edit: # here => def sum(x):\n    return 41
""",
    "a star module gets a name that shadows a builtin": r"""
# file: flow.py
from lib import *
def go(x):
    return sum([1, 2])
# file: lib.py
RATE = 1
# edit: RATE = 1 => RATE = 1\ndef sum(x):\n    return 41
""",
    "__dict__ of an object": r"""
class M:
    rate = 41
def go(x):
    return M.__dict__["rate"]
""",
    "inspect.getmembers": r"""
# file: flow.py
import inspect, lib
def go(x):
    return sorted(f(x) for n, f in inspect.getmembers(lib, inspect.isfunction))
# file: lib.py
def a(x):
    return 41
""",
    "dir and getattr of module": r"""
# file: flow.py
import lib
def go(x):
    return [getattr(lib, n) for n in dir(lib) if n.isupper()]
# file: lib.py
RATE = 41
""",
    "subclasses lookup in other modules only imported": r"""
# file: flow.py
from base import Base
import subs
def go(x):
    return [c().v() for c in Base.__subclasses__()]
# file: base.py
class Base:
    pass
# file: subs.py
from base import Base
class S(Base):
    def v(self):
        return 41
""",
    "subclass constructor lookup by recursion": r"""
# file: flow.py
from base import Base
import subs
def go(x):
    return Base.create("S")
# file: base.py
class Base:
    @classmethod
    def create(cls, name):
        return {c.__name__: c for c in cls.__subclasses__()}[name].rate
# file: subs.py
from base import Base
class S(Base):
    rate = 41
""",
    "pickle by name": r"""
# file: flow.py
import pickle, lib
def go(x):
    return pickle.loads(b"clib\nhelper\n.")(x)
# file: lib.py
def helper(x):
    return 41
""",
    "typing.get_type_hints": r"""
from __future__ import annotations
import typing
class A:
    rate = 41
def helper(a: A):
    pass
def go(x):
    return typing.get_type_hints(helper)["a"].rate
""",
    "class-level name error fallback": r"""
try:
    RATE = undefined_name
except NameError:
    RATE = 41
def go(x):
    return RATE
""",
    "a loop variable at module level": r"""
for RATE in (1, 41):
    pass
def go(x):
    return RATE
""",
    "except handler at module level": r"""
try:
    raise ValueError(41)
except ValueError as error:
    RATE = error.args[0]
def go(x):
    return RATE
""",
    "match at module level": r"""
match 41:
    case RATE:
        pass
def go(x):
    return RATE
""",
    "nonlocal": r"""
def go(x):
    n = 0
    def inc():
        nonlocal n
        n = value()
    inc()
    return n
def value():
    return 41
""",
    "wrapped default mutable": r"""
def helper(x, acc=[41]):
    return acc
def go(x):
    return helper(x)
""",
    "class with __class_getitem__": r"""
class C:
    def __class_getitem__(cls, i):
        return 41
def go(x):
    return C[0]
""",
    "__getattr__ on class": r"""
class C:
    def __getattr__(self, n):
        return 41
def go(x):
    return C().anything
""",
    "__getattribute__ unknown value": r"""
# file: flow.py
from lib import make
def go(x):
    return make().anything
# file: lib.py
class C:
    def __getattr__(self, n):
        return self.value()
    def value(self):
        return 41
def make():
    return C()
""",
    "__init_subclass__ unknown via class made in function": r"""
# file: flow.py
from lib import Base
def go(x):
    class S(Base):
        pass
    return S.rate
# file: lib.py
class Base:
    def __init_subclass__(cls):
        cls.rate = 41
""",
    "namespace package deep": r"""
# file: flow.py
import ns.sub.mod
def go(x):
    return ns.sub.mod.f(x)
# file: ns/sub/mod.py
def f(x):
    return 41
""",
    "relative import two dots": r"""
# file: flow.py
from pkg.sub.mod import f
def go(x):
    return f(x)
# file: pkg/__init__.py
# file: pkg/util.py
RATE = 41
# file: pkg/sub/__init__.py
# file: pkg/sub/mod.py
from ..util import RATE
def f(x):
    return RATE
""",
    "relative import of package itself": r"""
# file: flow.py
from pkg.mod import f
def go(x):
    return f(x)
# file: pkg/__init__.py
RATE = 41
# file: pkg/mod.py
from . import RATE
def f(x):
    return RATE
""",
    "name clash with submodule and attribute through import as": r"""
# file: flow.py
from pkg import tool as t
def go(x):
    return t.run(x)
# file: pkg/__init__.py
from pkg.impl import Tool
tool = Tool()
# file: pkg/impl.py
class Tool:
    def run(self, x):
        return 41
# file: pkg/tool.py
def run(x):
    return 1
""",
    "functools.wraps lib decorator with state": r"""
# file: flow.py
from deco import memo
@memo
def helper(x):
    return x
def go(x):
    return helper(x)
# file: deco.py
def memo(f):
    cache = {2: 41}
    def inner(x):
        return cache.get(x) or f(x)
    return inner
""",
    "loop else & while at module level": r"""
N = 0
while N < 41:
    N += 1
def go(x):
    return N
""",
    "del and redefine": r"""
def helper():
    return 1
del helper
def helper():
    return 41
def go(x):
    return helper()
""",
    "f-string format spec global": r"""
WIDTH = 41
def go(x):
    return f"{x:{WIDTH}}"
""",
    "contextvar default": r"""
import contextvars
V = contextvars.ContextVar("v", default=41)
def go(x):
    return V.get()
""",
    "lru_cache wrapped method": r"""
import functools
class A:
    @functools.lru_cache
    def v(self):
        return 41
def go(x):
    return A().v()
""",
    "protocol default": r"""
from typing import Protocol
class P(Protocol):
    def v(self):
        return 41
class S(P):
    pass
def go(x):
    return S().v()
""",
    "ExitStack callback": r"""
from contextlib import ExitStack
out = []
def note():
    out.append(41)
def go(x):
    with ExitStack() as s:
        s.callback(note)
    return out
""",
    "thread target": r"""
import threading
out = []
def note():
    out.append(41)
def go(x):
    t = threading.Thread(target=note); t.start(); t.join()
    return out[-1]
""",
    "sorted key": r"""
def key(n):
    return -n if 41 == 42 else n
def go(x):
    return sorted([2, 1], key=key)
# edit: 41 == 42 => 42 == 42
""",
    "slots / class var annotation only": r"""
from typing import NamedTuple
class N(NamedTuple):
    a: int = 41
def go(x):
    return N().a
""",
    "TypedDict total": r"""
from typing import TypedDict
class T(TypedDict, total=True):
    a: int
def go(x):
    return T.__total__
# edit: total=True => total=False
""",
    "abstract property via __init__ kwargs": r"""
class A:
    def __init__(self, **kw):
        self.__dict__.update(kw)
def go(x):
    return A(rate=41).rate
""",
    "stdlib import swapped": r"""
from math import sin as f
def go(x):
    return f(x)
# edit: import sin => import cos
""",
    "stdlib modules swapped in a default": r"""
import math as m, cmath as c
def go(x, a=m.sqrt, b=c.sqrt):
    return str(a(x)) + str(b(x))
# edit: a=m.sqrt, b=c.sqrt => a=c.sqrt, b=m.sqrt
""",
    "relative import target swapped": r"""
# file: flow.py
from pkg.m import go
# file: pkg/__init__.py
# file: pkg/m.py
from .a import f
from .b import f as g
def go(x):
    return f(x) - g(x)
# file: pkg/a.py
def f(x):
    return 1
# file: pkg/b.py
def f(x):
    return 2
# edit: from .a import f\nfrom .b import f as g => from .b import f\nfrom .a import f as g
""",
    "module-level if around def changed": r"""
FLAG = True
if FLAG:
    def helper(x):
        return 1
else:
    def helper(x):
        return 2
def go(x):
    return helper(x)
# edit: FLAG = True => FLAG = False
""",
    "class attr through instance via getattr default": r"""
class A:
    rate = 41
def go(x):
    return getattr(A(), "rate", 0)
""",
    "hasattr": r"""
class A:
    rate = 1
def go(x):
    return hasattr(A(), "rate")
# edit: rate = 1 => other = 1
""",
    "hasattr of unknown value": r"""
# file: flow.py
from lib import make
def go(x):
    return hasattr(make(), "rate")
# file: lib.py
class A:
    rate = 1
def make():
    return A()
# edit: rate = 1 => other = 1
""",
    "isinstance with a changed base": r"""
# file: flow.py
from lib import A, B
def go(x):
    return isinstance(B(), A)
# file: lib.py
class A:
    pass
class B(A):
    pass
# edit: class B(A) => class B
""",
    "isinstance of unknown value with changed base": r"""
# file: flow.py
from lib import A, make
def go(x):
    return isinstance(make(), A)
# file: lib.py
class A:
    pass
class B(A):
    pass
def make():
    return B()
# edit: class B(A) => class B
""",
    "exception hierarchy": r"""
# file: flow.py
from lib import A, fail
def go(x):
    try:
        fail()
    except A:
        return 1
    except Exception:
        return 2
# file: lib.py
class A(Exception):
    pass
class B(A):
    pass
def fail():
    raise B
# edit: class B(A) => class B(Exception)
""",
    "abc register": r"""
# file: flow.py
from lib import A, B
def go(x):
    return isinstance(B(), A)
# file: lib.py
import abc
class A(abc.ABC):
    pass
class B:
    pass
A.register(B)
# edit: A.register(B) => A.register(int)
""",
    "__init__ of unknown class kwargs via dict": r"""
# file: flow.py
import lib
def go(x):
    return lib.KINDS["a"]().rate
# file: lib.py
class K:
    def __init__(self):
        self.rate = 41
KINDS = {"a": K}
""",
    "mutual import with function level": r"""
# file: flow.py
def go(x):
    import lib
    return lib.up(x)
def base(x):
    return x + 41
# file: lib.py
import flow
def up(x):
    return flow.base(x)
""",
    "__main__-like guarded import in try": r"""
# file: flow.py
try:
    import missing_lib as m
except ImportError:
    import lib as m
def go(x):
    return m.f(x)
# file: lib.py
def f(x):
    return 41
""",
    "submodule added shadows": r"""
# file: flow.py
import pkg.tool
def go(x):
    return pkg.tool.f(x)
# file: pkg/__init__.py
# file: pkg/tool.py
from pkg.other import f
# file: pkg/other.py
def f(x):
    return 41
""",
    "__all__ computed by list addition": r"""
# file: flow.py
from lib import *
def go(x):
    return [ascii, "x"][0]("é") if ascii.__module__ != "builtins" else "plain"
# file: lib.py
__all__ = []
__all__ += ["ascii"]
def ascii(x):
    return "mine"
# edit: __all__ += ["ascii"] => __all__ += []
""",
    "walrus at class level": r"""
class A:
    x = (y := 41)
def go(v):
    return A.y
""",
    "star import inside try": r"""
# file: flow.py
try:
    from lib import *
except ImportError:
    RATE = 0
def go(x):
    return RATE
# file: lib.py
RATE = 41
""",
    "nested default lambda chain": r"""
def make(n=41):
    return lambda x, k=n: k
f = make()
def go(x):
    return f(x)
""",
    "property defined by call": r"""
class A:
    def _get(self):
        return 41
    rate = property(_get)
def go(x):
    return A().rate
""",
    "property defined by call on unknown": r"""
# file: flow.py
from lib import make
def go(x):
    return make().rate
# file: lib.py
class A:
    def _get(self):
        return value()
    rate = property(_get)
def value():
    return 41
def make():
    return A()
""",
    "mixin inherited on unknown value": r"""
# file: flow.py
from lib import make
def go(x):
    return make().rate()
# file: mixin.py
class M:
    def rate(self):
        return self.inner()
    def inner(self):
        return 41
# file: lib.py
from mixin import M
class A(M):
    pass
def make():
    return A()
""",
    "base class of unknown value changed": r"""
# file: flow.py
from lib import make
def go(x):
    return make().rate()
# file: mixin.py
class M:
    def rate(self):
        return 1
class N:
    def rate(self):
        return 2
# file: lib.py
from mixin import M, N
class A(M):
    pass
def make():
    return A()
# edit: class A(M) => class A(N)
""",
    "the base of a class that is reached by a registry alone": r"""
# file: flow.py
import store, plug
def go(x):
    return store.REG[0]().rate()
# file: store.py
REG = []
# file: mixin.py
class M:
    def rate(self):
        return 1
class N:
    def rate(self):
        return 2
# file: plug.py
import store
from mixin import M, N
class A(M):
    pass
store.REG.append(A)
# edit: class A(M) => class A(N)
""",
    "str.format with attribute of object": r"""
class A:
    rate = 41
def go(x):
    return "{0.rate}".format(A())
""",
    "str.format attr on unknown": r"""
# file: flow.py
from lib import make
def go(x):
    return "{0.rate}".format(make())
# file: lib.py
class A:
    @property
    def rate(self):
        return 41
def make():
    return A()
""",
    "__format__": r"""
# file: flow.py
from lib import make
def go(x):
    return f"{make()}"
# file: lib.py
class A:
    def __format__(self, s):
        return "41"
def make():
    return A()
""",
    "dataclasses.replace/asdict calls post_init": r"""
# file: flow.py
import dataclasses
from lib import make
def go(x):
    return dataclasses.replace(make(), a=1).b
# file: lib.py
from dataclasses import dataclass
@dataclass
class A:
    a: int = 0
    def __post_init__(self):
        self.b = 41
def make():
    a = A.__new__(A)
    a.a = 0
    return a
""",
    "type(x)() constructs unknown": r"""
# file: flow.py
from lib import THING
def go(x):
    return type(THING)().rate
# file: lib.py
from kinds import make
THING = make()
# file: kinds.py
class A:
    def __init__(self):
        self.rate = 41
def make():
    return A()
""",
    "copy hook": r"""
# file: flow.py
import copy
from lib import make
def go(x):
    return copy.copy(make()).rate
# file: lib.py
class A:
    rate = 0
    def __copy__(self):
        b = A()
        b.rate = 41
        return b
def make():
    return A()
""",
    "iteration protocol by __getitem__": r"""
# file: flow.py
from lib import make
def go(x):
    return list(make())
# file: lib.py
class A:
    def __getitem__(self, i):
        if i > 0:
            raise IndexError
        return 41
def make():
    return A()
""",
}


@pytest.mark.parametrize("row", WAYS)
def test_each_way_to_reach_code_is_followed(row: str) -> None:
    check_counts(WAYS[row])
