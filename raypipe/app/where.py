"""What a person asks of runs, such as `auc > 0.7 and pipeline == 'flights'`, read and answered.

The words are those of a Python expression; a few of its forms are known, and nothing is called.
"""

import ast
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from operator import eq, ge, gt, le, lt, ne
from typing import Any, NoReturn

from raypipe.errors import UsageError

LONGEST = 1_000
"""Letters of an expression; no person writes more, and deeper ones exhaust the parser."""
GRAMMAR = (
    "compare names (metrics, settings, pipeline, status, tags, …) with numbers, 'texts', true, "
    "false or none by == != < <= > >= in; join by and, or, not"
)
_WORDS = {"true": True, "false": False, "none": None, "null": None}
_ORDER: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: lt,
    ast.LtE: le,
    ast.Gt: gt,
    ast.GtE: ge,
}
_MIRRORED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.Gt,
    ast.Gt: ast.Lt,
    ast.LtE: ast.GtE,
    ast.GtE: ast.LtE,
    ast.Eq: ast.Eq,
}
Find = Callable[[str], Any]
"""Name to value; KeyError for what a run has not."""


@dataclass(frozen=True, kw_only=True)
class Where:
    """An expression that was read."""

    text: str
    _tree: ast.expr

    @property
    def names(self) -> tuple[str, ...]:
        """What it asks for, each name once, in its order."""
        return tuple(dict.fromkeys(_names(self._tree)))

    def holds(self, find: Find) -> bool:
        """Say whether it is so; a comparison with what a run has not, or cannot be, is not."""
        return _holds(self._tree, find)

    def bounds(self) -> dict[str, tuple[float, float]]:
        """Return between which numbers a name must lie wherever the whole is so, ends included."""
        found: dict[str, tuple[float, float]] = {}
        for name, how, value in self._must():
            if isinstance(value, bool) or not isinstance(value, int | float):
                continue
            low, high = found.get(name, (-math.inf, math.inf))
            try:
                number = float(value)
            except OverflowError:
                number = math.inf if value > 0 else -math.inf
            if how in {ast.Gt, ast.GtE, ast.Eq}:
                low = max(low, number)
            if how in {ast.Lt, ast.LtE, ast.Eq}:
                high = min(high, number)
            found[name] = low, high
        return found

    def equal(self) -> dict[str, Any]:
        """Return what a name must be wherever the whole is so."""
        return {name: value for name, how, value in self._must() if how is ast.Eq}

    def compared(self) -> Iterator[tuple[str, Callable[[Any], bool]]]:
        """Yield names, each with what its value must be wherever the whole is so.

        Lists and what is in them are left out: whatever is yielded asks for a number or a text.
        """
        for name, how, value in self._must():
            if not isinstance(value, list):
                yield name, partial(_is_so, how(), value)
        for one in _parts(self._tree):
            match one:
                case ast.Compare(left=left, ops=[ast.In()], comparators=[right]) if _is_name(
                    left
                ) and not _is_name(right):
                    value = value_of(right)
                    if isinstance(value, str) or (isinstance(value, list) and _is_flat(value)):
                        yield name_of(left), partial(_is_so, ast.In(), value)

    def holding(self) -> dict[str, Any]:
        """Return what must be in a name wherever the whole is so, as in `'best' in tags`."""
        return {
            name_of(one.comparators[0]): value_of(one.left)
            for one in _parts(self._tree)
            if isinstance(one, ast.Compare)
            and len(one.ops) == 1
            and isinstance(one.ops[0], ast.In)
            and isinstance(one.left, ast.Constant)
            and _is_name(one.comparators[0])
        }

    def _must(self) -> Iterator[tuple[str, type[ast.cmpop], Any]]:
        for one in _parts(self._tree):
            if not isinstance(one, ast.Compare):
                continue
            sides = [one.left, *one.comparators]
            for op, left, right in zip(one.ops, sides, sides[1:], strict=False):
                if type(op) not in _MIRRORED:
                    continue
                if _is_name(left) and not _is_name(right):
                    yield name_of(left), type(op), value_of(right)
                elif _is_name(right) and not _is_name(left):
                    yield name_of(right), _MIRRORED[type(op)], value_of(left)


def read_where(text: str) -> Where:
    """Read an expression; UsageError that shows where it is none."""
    if len(text) > LONGEST:
        raise UsageError(
            f"an expression has {len(text):,} letters; {LONGEST:,} are the most", hint=GRAMMAR
        )
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        at = f" near {text.strip()[max((error.offset or 1) - 1, 0) :][:20]!r}" if text else ""
        raise UsageError(f"{text!r} is no expression{at}: {error.msg}", hint=GRAMMAR) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise UsageError(f"{text[:60]!r} is no expression: {error}", hint=GRAMMAR) from None
    _check(tree, text.strip())
    return Where(text=text.strip(), _tree=tree)


# --- what is known of the grammar ---------------------------------------------------------------


