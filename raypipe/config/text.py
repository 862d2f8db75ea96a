"""Settings as text: YAML to plain values that know their lines, and `--set` on the command line.

YAML is read by the core rules of its version 1.2, so that `no` is a text and `1e-3` a number. What
JSON cannot say (dates, sets, binary) stays text or is refused: settings are kept as JSON.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from raypipe.errors import SettingsError

LARGEST = 100_000
"""Values, written out, from which on a text is refused."""

DEEPEST = 100
"""Levels of nesting beyond which a text is refused; the parser would fall over a very deep one."""

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]  # the base is C where PyYAML has it
    """YAML 1.2's core rules over PyYAML's safe loader."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # PyYAML's own shape


_PLAIN = ("null", "bool", "int", "float", "str", "seq", "map")
_Loader.yaml_constructors = {
    tag: make
    for tag, make in yaml.SafeLoader.yaml_constructors.items()
    if tag is None or tag.rpartition(":")[2] in _PLAIN
}

for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(0|[1-9][0-9_]*)|0x[0-9a-fA-F_]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9][0-9_]*\.[0-9]*)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+",
        list("-+.0123456789"),
    ),
    ("merge", "<<", ["<"]),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first
    )


@dataclass(frozen=True, kw_only=True)
class Document:
    """What a text says, and where it says it."""

    name: str
    """Of the file, as it was asked for."""

    data: Any
    """Plain values: what JSON can say."""

    root: Any = field(default=None, repr=False, compare=False)
    """YAML's own tree, for line numbers."""

    def line(self, path: Sequence[str | int]) -> int | None:
        """Return the line (from 1) of the key at a path, or of the nearest thing above it."""
        line, node = None, self.root
        for part in path:
            found = _child(node, part)
            if found is None:
                break
            line, node = found
        return line


def _child(node: Any, part: str | int) -> tuple[int, Any] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in reversed(node.value):
            if isinstance(key, yaml.ScalarNode) and key.value == str(part):
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        item = node.value[part]
        return item.start_mark.line + 1, item
    return None


def parse(text: str, name: str) -> Document:
    """Read YAML; SettingsError says line and column of what does not parse."""
    try:
        _refuse_depth(text)
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            _refuse_twice(root, name)
            _weigh(root, {})
            data = None if root is None else loader.construct_document(root)
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _unreadable(error, name) from None
    return Document(name=name, data=data, root=root)


def _refuse_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            mark: Any = event.start_mark
            raise yaml.MarkedYAMLError(
                problem=f"nested deeper than {DEEPEST} levels", problem_mark=mark
            )


def _refuse_twice(root: Any, name: str) -> None:
    for node in _nodes(root):
        if not isinstance(node, yaml.MappingNode):
            continue
        seen: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if first := seen.get(key.value):
                    raise SettingsError(
                        f"{name}, line {line}: {key.value!r} is set already in line {first}",
                        hint="Keep one of the two.",
                    )
                seen[key.value] = line


def _weigh(node: Any, sizes: dict[int, int]) -> int:
    """Return how many values a node stands for, aliases written out; refuse one inside itself."""
    if id(node) not in sizes:
        sizes[id(node)] = LARGEST  # found again while it is open: it holds itself
        value = node.value if isinstance(node, yaml.CollectionNode) else ()
        parts = [part for pair in value for part in (pair if isinstance(pair, tuple) else (pair,))]
        sizes[id(node)] = 1 + sum(_weigh(part, sizes) for part in parts)
    if sizes[id(node)] >= LARGEST:
        raise yaml.MarkedYAMLError(
            problem="its aliases hold themselves, or stand for too many values",
            problem_mark=node.start_mark,
        )
    return sizes[id(node)]


def _nodes(root: Any) -> Iterator[Any]:
    waiting, seen = [root], set()
    while waiting:
        node = waiting.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        if isinstance(node, yaml.MappingNode):
            waiting.extend(part for pair in node.value for part in pair)
        elif isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)


