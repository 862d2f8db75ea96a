"""Which anomalies rows have: profiles, a schema and settings in, anomalies out.

All rows are held against the schema; where some of them are new, these are looked at by themselves
too, so that a bad shard does not drown among many good ones, and drift is looked for in them alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from raypipe.config.validation import AnomalyKind, ValidationConfig
from raypipe.stages.validation.severity import severity_of
from raypipe.stages.validation.words import amount, number, percent, some
from raypipe.values.columns import ColumnProfile
from raypipe.values.drift import drift_by_column
from raypipe.values.profile import Profile, SplitProfiles
from raypipe.values.schema import Column, Schema, kind_of
from raypipe.values.validation import Anomaly, Validation

_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class _Found:
    """An anomaly before it is judged."""

    kind: AnomalyKind
    column: str
    said: str
    """The sentence, without the column's name."""
    share: float | None = None
    examples: tuple[str, ...] = ()
    allow: str = ""


def check(
    profiles: SplitProfiles,
    schema: Schema,
    settings: ValidationConfig,
    *,
    fresh: SplitProfiles | None = None,
    baseline: SplitProfiles | None = None,
) -> Validation:
    """Return all that there is to say about rows: `fresh` are those not in `baseline`."""
    distances = (
        drift_by_column(fresh.all, baseline.all) if fresh and baseline and settings.drift else {}
    )
    anomalies = find_anomalies(profiles, schema, settings, fresh=fresh, distances=distances)
    return Validation(
        rows=profiles.all.rows,
        new_rows=fresh.all.rows if fresh else None,
        anomalies=anomalies,
        drift=distances,
    )


def find_anomalies(
    profiles: SplitProfiles,
    schema: Schema,
    settings: ValidationConfig,
    *,
    fresh: SplitProfiles | None = None,
    distances: dict[str, float] | None = None,
) -> tuple[Anomaly, ...]:
    """Return the anomalies of rows, those that stop first; one for each column and kind."""
    found = [*_of_rows(profiles), *_of_columns(profiles.all, schema, "rows")]
    found += [*_of_key(profiles.all, schema), *_of_label(profiles.train, schema)]
    if fresh is not None:
        found += _of_columns(fresh.all, schema, "the new rows")
    found += _of_drift(distances or {}, schema, settings)
    last = {(one.kind, one.column): one for one in found}
    judged = [_judge(one, schema, settings) for one in last.values()]
    place = {column.name: number for number, column in enumerate(schema.columns)}
    return tuple(
        sorted(
            filter(None, judged),
            key=lambda one: (one.severity != "stop", place.get(one.column, -1)),
        )
    )


def _judge(found: _Found, schema: Schema, settings: ValidationConfig) -> Anomaly | None:
    vital = found.column == schema.label or found.column in schema.key
    severity = severity_of(found.kind, found.column, settings, vital=vital)
    if severity == "ignore":
        return None
    milder = "warn" if severity == "stop" else "ignore"
    by_column = found.column and found.kind not in ("duplicate_key", "constant_label")
    where = f"columns.{found.column}" if by_column else f"severities.{found.kind}"
    allow = f"validation.{where}: {milder}"
    return Anomaly(
        column=found.column,
        kind=found.kind,
        severity=severity,
        message=f"{found.column}: {found.said}" if found.column else found.said,
        share=found.share,
        examples=found.examples,
        allow=f"{found.allow}, or {allow}" if found.allow else allow,
    )


def _of_rows(profiles: SplitProfiles) -> Iterator[_Found]:
    if not profiles.all.rows:
        yield _Found(kind="empty", column="", said="The data has no rows.")
        return
    splits = {name: getattr(profiles, name) for name in ("train", "validation", "analysis")}
    if empty := [name for name, profile in splits.items() if not profile.rows]:
        said = f"No row is in the split {' or '.join(empty)}; look at data.split."
        yield _Found(kind="empty", column="", said=said, examples=tuple(empty))


def _of_columns(profile: Profile, schema: Schema, rows: str) -> Iterator[_Found]:
    if not profile.rows:
        return
    for column in schema.columns:
        seen = profile.columns.get(column.name)
        yield from _presence(column, seen, profile.rows, rows)
        if seen is not None and seen.count:
            yield from _type(column, seen)
            yield from _nulls(column, seen, rows)
            yield from _range(column, seen, rows)
            yield from _categories(column, seen, rows)
    for name in profile.columns:
        if schema.column(name) is None:
            said = "the schema does not have this column."
            yield _Found(
                kind="new_column", column=name, said=said, share=1.0, allow=_in_schema("the column")
            )


def _presence(
    column: Column, seen: ColumnProfile | None, total: int, rows: str
) -> Iterator[_Found]:
    lacking = total - (seen.count if seen else 0)
    if not lacking or not column.required:
        return
    said = "the column is missing"
    if lacking < total:
        said += f" in {percent(lacking / total)} of {rows}"
    yield _Found(
        kind="missing_column",
        column=column.name,
        said=said + ".",
        share=lacking / total,
        allow=_in_schema("required: false"),
    )


