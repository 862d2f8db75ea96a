"""What an import changes of another module counts, however it gets at it."""

import pytest

from tests.unit.engine.fingerprint.test_reach import check_counts

# An edit writes 42 for every 41, or what `# edit: OLD => NEW` says.
CHANGES = {
    "global set at import by a function in another module": r"""
# file: flow.py
import lib, init
def go(x):
    return lib.RATE
# file: init.py
import lib
def configure():
    lib.RATE = 41
configure()
# file: lib.py
RATE = 0
""",
    "monkeypatch a class's method from another module": r"""
# file: flow.py
import lib, patch
def go(x):
    return lib.Model().area()
# file: patch.py
import lib
def better(self):
    return 41
lib.Model.area = better
# file: lib.py
class Model:
    def area(self):
        return 1
""",
    "monkeypatch imported class by from import": r"""
# file: flow.py
from lib import Model
import patch
def go(x):
    return Model().area()
# file: patch.py
from lib import Model
def better(self):
    return 41
Model.area = better
# file: lib.py
class Model:
    def area(self):
        return 1
""",
    "monkeypatch by setattr call within a loop": r"""
# file: flow.py
from lib import Model
import patch
def go(x):
    return Model().area()
# file: patch.py
import lib
def better(self):
    return 41
for name in ["area"]:
    setattr(lib.Model, name, better)
# file: lib.py
class Model:
    def area(self):
        return 1
""",
    "monkeypatch by function with argument": r"""
# file: flow.py
from lib import Model
import patch
def go(x):
    return Model().area()
# file: patch.py
import lib
def install(cls):
    cls.area = lambda self: 41
install(lib.Model)
# file: lib.py
class Model:
    def area(self):
        return 1
""",
    "monkeypatch by decorator 'patch(lib.Model)'": r"""
# file: flow.py
from lib import Model
import patch
def go(x):
    return Model().area()
# file: patch.py
import lib
def patch(cls):
    def deco(f):
        setattr(cls, f.__name__, f)
        return f
    return deco
@patch(lib.Model)
def area(self):
    return 41
# file: lib.py
class Model:
    def area(self):
        return 1
""",
    "plugin registry with entry in package __init__": r"""
# file: flow.py
import registry
import plugins
def go(x):
    return registry.REG["one"](x)
# file: registry.py
REG = {}
def register(name):
    def deco(f):
        REG[name] = f
        return f
    return deco
# file: plugins/__init__.py
from plugins import one
# file: plugins/one.py
from registry import register
@register("one")
def one(x):
    return 41
""",
    "plugin registry via class instance attr": r"""
# file: flow.py
from registry import registry
import plugins
def go(x):
    return registry.get("one")(x)
# file: registry.py
class Registry:
    def __init__(self):
        self.items = {}
    def register(self, name):
        def deco(f):
            self.items[name] = f
            return f
        return deco
    def get(self, name):
        return self.items[name]
registry = Registry()
# file: plugins.py
from registry import registry
@registry.register("one")
def one(x):
    return 41
""",
    "singledispatch registered in another module": r"""
# file: flow.py
from base import show
import ints
def go(x):
    return show(x)
# file: base.py
from functools import singledispatch
@singledispatch
def show(x):
    return "object"
# file: ints.py
from base import show
@show.register
def _(x: int):
    return 41
""",
    "singledispatch registered by call": r"""
# file: flow.py
from base import show
import ints
def go(x):
    return show(x)
# file: base.py
from functools import singledispatch
@singledispatch
def show(x):
    return "object"
# file: ints.py
from base import show
def of_int(x):
    return 41
show.register(int, of_int)
""",
    "singledispatch registered with alias import": r"""
# file: flow.py
from base import show
import ints
def go(x):
    return show(x)
# file: base.py
from functools import singledispatch
@singledispatch
def show(x):
    return "object"
# file: ints.py
import base as b
@b.show.register(int)
def _(x):
    return 41
""",
    "singledispatchmethod": r"""
from functools import singledispatchmethod
class S:
    @singledispatchmethod
    def f(self, x):
        return 0
    @f.register
    def _(self, x: int):
        return 41
def go(x):
    return S().f(x)
""",
    "pydantic annotated alias in another module": r"""
# file: flow.py
from models import M
def go(x):
    return M(a=1).a
# file: types_.py
from typing import Annotated
from pydantic import AfterValidator
def plus(v):
    return v + 41
Plus = Annotated[int, AfterValidator(plus)]
# file: models.py
from pydantic import BaseModel
from types_ import Plus
class M(BaseModel):
    a: Plus
""",
    "sys.modules patch": r"""
# file: flow.py
import lib, p1
def go(x):
    return lib.RATE
# file: lib.py
RATE = 0
# file: p1.py
import sys
import lib
sys.modules["lib"].RATE = 41
""",
    "alias of a registry": r"""
# file: flow.py
import lib, init
def go(x):
    return lib.REG["a"]
# file: init.py
import lib
reg = lib.REG
reg["a"] = 41
# file: lib.py
REG = {}
""",
    "alias by function": r"""
# file: flow.py
import lib, init
def go(x):
    return lib.REG["a"]
# file: init.py
import lib
reg = lib.registry()
reg["a"] = 41
# file: lib.py
REG = {}
def registry():
    return REG
""",
    "alias by function, call in target": r"""
# file: flow.py
import lib, init
def go(x):
    return lib.REG["a"]
# file: init.py
import lib
lib.registry()["a"] = 41
# file: lib.py
REG = {}
def registry():
    return REG
""",
    "alias by tuple": r"""
# file: flow.py
import lib, init
def go(x):
    return lib.A
# file: init.py
import lib
a, b = lib.A, lib.B
a.append(41)
# file: lib.py
A = []
B = []
""",
    "alias by loop": r"""
# file: flow.py
import lib, init
def go(x):
    return lib.A
# file: init.py
import lib
for t in lib.TABLES:
    t.append(41)
# file: lib.py
A = []
TABLES = [A]
""",
    "alias by walrus": r"""
# file: flow.py
import lib, init
def go(x):
    return lib.A
# file: init.py
import lib
(r := lib.A).append(41)
# file: lib.py
A = []
""",
    "alias by class attribute": r"""
# file: flow.py
import lib, init
def go(x):
    return lib.A
# file: init.py
import lib
class Conf:
    reg = lib.A
Conf.reg.append(41)
# file: lib.py
A = []
""",
    "alias by with": r"""
# file: flow.py
import lib, init
def go(x):
    return lib.A
# file: init.py
import lib
with lib.registry() as r:
    r.append(41)
# file: lib.py
from contextlib import contextmanager
A = []
@contextmanager
def registry():
    yield A
""",
    "effect by constructing": r"""
# file: flow.py
import lib, init
def go(x):
    return lib.RATE
# file: init.py
import lib
class Conf:
    def __init__(self, n):
        lib.RATE = n
Conf(41)
# file: lib.py
RATE = 0
""",
    "effect by constructing, assigned": r"""
# file: flow.py
import lib, init
def go(x):
    return lib.RATE
# file: init.py
import lib
class Conf:
    def __init__(self, n):
        lib.RATE = n
conf = Conf(41)
# file: lib.py
RATE = 0
""",
    "effect by method of an instance, assigned": r"""
# file: flow.py
import lib, init
def go(x):
    return lib.RATE
# file: init.py
import lib
class Conf:
    def apply(self, n):
        lib.RATE = n
conf = Conf()
done = conf.apply(41)
# file: lib.py
RATE = 0
""",
    "effect by operator": r"""
# file: flow.py
import lib, init
def go(x):
    return lib.RATE
# file: init.py
import lib
class Conf:
    def __or__(self, n):
        lib.RATE = n
c = Conf()
d = c | 41
# file: lib.py
RATE = 0
""",
    "effect by property": r"""
# file: flow.py
import lib, init
def go(x):
    return lib.RATE
# file: init.py
import lib
class Conf:
    @property
    def now(self):
        lib.RATE = 41
c = Conf()
d = c.now
# file: lib.py
RATE = 0
""",
    "effect in a comprehension": r"""
# file: flow.py
import lib, init
def go(x):
    return lib.A
# file: init.py
import lib
done = [lib.A.append(n) for n in (41,)]
# file: lib.py
A = []
""",
    "effect by map": r"""
# file: flow.py
import lib, init
def go(x):
    return lib.A
# file: init.py
import lib
done = list(map(lib.A.append, [41]))
# file: lib.py
A = []
""",
    "effect by lambda call": r"""
# file: flow.py
import lib, init
def go(x):
    return lib.A
# file: init.py
import lib
done = (lambda: lib.A.append(41))()
# file: lib.py
A = []
""",
    "effect by default argument": r"""
# file: flow.py
import lib, init
def go(x):
    return lib.A
# file: init.py
import lib
def f(x=lib.A.append(41)):
    pass
# file: lib.py
A = []
""",
    "effect in class body": r"""
# file: flow.py
import lib, init
def go(x):
    return lib.A
# file: init.py
import lib
class C:
    lib.A.append(41)
# file: lib.py
A = []
""",
    "effect in class body by set": r"""
# file: flow.py
import lib, init
def go(x):
    return lib.RATE
# file: init.py
import lib
class C:
    lib.RATE = 41
# file: lib.py
RATE = 0
""",
    "metaclass registering": r"""
# file: flow.py
import lib, init
def go(x):
    return lib.REG["P"].rate
# file: init.py
import lib
class P(lib.Base):
    rate = 41
# file: lib.py
REG = {}
class Meta(type):
    def __new__(m, name, bases, ns):
        c = super().__new__(m, name, bases, ns)
        REG[name] = c
        return c
class Base(metaclass=Meta):
    pass
""",
    "init_subclass registering in a third module, two levels": r"""
# file: flow.py
import store, init
def go(x):
    return store.REG["P"].rate
# file: init.py
import mid
class P(mid.Mid):
    rate = 41
# file: mid.py
import lib
class Mid(lib.Base):
    rate = 0
# file: store.py
REG = {}
# file: lib.py
import store
class Base:
    def __init_subclass__(cls):
        store.REG[cls.__name__] = cls
""",
    "set_name registering": r"""
# file: flow.py
import store, init
def go(x):
    return store.REG["d"]
# file: init.py
import desc
class P:
    d = desc.D(41)
# file: store.py
REG = {}
# file: desc.py
import store
class D:
    def __init__(self, v):
        self.v = v
    def __set_name__(self, o, n):
        store.REG[n] = self.v
""",
    "decorator object registering through a third module": r"""
# file: flow.py
import store, init
def go(x):
    return store.REG["f"](x)
# file: init.py
from deco import task
@task
def f(x):
    return 41
# file: store.py
REG = {}
# file: deco.py
import store
class Task:
    def __call__(self, f):
        store.REG[f.__name__] = f
        return f
task = Task()
""",
    "decorator that calls its function": r"""
# file: flow.py
import store, init
def go(x):
    return store.RATE
# file: init.py
import store
def now(f):
    f()
    return f
@now
def f():
    store.configure(41)
# file: store.py
RATE = 0
def configure(n):
    global RATE
    RATE = n
""",
    "library callback runs a function at import": r"""
# file: flow.py
import store, init
def go(x):
    return store.RATE
# file: init.py
import store
import functools
def f(n):
    store.configure(n)
    return n
done = functools.reduce(lambda a, b: f(b), [0, 41])
# file: store.py
RATE = 0
def configure(n):
    global RATE
    RATE = n
""",
    "globals() set at import": r"""
# file: flow.py
globals()["RATE"] = 41
def go(x):
    return RATE
""",
    "exec at import": r"""
# file: flow.py
exec("RATE = 41")
def go(x):
    return RATE
""",
    "type statement alias": r"""
import typing
def go(x):
    return str(typing.Literal[41])
""",
    "function attribute": r"""
def helper():
    return helper.rate
helper.rate = 41
def go(x):
    return helper()
""",
    "function attribute from another module": r"""
# file: flow.py
import lib, init
def go(x):
    return lib.helper()
# file: init.py
import lib
lib.helper.rate = 41
# file: lib.py
def helper():
    return helper.rate
""",
    "attribute of instance assigned elsewhere": r"""
# file: flow.py
import lib, init
def go(x):
    return lib.conf.rate
# file: init.py
from lib import conf
conf.rate = 41
# file: lib.py
class Conf:
    rate = 0
conf = Conf()
""",
    "instance mutated by method elsewhere": r"""
# file: flow.py
import lib, init
def go(x):
    return lib.conf.rate
# file: init.py
from lib import conf
conf.set(41)
# file: lib.py
class Conf:
    rate = 0
    def set(self, n):
        self.rate = n
conf = Conf()
""",
    "frozen partial of other module": r"""
# file: flow.py
from functools import partial
import lib
f = partial(lib.helper, lib.RATE)
def go(x):
    return f()
# file: lib.py
RATE = 41
def helper(n):
    return n
""",
    "ast literal dict dispatch by attribute name string": r"""
class A:
    def do_x(self):
        return 41
def go(x):
    return getattr(A(), f"do_{'x'}")()
""",
    "inherits from aliased base via subscript Generic": r"""
from typing import Generic, TypeVar
T = TypeVar("T")
class Base(Generic[T]):
    def v(self):
        return 41
class S(Base[int]):
    pass
def go(x):
    return S().v()
""",
    "registry module no longer imported": r"""
# file: flow.py
import a
import reg
def go(x):
    return [f() for f in reg.REG]
# file: reg.py
REG = []
def register(f):
    REG.append(f)
    return f
# file: a.py
from reg import register
@register
def one():
    return 1
# edit: import a\n => # none\n
""",
    "a new module imported that patches": r"""
# file: flow.py
import lib
# here
def go(x):
    return lib.RATE
# file: lib.py
RATE = 1
# file: patch.py
import lib
lib.RATE = 2
# edit: # here => import patch
""",
    "alias method on class": r"""
# file: flow.py
from lib import make
def go(x):
    return make().rate()
# file: lib.py
class A:
    def _get(self):
        return 41
    rate = _get
def make():
    return A()
""",
}


@pytest.mark.parametrize("row", CHANGES)
def test_what_an_import_changes_counts(row: str) -> None:
    check_counts(CHANGES[row])