_HINTS = {
    "mapping values are not allowed": "Is a colon inside a text? Put the text in quotes. "
    "Else compare the indentation with the line above.",
    "a tab character": "Indent with spaces, never with tabs.",
    "cannot start any token": "Indent with spaces; quote a text that starts with a sign.",
    "expected <block end>": "Compare the indentation with the line above.",
    "unexpected end of stream": "A quote or a bracket is not closed.",
    "did not find expected": "A quote or a bracket is not closed, or a comma is missing.",
    "found undefined alias": "Only what was named with & can be used with *.",
    "but found another document": "One file holds one document: take the second `---` away.",
    "control characters": 'Write them as escapes, in double quotes: "a\\tb".',
    "surrogates": "Write it in UTF-8.",
    "aliases hold themselves": "Write the values out.",
    "unhashable key": "A key is a text or a number.",
    "nested deeper": "Keep what is so deep in a file that a step reads.",
    "determine a constructor": "Write plain values: text, numbers, true, false, null, lists, keys.",
}


def _unreadable(error: Exception, name: str) -> SettingsError:
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
    context = getattr(error, "context", None)
    mark = getattr(error, "problem_mark", None)
    where = ""
    if mark and not name.startswith("--set"):
        where = f", line {mark.line + 1}, column {mark.column + 1}"
    said = problem if not context or not mark else f"{problem} ({context})"
    hints = (text for part, text in _HINTS.items() if part in said)
    return SettingsError(f"{name}{where}: this is no YAML: {said}", hint=next(hints, None))


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One `--set a.b=VALUE`."""

    path: tuple[str | int, ...]
    value: Any
    text: str
    """As it was written."""


def parse_sets(sets: Sequence[str]) -> tuple[Setting, ...]:
    """Read `--set` options: a key path, and a value in YAML."""
    return tuple(map(_parse_set, sets))


def _parse_set(text: str) -> Setting:
    key, equals, value = text.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise SettingsError(
            f"--set {text!r} is not KEY=VALUE", hint="Write, for instance, --set training.epochs=5."
        )
    path = tuple(int(part) if part.isdecimal() else part for part in parts)
    return Setting(path=path, value=parse(value, f"--set {text!r:.100}").data, text=text)


def apply(data: Any, settings: Sequence[Setting]) -> Any:
    """Return the data with each setting put in its place, later ones over earlier ones."""
    for setting in settings:
        data = _put(data, setting.path, setting)
    return data


def _put(data: Any, path: Sequence[str | int], setting: Setting) -> Any:
    if not path:
        return setting.value
    head, rest = path[0], path[1:]
    if isinstance(data, Mapping) or data is None:
        known = data or {}
        key = next((key for key in known if str(key) == str(head)), str(head))
        return {**known, key: _put(known.get(key), rest, setting)}
    if isinstance(data, list) and isinstance(head, int) and head < len(data):
        return [_put(x, rest, setting) if i == head else x for i, x in enumerate(data)]
    above = ".".join(map(str, setting.path[: len(setting.path) - len(path)]))
    what = f"a list of {len(data)}" if isinstance(data, list) else repr(data)
    raise SettingsError(
        f"--set {setting.text}: {above} is {what}, which has no {str(head)!r}",
        hint=f"Set all of it: --set '{above}={{KEY: VALUE, …}}'."
        if not isinstance(data, list)
        else f"Name an item by its number: --set {above}.0=VALUE.",
    )


def to_yaml(data: Any) -> str:
    """Write plain values as YAML that `parse` reads back equal."""
    return str(yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100))


class Inline(list[Any]):
    """A list that `to_yaml` writes in brackets, on as few lines as it takes."""


class _Dumper(yaml.SafeDumper):
    """Quotes what `_Loader`, or a reader by YAML 1.1's rules, would take for something else."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_BREAKS = frozenset("\x85\u2028\u2029")
"""Line breaks that a reader would fold into a space unless they are escaped."""

_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style='"' if _BREAKS & set(text) else None
    ),
)
_Dumper.add_representer(
    Inline,
    lambda dumper, data: dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True),
)

for _first_letter, _resolvers in _Loader.yaml_implicit_resolvers.items():
    for _tag_name, _regexp in _resolvers:
        _Dumper.add_implicit_resolver(_tag_name, _regexp, [_first_letter])
