"""Where it matters in what order statements run, it counts; elsewhere it does not."""

import pytest

from tests.unit.engine.fingerprint.test_reach import check_counts

# An edit writes 42 for every 41, or what `# edit: OLD => NEW` says.
ORDERS = {
    "a function, and what puts another in its place": r"""
import sys
def helper():
    return 1
setattr(sys.modules["flow"], "helper", lambda: 2)
def go(x):
    return helper()
# edit: def helper():\n    return 1\nsetattr => setattr
# edit: lambda: 2) => lambda: 2)\ndef helper():\n    return 1
""",
    "swapped star order": r"""
# file: flow.py
from a import *
from b import *
def go(x):
    return f(x)
# file: a.py
def f(x):
    return 1
# file: b.py
def f(x):
    return 2
# edit: from a import *\nfrom b import * => from b import *\nfrom a import *
""",
    "def and import order": r"""
# file: flow.py
from a import f
def f(x):
    return 0
def go(x):
    return f(x)
# file: a.py
def f(x):
    return 41
# edit: from a import f\ndef f(x):\n    return 0 => def f(x):\n    return 0\nfrom a import f
""",
    "two imports order": r"""
# file: flow.py
from a import f
from b import f
def go(x):
    return f(x)
# file: a.py
def f(x):
    return 1
# file: b.py
def f(x):
    return 2
# edit: from a import f\nfrom b import f => from b import f\nfrom a import f
""",
    "order of registrations": r"""
REG = []
def register(f):
    REG.append(f)
    return f
@register
def a(): return 1
@register
def b(): return 2
def go(x):
    return [f() for f in REG]
# edit: a(): return 1\n@register\ndef b(): return 2 => b(): return 2\n@register\ndef a(): return 1
""",
    "constant between rebinds": r"""
A = 1
B = A + 1
A = 5
def go(x):
    return A, B
# edit: B = A + 1\nA = 5 => A = 5\nB = A + 1
""",
    "default between rebinds": r"""
A = 1
def go(x, a=A):
    return a
A = 5
# edit: A = 1\ndef go(x, a=A):\n    return a\nA = 5 => A = 1\nA = 5\ndef go(x, a=A):\n    return a
""",
    "import order of two patching modules": r"""
# file: flow.py
import lib
import p1
import p2
def go(x):
    return lib.RATE
# file: lib.py
RATE = 0
# file: p1.py
import lib
lib.RATE = 1
# file: p2.py
import lib
lib.RATE = 2
# edit: import p1\nimport p2 => import p2\nimport p1
""",
    "from-import before the patch": r"""
# file: flow.py
from lib import RATE
import p1
def go(x):
    return RATE
# file: lib.py
RATE = 0
# file: p1.py
import lib
lib.RATE = 1
# edit: from lib import RATE\nimport p1 => import p1\nfrom lib import RATE
""",
    "order of subclasses": r"""
class Base:
    pass
class A(Base): v = 1
class B(Base): v = 2
def go(x):
    return [c.v for c in Base.__subclasses__()]
# edit: A(Base): v = 1\nclass B(Base): v = 2 => B(Base): v = 2\nclass A(Base): v = 1
""",
    "order of registration across modules": r"""
# file: flow.py
import a
import b
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
# file: b.py
from reg import register
@register
def two():
    return 2
# edit: import a\nimport b => import b\nimport a
""",
    "star after def": r"""
# file: flow.py
def f(x):
    return 0
from a import *
def go(x):
    return f(x)
# file: a.py
def f(x):
    return 41
""",
}


@pytest.mark.parametrize("row", ORDERS)
def test_an_order_that_changes_the_result_counts(row: str) -> None:
    check_counts(ORDERS[row])
