"""Which of the rows that were asked and have a label can become a part of the data."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raypipe.config.data import DataConfig
from raypipe.config.feedback import FeedbackConfig
from raypipe.stages.feedback.converting import convert
from raypipe.values.feedback import Captured, Drift, Findings, Joined, Quality
from raypipe.values.hashing import row_hash
from raypipe.values.profile import SplitProfiles
from raypipe.values.signature import Label
from raypipe.values.split import rule_columns
from raypipe.values.transform.types import arrow_type


def found(
    joined: Joined,
    label: Label,
    columns: Mapping[str, str],
    data: DataConfig,
    profiles: SplitProfiles,
    earlier: Mapping[str, str],
    settings: FeedbackConfig,
    quality: tuple[Quality, ...],
    drift: tuple[Drift, ...],
) -> Findings:
    """Take each labelled row once, the latest of a key, that has what a row of the data must."""
    known = pc.is_valid(joined.asked["label"])
    asked, fields = joined.asked.filter(known), joined.fields.filter(known)
    names, texts = _names(asked), asked["label"]
    left_out: Counter[str] = Counter()
    needed = {*data.key, *rule_columns(data.split), *([data.time] if data.time else [])}
    places = _once(fields, _fit(names, fields, needed, earlier, left_out), data, profiles, left_out)
    taken = pa.array(places, pa.int64())
    rows = _rows(fields.take(taken), columns, label, texts.take(taken))
    return Findings(
        captured=Captured(
            rows=rows,
            requests=tuple(names[place] for place in places),
            labels=tuple(texts.take(taken).to_pylist()),
            into=data.dataset,
        ),
        days=_days(rows, data.time),
        shares=_shares(texts.take(taken), profiles, label),
        left_out=dict(left_out),
        changed=_changed(names, texts, earlier),
        offered=settings.least_rows is not None and len(places) >= settings.least_rows,
        said=_said(len(places), settings),
        quality=quality,
        drift=drift,
    )


def _names(asked: pa.Table) -> list[str]:
    pairs = zip(asked["request"].to_pylist(), asked["row"].to_pylist(), strict=True)
    return [f"{request}/{row}" for request, row in pairs]


def _changed(names: list[str], texts: pa.ChunkedArray, earlier: Mapping[str, str]) -> int:
    if not earlier:
        return 0
    told = zip(names, texts.to_pylist(), strict=True)
    return sum(earlier[name] != text for name, text in told if name in earlier)


def _fit(
    names: list[str],
    fields: pa.Table,
    needed: set[str],
    earlier: Mapping[str, str],
    left_out: Counter[str],
) -> list[int]:
    """Return the rows that have all that is needed, and were not accepted before."""
    fit = np.array([name not in earlier for name in names], bool)
    if before := int((~fit).sum()):
        left_out["were accepted before"] += before
    for column in sorted(needed):
        lacks = fit & fields[column].is_null().to_numpy()
        if lacks.any():
            left_out[f"lack {column}"] += int(lacks.sum())
        fit &= ~lacks
    return np.flatnonzero(fit).tolist()


def _once(
    fields: pa.Table,
    places: list[int],
    data: DataConfig,
    profiles: SplitProfiles,
    left_out: Counter[str],
) -> list[int]:
    """Keep the latest row of each key, and none whose key the data has already."""
    if not data.key or not places:
        return places
    hashes = row_hash(fields.take(pa.array(places, pa.int64())), data.key)
    there = profiles.all.keys
    in_data = np.zeros(len(hashes), bool) if there is None else np.isin(hashes, there.hashes)
    if in_data.any():
        left_out["are in the data already, by their key"] += int(in_data.sum())
    latest = {
        key: place
        for key, place, known in zip(hashes.tolist(), places, in_data.tolist(), strict=True)
        if not known
    }
    again = int((~in_data).sum()) - len(latest)
    if again:
        left_out["were asked again later"] += again
    return sorted(latest.values())


def _rows(
    fields: pa.Table, columns: Mapping[str, str], label: Label, texts: pa.ChunkedArray
) -> pa.Table:
    """Return rows as the data has them: its columns in their order, the label in its type."""
    arrays: dict[str, Any] = {}
    for name, kind in columns.items():
        arrays[name] = _label_column(texts, kind) if name == label.name else fields[name]
    return pa.table(arrays).combine_chunks()


def _label_column(texts: pa.ChunkedArray, kind: str) -> pa.Array:
    wanted = arrow_type(kind) or pa.string()
    values = texts.combine_chunks()
    if pa.types.is_list(wanted) or pa.types.is_large_list(wanted):
        lists = [None if text is None else json.loads(text) for text in values.to_pylist()]
        return pa.array(lists, pa.list_(pa.string())).cast(wanted)
    if pa.types.is_integer(wanted):
        return values.cast(pa.float64()).cast(wanted)
    try:
        return values.cast(wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return convert(values.to_pylist(), wanted)


def _days(rows: pa.Table, time: str | None) -> str:
    if time is None or not rows.num_rows:
        return ""
    days = rows[time].cast(pa.string())
    first, last = pc.min(days).as_py(), pc.max(days).as_py()
    if first is None:
        return ""
    count = len({text[:10] for text in days.to_pylist() if text})
    return f"{count:,} from {first[:10]} to {last[:10]}"


def _shares(texts: pa.ChunkedArray, profiles: SplitProfiles, label: Label) -> dict[str, str]:
    """Return each class with its share here, and in the data."""
    if label.task == "regression" or not len(texts):
        return {}
    here = Counter(texts.to_pylist())
    column = profiles.all.columns.get(label.name)
    if label.task == "multilabel":
        here = Counter(one for text in texts.to_pylist() for one in json.loads(text))
        column = column and column.inner.get("[]")
    there = dict(column.values or {}) if column else {}
    total = sum(there.values())
    return {
        name: f"{here[name] / len(texts):.1%}"
        + (f", {there.get(name, 0) / total:.1%} in the data" if total else "")
        for name in label.classes[:10]
    }


def _said(count: int, settings: FeedbackConfig) -> str:
    if settings.least_rows is None:
        return "feedback.least_rows is null: captured rows are not offered"
    if count < settings.least_rows:
        return (
            f"{count:,} rows are captured; from {settings.least_rows:,} on they are offered "
            "(feedback.least_rows)"
        )
    return ""
