"""What pydantic found wrong with settings, in sentences: key, value, bound, nearest known name."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

MANY = 10
"""Faults that are shown; of the rest only the number."""

Path = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that is wrong."""

    path: Path
    """Where in the settings as written, without the variants that pydantic names in between."""

    sentence: str
    """What is wrong and what would be right."""


def find_faults(model: type[BaseModel], errors: Sequence[Mapping[str, Any]]) -> tuple[Fault, ...]:
    """Turn pydantic's list of errors into faults, in the same order."""
    return tuple(_fault(model, error) for error in errors)


def _fault(model: type[BaseModel], error: Mapping[str, Any]) -> Fault:
    path, holder = _walk(model, error["loc"])
    return Fault(path=path, sentence=_sentence(dotted(path), holder, error))


def dotted(path: Path) -> str:
    """Write a path as one would for `--set`, items by number."""
    return ".".join(map(str, path))


def _walk(model: type[BaseModel], location: Sequence[str | int]) -> tuple[Path, Any]:
    """Return the path as written, and the type or model that its last part was looked up in."""
    kind: Any = model
    holder: Any = model
    path: list[str | int] = []
    parts = list(location)
    while parts:
        kind = _chosen(kind, parts)
        if not parts or parts[0] == "[key]":
            break
        part = parts.pop(0)
        path.append(part)
        holder, kind = kind, _inside(kind, part)
    return tuple(path), holder


def _chosen(kind: Any, parts: list[str | int]) -> Any:
    """Strip wrappers; where a union stands, take the member that the next part names."""
    members = tuple(_members(kind))
    if len(members) == 1:
        return members[0]
    for member in members:
        if parts and parts[0] in _tags(member):
            parts.pop(0)
            return member
    return members[0] if members else Any


def _members(kind: Any) -> Iterator[Any]:
    """List what a type may be: a union's members, None left out."""
    if isinstance(kind, FieldInfo):
        kind = kind.annotation
    origin = get_origin(kind)
    if origin is Annotated:
        yield from _members(get_args(kind)[0])
    elif origin in (Union, UnionType):
        for member in get_args(kind):
            yield from _members(member)
    elif kind is not type(None):
        yield kind


def _tags(member: Any) -> tuple[str, ...]:
    """Return the values of the literal field that tells a variant from its siblings."""
    if not _is_model(member):
        return ()
    for field in member.model_fields.values():
        if get_origin(field.annotation) is Literal:
            return get_args(field.annotation)
    return ()


def _inside(kind: Any, part: str | int) -> Any:
    if _is_model(kind):
        return kind.model_fields.get(part, Any)
    arguments = get_args(kind)
    if get_origin(kind) is dict:
        return arguments[1]
    return arguments[0] if arguments else Any


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _sentence(key: str, holder: Any, error: Mapping[str, Any]) -> str:
    context, value = error.get("ctx", {}), shorten(error["input"])
    match error["type"]:
        case "missing":
            return f"{key} is missing{_help(holder, error['loc'][-1])}"
        case "extra_forbidden":
            known = list(holder.model_fields) if _is_model(holder) else []
            return f"{key} is no setting; {suggest(str(error['loc'][-1]), known)}"
        case "literal_error":
            expected = context["expected"]
            return f"{key} is {value}; it must be {expected}{_near(error['input'], expected)}"
        case "union_tag_invalid":
            named, expected = context["tag"], context["expected_tags"]
            which = context["discriminator"].strip("'")
            return (
                f"{key}.{which} is {named!r}; it must be one of {expected}{_near(named, expected)}"
            )
        case "union_tag_not_found":
            which = context["discriminator"].strip("'")
            kinds = _tag_help(holder, key)
            return f"{key}.{which} is missing; it says which kind of {key} is meant{kinds}"
        case "value_error":
            said = str(context.get("error") or error["msg"]).removeprefix("Value error, ")
            return said if key in said else f"{key}: {said}"  # the top's own key is empty
        case "string_pattern_mismatch":
            meant = _help(holder, error["loc"][-1])
            return f"{key} is {value}; it must match {context['pattern']}{meant}"
        case _:
            return f"{key} is {value}; {_bound(error)}"


_BOUNDS = {
    "greater_than": "it must be above {gt:g}",
    "greater_than_equal": "it must be at least {ge:g}",
    "less_than": "it must be below {lt:g}",
    "less_than_equal": "it must be at most {le:g}",
    "too_short": "it needs at least {min_length} of them",
    "string_type": "it must be a text: put it in quotes",
    "invalid_key": "a key must be a text: put it in quotes",
    "tuple_type": "it must be a list",
    "dict_type": "it must hold keys and values",
    "model_type": "it must hold keys and values",
    "model_attributes_type": "it must hold keys and values",
    "bool_parsing": "it must be true or false",
    "bool_type": "it must be true or false",
    "finite_number": "it must be a finite number",
    "recursion_loop": "it holds itself",
}


def _bound(error: Mapping[str, Any]) -> str:
    kind = error["type"]
    if kind in _BOUNDS:
        return _BOUNDS[kind].format(**error.get("ctx", {}))
    if kind.startswith("int_"):
        return "it must be a whole number"
    if kind.startswith("float_"):
        return "it must be a number"
    return str(error["msg"][:1].lower() + error["msg"][1:])


def _near(named: Any, expected: str) -> str:
    near = difflib.get_close_matches(str(named), re.findall("'([^']*)'", expected), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _help(holder: Any, name: str | int) -> str:
    field = holder.model_fields.get(name) if _is_model(holder) else None
    said = (field.description or "").strip() if field else ""
    return f": {said[:1].lower()}{said[1:].splitlines()[0].rstrip('.')}" if said else ""


def _tag_help(holder: Any, key: str) -> str:
    kind = _inside(holder, key.rpartition(".")[2])
    tags = [repr(tag) for member in _members(kind) for tag in _tags(member)]
    return f": {', '.join(tags)}" if tags else ""


def suggest(name: str, known: Sequence[str]) -> str:
    """Say which name was perhaps meant, or which there are."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"there are {', '.join(sorted(known))}" if known else "nothing can be set here"


def shorten(value: Any, width: int = 60) -> str:
    """Return a value for a message, short however large it is."""
    text = repr(value)
    return text if len(text) <= width else text[: width - 1] + "…"
