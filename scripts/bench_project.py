"""A project of many modules and steps, as real ones are layered: packages over shared ones."""

from pathlib import Path

PACKAGES = 25
MODULES = 20
SHARED = 2
"""Packages that the others use."""


def write_project(folder: Path, steps: int) -> Path:
    """Write 500 modules, a pipeline of so many steps, and one of a step that reaches all modules.

    Return a module that an edit is made in.

    Each module uses three of its own package that come before it, and two of shared packages. It
    has a class, a table, constants, and ten functions of which one uses them all.
    """
    (folder / "pyproject.toml").write_text("")
    for package in range(PACKAGES):
        inside = folder / f"big/p{package}"
        inside.mkdir(parents=True)
        (inside / "__init__.py").write_text("")
        for number in range(MODULES):
            (inside / f"m{number}.py").write_text(_module(package, number))
    (folder / "big/__init__.py").write_text("")
    (folder / "large.py").write_text(_pipeline(steps))
    (folder / "every.py").write_text(_reaching_all())
    return folder / f"big/p{PACKAGES - 1}/m10.py"


def _module(package: int, number: int) -> str:
    own = [f"big.p{package}.m{other}" for other in range(max(0, number - 3), number)]
    far = [f"big.p{other}.m{(number * 7 + package) % MODULES}" for other in range(SHARED)]
    used = [*own, *(far if package >= SHARED else [])]
    lines = [f'"""Module {number} of package {package}."""', "import math", ""]
    lines += [
        f"from {name.rpartition('.')[0]} import {name.rpartition('.')[2]} as {_short(name)}"
        for name in used
    ]
    lines += [
        "",
        f"RATE = {number + 1} * 2",
        'TABLE = {"a": 1, "b": RATE}',
        "",
        "",
        "class Model:",
        '    """A model."""',
        "",
        f"    size_{package}_{number} = 1",
        "",
        f"    def area_{package}_{number}(self, side: float) -> float:",
        '        """Return its area."""',
        f"        return math.sqrt(self.size_{package}_{number} * side) * RATE",
        "",
    ]
    for function in range(9):
        lines += [
            "",
            f"def part_{function}(x: float) -> float:",
            f'    """Return part {function}."""',
            "    total = 0.0  # a sum",
            "    for place in range(int(x)):",
            f'        total += place * RATE + TABLE["a"] * {function}',
            "    return total",
            "",
        ]
    parts = [f"part_{function}(x)" for function in range(9)]
    calls = [f"{_short(name)}.whole(x)" for name in used]
    lines += [
        "",
        "def whole(x: float) -> float:",
        "    if x <= 0:",
        "        return 0.0",
        "    return sum(",
        f"        [{', '.join([*parts, *calls, f'Model().area_{package}_{number}(x)'])}]",
        "    )",
        "",
    ]
    return "\n".join(lines)


def _short(module: str) -> str:
    return module.removeprefix("big.").replace(".", "_")


def _reaching_all() -> str:
    every = [f"big.p{p}.m{m}" for p in range(PACKAGES) for m in range(MODULES)]
    lines = ["from raypipe import pipeline, step", ""]
    lines += [f"import {name}" for name in every]
    lines += ["", "", "@step", "def one(x: float) -> float:", "    total = 0.0"]
    lines += [f"    total += {name}.whole(x)" for name in every]
    lines += ["    return total", "", "", "@pipeline", "def flow():", "    return one(0.0)", ""]
    return "\n".join(lines)


def _pipeline(steps: int) -> str:
    every = [f"big.p{p}.m{m}" for p in range(PACKAGES) for m in range(MODULES)]
    lines = ["from raypipe import pipeline, step", ""]
    lines += [
        f"from {name.rpartition('.')[0]} import {name.rpartition('.')[2]} as {_short(name)}"
        for name in every
    ]
    for number in range(steps):
        lines += [
            "",
            "",
            "@step",
            f"def step_{number}(x: float) -> float:",
            f"    return {_short(every[number % len(every)])}.whole(x) + {number}",
        ]
    outputs = ", ".join(f'"s{number}": step_{number}(0.0)' for number in range(steps))
    lines += ["", "", "@pipeline", "def flow():", f"    return {{{outputs}}}", ""]
    return "\n".join(lines)
