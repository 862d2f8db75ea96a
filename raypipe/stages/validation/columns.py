"""What of the columns of some rows breaks a schema."""

from collections.abc import Iterator

from raypipe.stages.validation.words import (
    SHOWN,
    in_schema,
    number,
    percent,
    rounded_up,
    some,
)
from raypipe.values.chance import beyond_at_most, share_at_least
from raypipe.values.columns import ColumnProfile
from raypipe.values.profile import Profile
from raypipe.values.schema import Column, Schema, kind_of
from raypipe.values.validation import Found
from raypipe.values.words import amount

FAR = 5
"""Widths of a range that one value lies outside to be news: one of a skewed column lies two."""


def of_columns(profile: Profile, schema: Schema, rows: str) -> Iterator[Found]:
    """Hold the columns of some rows against a schema; `rows` is what the rows are called."""
    if not profile.rows:
        return
    for column in schema.columns:
        seen = profile.columns.get(column.name)
        yield from _presence(column, seen, profile.rows, rows)
        if seen is not None and seen.count:
            yield from _type(column, seen)
            yield from _nulls(column, seen, schema, rows)
            yield from _range(column, seen, schema, rows)
            yield from _categories(column, seen, schema, rows)
    for name in profile.columns:
        if schema.column(name) is None:
            said = "the schema does not have this column."
            yield Found(
                kind="new_column", column=name, said=said, share=1.0, allow=in_schema("the column")
            )


def _presence(column: Column, seen: ColumnProfile | None, total: int, rows: str) -> Iterator[Found]:
    lacking = total - (seen.count if seen else 0)
    if not lacking or not column.required:
        return
    said = "the column is missing"
    if lacking < total:
        said += f" in {percent(lacking / total)} of {rows}"
    yield Found(
        kind="missing_column",
        column=column.name,
        said=said + ".",
        share=lacking / total,
        allow=in_schema("required: false"),
    )


def _type(column: Column, seen: ColumnProfile) -> Iterator[Found]:
    kinds = {kind_of(part) for part in seen.type.split(" | ")} - {"null"}
    if kinds - {kind_of(column.type)}:
        said = f"the type is {seen.type}, and the schema says {column.type}."
        allow = in_schema(f"type: {seen.type}")
        yield Found(kind="type", column=column.name, said=said, examples=(seen.type,), allow=allow)


def _nulls(column: Column, seen: ColumnProfile, schema: Schema, rows: str) -> Iterator[Found]:
    missing = seen.nulls + seen.nans
    share = missing / seen.count
    vital = column.name == schema.label or column.name in schema.key
    if share > column.nulls and (vital or _is_more(missing, seen.count, column.nulls, schema)):
        limit = percent(column.nulls) if column.nulls else "none"
        yield Found(
            kind="nulls",
            column=column.name,
            said=f"{percent(share)} of {rows} have no value; the schema allows {limit}.",
            share=share,
            allow=in_schema(f"nulls: {rounded_up(share):g}"),
        )


def _is_more(count: int, total: int, allowed: float, schema: Schema) -> bool:
    """Say whether a share is beyond doubt more than is allowed, and than its rows can rule out.

    Of what none of n rows had, up to 3 / n may still have it: the rule of three (Hanley and
    Lippman-Hand 1983, JAMA 249, 1743-1745).
    """
    if schema.rows is None:
        return count > allowed * total
    return share_at_least(count, total) > max(allowed, 3 / schema.rows)


def _range(column: Column, seen: ColumnProfile, schema: Schema, rows: str) -> Iterator[Found]:
    parts: list[str] = []
    outside, examples = seen.infinities, []
    for above, bound, end in ((False, column.minimum, seen.min), (True, column.maximum, seen.max)):
        if bound is None or not isinstance(end, float) or not _beyond(end, bound, above):
            continue
        count = max(1, _count_beyond(seen, bound, above))
        if not _is_far(column, end, schema) and count <= _usual_beyond(seen, schema):
            continue
        outside += count
        where, extreme = ("above", "largest") if above else ("below", "smallest")
        share = percent(count / seen.count)
        parts.append(f"{share} of {rows} {where} {number(bound)} ({extreme} {number(end)})")
        examples.append(number(end))
    if seen.infinities:
        parts.append(f"{percent(seen.infinities / seen.count)} of {rows} infinite")
    if parts:
        yield Found(
            kind="range",
            column=column.name,
            said=", ".join(parts) + ".",
            share=outside / seen.count,
            examples=tuple(examples),
            allow=in_schema("its range"),
        )


def _is_far(column: Column, end: float, schema: Schema) -> bool:
    """Say whether a value lies so many widths of the range outside that one is news."""
    if schema.rows is None or column.minimum is None or column.maximum is None:
        return schema.rows is None
    wide = FAR * (column.maximum - column.minimum)
    return end < column.minimum - wide or end > column.maximum + wide


def _usual_beyond(seen: ColumnProfile, schema: Schema) -> int:
    return beyond_at_most(seen.count, schema.rows) if schema.rows else 0


def _beyond(value: float, bound: float, above: bool) -> bool:
    return value > bound if above else value < bound


def _count_beyond(seen: ColumnProfile, bound: float, above: bool) -> int:
    """Count exactly where the values are known, else by the middle of each bucket."""
    if seen.values is not None:
        return sum(n for text, n in seen.values.items() if _beyond(float(text), bound, above))
    if seen.buckets is None:
        return 0
    middles = seen.buckets.values
    held = middles > bound if above else middles < bound
    return int(seen.buckets.counts[held].sum())


def _categories(column: Column, seen: ColumnProfile, schema: Schema, rows: str) -> Iterator[Found]:
    if column.categories is None:
        return
    known = set(column.categories)
    counted = dict(seen.top)
    unseen = {text: n for text, n in counted.items() if text not in known}
    if not unseen:
        return
    count = sum(unseen.values())
    if seen.values is not None and not _is_more(count, seen.count, column.others, schema):
        return
    examples = tuple(sorted(unseen, key=lambda text: (-unseen[text], text))[:SHOWN])
    share = count / seen.count if seen.values is not None else None
    part = f"{percent(share)} of {rows} have" if share is not None else "there are at least"
    values = f"{amount(len(unseen), 'value')} that the schema does not list"
    yield Found(
        kind="unseen_category",
        column=column.name,
        said=f"{part} {values} ({some(examples, len(unseen))}).",
        share=share,
        examples=examples,
        allow=in_schema("its categories"),
    )
