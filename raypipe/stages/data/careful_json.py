"""Rows of JSON lines with care: each by itself, so that a bad one is known by its line."""

import io
import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa

from raypipe.errors import UsageError
from raypipe.stages.data.reading import faults, open_bytes
from raypipe.stages.data.rows import BATCH, Lines, Reject, short
from raypipe.stages.data.types import DEEPEST, widest
from raypipe.values.imported import Input, Rejected

_KINDS = {bool: "a truth value", int: "a number", float: "a number", str: "text", list: "a list"}
_Place = tuple[str, ...]
"""Where in a row a value stands: its column, then fields of objects; `[]` is any item of a list."""


def careful_jsonl(source: Input, reject: Reject) -> Iterator[Lines]:
    """Read JSON lines row by row; what is not of the kind that most values are is rejected."""
    kinds = _kinds_of_places(source)
    types = _json_types(source, kinds)
    rows = _fitting(source, kinds, reject)
    while taken := list(islice(rows, BATCH)):
        columns = [_array(source, taken, name, kind) for name, kind in types.items()]
        yield Lines(
            batch=pa.RecordBatch.from_arrays(columns, list(types)),
            lines=[line for line, _ in taken],
        )


def _json_types(source: Input, kinds: dict[_Place, str]) -> dict[str, pa.DataType]:
    """Return the types that the values of columns have, told by all rows that fit."""
    found: dict[str, pa.DataType] = {place[0]: pa.null() for place in kinds}
    rows = _fitting(source, kinds, lambda rejected: None)
    while taken := list(islice(rows, BATCH)):
        for name in found:
            values = _array(source, taken, name)
            found[name] = widest(found[name], values.type) or pa.string()
    return found


def _array(
    source: Input,
    taken: Sequence[tuple[int, dict[str, Any]]],
    name: str,
    kind: pa.DataType | None = None,
) -> pa.Array:
    """Return the values of a column; UsageError names the row that does not go with those before.

    Arrow takes any value by itself, but not 1.5 beside a whole number that a float cannot hold.
    """
    values = [row.get(name) for _, row in taken]
    try:
        return pa.array(values, kind)
    except (pa.ArrowException, ValueError, OverflowError) as error:
        bad = bisect_left(range(len(values)), True, key=lambda n: not _fit(values[: n + 1], kind))
        said = str(error).split("\n", 1)[0].rstrip(".")
        raise UsageError(
            f"{source.location}:{taken[min(bad, len(taken) - 1)][0]}: column {name!r}: {said}",
            hint="Mend the row, or leave it out.",
        ) from error


def _fit(values: Sequence[Any], kind: pa.DataType | None) -> bool:
    try:
        pa.array(values, kind)
    except (pa.ArrowException, ValueError, OverflowError):
        return False
    return True


def _fitting(
    source: Input, kinds: dict[_Place, str], reject: Reject
) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, row, text in _json_rows(source):
        if isinstance(row, str):
            reject(Rejected(line=line, reason=row, text=short(text)))
            continue
        wrong = next((told for told in _told_of(row) if kinds[told[0]] != told[1]), None)
        if wrong is None:
            yield line, row
            continue
        (name, *inside), kind = wrong
        at = f" at {'.'.join(inside)}" if inside else ""
        reason = f"column {name!r}: {kind}{at}, where most are {kinds[wrong[0]]}"
        reject(Rejected(line=line, reason=reason, text=short(text)))


def _told_of(row: dict[str, Any]) -> Iterator[tuple[_Place, str]]:
    """Yield where in a row values stand, and of what kind each is."""
    left: list[tuple[_Place, Any]] = [((name,), value) for name, value in reversed(row.items())]
    while left:
        place, value = left.pop()
        if value is None:
            continue
        yield place, _KINDS.get(type(value), "an object")
        if isinstance(value, dict):
            left += [((*place, name), inner) for name, inner in reversed(value.items())]
        elif isinstance(value, list):
            left += [((*place, "[]"), inner) for inner in reversed(value)]


def _kinds_of_places(source: Input) -> dict[_Place, str]:
    """Return what most values of each column are, and of each part of nested ones."""
    counts: dict[_Place, Counter[str]] = {}
    for _, row, _ in _json_rows(source):
        if isinstance(row, dict):
            for name in row:
                counts.setdefault((name,), Counter())
            for place, kind in _told_of(row):
                counts.setdefault(place, Counter())[kind] += 1
    return {
        place: found.most_common(1)[0][0] if found else "nothing" for place, found in counts.items()
    }


def _json_rows(source: Input) -> Iterator[tuple[int, dict[str, Any] | str, str]]:
    """Yield each line that is not empty: its number, its object or what is wrong, its text."""
    with faults(source.location), open_bytes(source.location) as stream:
        for number, raw in enumerate(io.TextIOWrapper(stream, "utf-8-sig"), 1):
            if not raw.strip():
                continue
            if number == 1 and raw.lstrip().startswith("["):
                raise UsageError(
                    f"{source.location} is one JSON array, not JSON lines",
                    hint="Write one object a line: jq -c '.[]' FILE > FILE.jsonl",
                )
            yield number, _json_row(raw), raw


def _json_row(raw: str) -> dict[str, Any] | str:
    """Return the object that a line holds, or why it is none that can be kept."""
    try:
        row = json.loads(raw, parse_int=_whole)
    except RecursionError:
        return "it is nested too deeply"
    except ValueError as error:
        return f"no JSON: {error}"
    if not isinstance(row, dict):
        return "no JSON object"
    return _unfit(row) if "\\" in raw or raw.count("{") + raw.count("[") > DEEPEST else row


def _unfit(row: dict[str, Any]) -> dict[str, Any] | str:
    """Return a row, or why Arrow and Parquet cannot keep it."""
    for place, _ in _told_of(row):
        if len(place) > DEEPEST:
            return f"column {place[0]!r}: it is nested more than {DEEPEST} levels deep"
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return "half of a surrogate pair, which is no letter"
    return row


def _whole(text: str) -> int | float:
    """Read a whole number; one that no integer of Arrow's holds must be one that a float holds."""
    value = int(text)
    if -(2**63) <= value < 2**63:
        return value
    if abs(value) < 2**1023 and int(float(value)) == value:
        return float(value)
    raise ValueError(f"{text[:40]} has more digits than a number can keep; write it as text")