def _check(node: ast.expr, text: str) -> None:
    match node:
        case ast.BoolOp(values=values):
            for one in values:
                _check(one, text)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            _check(operand, text)
        case ast.Compare(left=left, ops=ops, comparators=others):
            for op, other in zip(ops, others, strict=True):
                if isinstance(op, ast.Is | ast.IsNot) and not _is_none(other):
                    _refuse(node, text, "`is` compares with none alone; write ==")
            for side in (left, *others):
                _check_side(side, text)
        case _ if _is_name(node):
            name_of(node)
        case _:
            _refuse(node, text, GRAMMAR)


def _check_side(node: ast.expr, text: str) -> None:
    match node:
        case ast.Tuple(elts=items) | ast.List(elts=items) | ast.Set(elts=items):
            for one in items:
                if _is_name(one):
                    _refuse(one, text, "a list holds numbers and 'texts'; put texts in quotes")
                _check_side(one, text)
        case ast.Constant(value=str() as value):
            if any(one == "\0" or "\ud800" <= one <= "\udfff" for one in value):
                _refuse(node, text, "no text that is kept holds a NUL, or half a letter")
        case ast.Constant(value=value) if isinstance(value, int | float | None):
            pass
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=ast.Constant(value=value)) if (
            isinstance(value, int | float)
        ):
            pass
        case _ if _is_name(node) or _is_word(node):
            pass
        case _:
            _refuse(node, text, GRAMMAR)


def _refuse(node: ast.expr, text: str, hint: str) -> NoReturn:
    part = ast.get_source_segment(text, node) or text
    raise UsageError(f"{part[:60]!r} cannot be asked of runs", hint=hint)


def _is_word(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in _WORDS


def _is_none(node: ast.expr) -> bool:
    return _is_word(node) or (isinstance(node, ast.Constant) and node.value is None)


def _is_name(node: ast.expr) -> bool:
    """Say whether it is `auc`, `training.epochs` or `preprocessing.groups[0].kind`."""
    match node:
        case ast.Name(id=name):
            return name not in _WORDS
        case ast.Attribute(value=value):
            return _is_name(value)
        case ast.Subscript(value=value, slice=ast.Constant(value=int() | str())):
            return _is_name(value)
    return False


def name_of(node: ast.expr) -> str:
    """Return a name with dots: `groups[0].kind` is `groups.0.kind`."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=part):
            return f"{name_of(value)}.{part}"
        case ast.Subscript(value=value, slice=ast.Constant(value=int() | str() as key)):
            return f"{name_of(value)}.{key}"
    raise AssertionError(node)


def value_of(node: ast.expr) -> Any:
    """Return what is written out: a number, a text, a list of these."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=word):
            return _WORDS[word]
        case ast.UnaryOp(op=op, operand=operand):
            return -value_of(operand) if isinstance(op, ast.USub) else value_of(operand)
        case ast.Tuple(elts=items) | ast.List(elts=items) | ast.Set(elts=items):
            return [value_of(one) for one in items]
    raise AssertionError(node)


def _names(tree: ast.expr) -> Iterator[str]:
    if _is_name(tree):
        yield name_of(tree)
        return
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.expr):
            yield from _names(child)


def _parts(tree: ast.expr) -> Iterator[ast.expr]:
    """Yield what must be so for the whole to be so."""
    if isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.And):
        for one in tree.values:
            yield from _parts(one)
    else:
        yield tree


# --- answering ----------------------------------------------------------------------------------


def _holds(node: ast.expr, find: Find) -> bool:
    match node:
        case ast.BoolOp(op=ast.And(), values=values):
            return all(_holds(one, find) for one in values)
        case ast.BoolOp(values=values):
            return any(_holds(one, find) for one in values)
        case ast.UnaryOp(operand=operand):
            return not _holds(operand, find)
        case ast.Compare(left=left, ops=ops, comparators=others):
            sides = [_side(one, find) for one in (left, *others)]
            return all(_compare(op, a, b) for op, a, b in zip(ops, sides, sides[1:], strict=False))
    return bool(_side(node, find)) and not isinstance(_side(node, find), _Missing)


class _Missing:
    """What stands for a value that a run has not."""


def _side(node: ast.expr, find: Find) -> Any:
    if not _is_name(node):
        return value_of(node)
    try:
        return find(name_of(node))
    except KeyError:
        return _Missing()


def _is_flat(values: list[Any]) -> bool:
    return not any(isinstance(one, list) for one in values)


def _is_so(op: ast.cmpop, asked: Any, value: Any) -> bool:
    return _compare(op, value, asked)


def _compare(op: ast.cmpop, left: Any, right: Any) -> bool:
    if isinstance(op, ast.Is | ast.IsNot):
        none = left is None or isinstance(left, _Missing)
        return none is isinstance(op, ast.Is)
    if isinstance(left, _Missing) or isinstance(right, _Missing):
        return False
    if isinstance(op, ast.Eq | ast.NotEq):
        return bool((eq if isinstance(op, ast.Eq) else ne)(left, right))
    try:
        if isinstance(op, ast.In | ast.NotIn):
            return (left in right) is isinstance(op, ast.In)
        return bool(_ORDER[type(op)](left, right))
    except TypeError:  # a text and a number have no order, and nothing is in a number
        return False