def _type(column: Column, seen: ColumnProfile) -> Iterator[_Found]:
    kinds = {kind_of(part) for part in seen.type.split(" | ")} - {"null"}
    if kinds - {kind_of(column.type)}:
        said = f"the type is {seen.type}, and the schema says {column.type}."
        allow = _in_schema(f"type: {seen.type}")
        yield _Found(kind="type", column=column.name, said=said, examples=(seen.type,), allow=allow)


def _nulls(column: Column, seen: ColumnProfile, rows: str) -> Iterator[_Found]:
    share = (seen.nulls + seen.nans) / seen.count
    if share > column.nulls:
        limit = percent(column.nulls) if column.nulls else "none"
        yield _Found(
            kind="nulls",
            column=column.name,
            said=f"{percent(share)} of {rows} have no value; the schema allows {limit}.",
            share=share,
            allow=_in_schema(f"nulls: {_rounded_up(share):g}"),
        )


def _range(column: Column, seen: ColumnProfile, rows: str) -> Iterator[_Found]:
    parts: list[str] = []
    outside, examples = seen.infinities, []
    for above, bound, end in ((False, column.minimum, seen.min), (True, column.maximum, seen.max)):
        if bound is None or not isinstance(end, float) or not _beyond(end, bound, above):
            continue
        count = max(1, _count_beyond(seen, bound, above))
        outside += count
        where, extreme = ("above", "largest") if above else ("below", "smallest")
        share = percent(count / seen.count)
        parts.append(f"{share} of {rows} {where} {number(bound)} ({extreme} {number(end)})")
        examples.append(number(end))
    if seen.infinities:
        parts.append(f"{percent(seen.infinities / seen.count)} of {rows} infinite")
    if parts:
        yield _Found(
            kind="range",
            column=column.name,
            said=", ".join(parts) + ".",
            share=outside / seen.count,
            examples=tuple(examples),
            allow=_in_schema("its range"),
        )


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


def _categories(column: Column, seen: ColumnProfile, rows: str) -> Iterator[_Found]:
    if column.categories is None:
        return
    known = set(column.categories)
    counted = dict(seen.top)
    unseen = {text: n for text, n in counted.items() if text not in known}
    if not unseen:
        return
    examples = tuple(sorted(unseen, key=lambda text: (-unseen[text], text))[:_SHOWN])
    share = sum(unseen.values()) / seen.count if seen.values is not None else None
    part = f"{percent(share)} of {rows} have" if share is not None else "there are at least"
    values = f"{amount(len(unseen), 'value')} that the schema does not list"
    yield _Found(
        kind="unseen_category",
        column=column.name,
        said=f"{part} {values} ({some(examples, len(unseen))}).",
        share=share,
        examples=examples,
        allow=_in_schema("its categories"),
    )


def _of_key(profile: Profile, schema: Schema) -> Iterator[_Found]:
    keys = profile.keys
    if keys is not None and keys.duplicates:
        named = ", ".join(keys.columns)
        share = keys.duplicates / keys.rows
        verb = "has" if keys.duplicates == 1 else "have"
        which = f"{amount(keys.duplicates, 'row')} ({percent(share)})"
        yield _Found(
            kind="duplicate_key",
            column=named if len(keys.columns) == 1 else "",
            said=f"{which} {verb} the key of another ({named}).",
            share=share,
            allow="another data.key",
        )


def _of_label(train: Profile, schema: Schema) -> Iterator[_Found]:
    seen = train.columns.get(schema.label or "")
    if seen is None or not seen.count or seen.distinct > 1:
        return
    values = seen.values or {}
    what = f"is {next(iter(values))}" if values else "has no value"
    said = f"the label {what} in all {amount(seen.count, 'row')} of the train split."
    yield _Found(kind="constant_label", column=seen.name, said=said, examples=tuple(values))


def _of_drift(
    distances: dict[str, float], schema: Schema, settings: ValidationConfig
) -> Iterator[_Found]:
    if settings.drift is None:
        return
    for name, distance in distances.items():
        threshold = settings.drift.columns.get(name, settings.drift.threshold)
        if distance > threshold and _may_drift(name, schema):
            yield _Found(
                kind="drift",
                column=name,
                said=f"the new rows lie {distance:.2f} from the accepted ones (Jensen-Shannon, "
                f"0 to 1); the settings allow {threshold:g}.",
                allow=f"validation.drift.columns.{name}: {_rounded_up(distance):g}",
            )


def _may_drift(name: str, schema: Schema) -> bool:
    """Time goes on and identifiers are new by nature: neither is news."""
    column = schema.column(name)
    return schema.key != (name,) and not (column and "time" in column.roles)


def _in_schema(what: str) -> str:
    return f"{what} in the schema file"


def _rounded_up(share: float) -> float:
    return min(1.0, -(-share * 100 // 1) / 100)
