"""Which of the rows that were asked and have a label can become a part of the data."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raypipe.config.data import DataConfig
from raypipe.config.feedback import FeedbackConfig
from raypipe.stages.feedback.reading import _convert
from raypipe.values.feedback import Captured, Drift, Joined, Quality
from raypipe.values.hashing import row_hash
from raypipe.values.profile import SplitProfiles
from raypipe.values.signature import Label
from raypipe.values.split import rule_columns
from raypipe.values.transform.types import arrow_type


def captured(
    joined: Joined,
    label: Label,
    columns: Mapping[str, str],
    data: DataConfig,
    profiles: SplitProfiles,
    earlier: Mapping[str, str],
    settings: FeedbackConfig,
    quality: tuple[Quality, ...],
    drift: tuple[Drift, ...],
) -> Captured:
    """Take each labelled row once, the latest of a key, that has what a row of the data must."""
    known = pc.is_valid(joined.asked["label"])
    asked, fields = joined.asked.filter(known), joined.fields.filter(known)
    names = _names(asked)
    left_out: Counter[str] = Counter()
    changed = sum(
        earlier[name] != text
        for name, text in zip(names, asked["label"].to_pylist(), strict=True)
        if name in earlier
    )
    needed = {*data.key, *rule_columns(data.split), *([data.time] if data.time else [])}
    places = [
        place
        for place, (name, lacks, unfit) in enumerate(
            zip(names, asked["lacks"].to_pylist(), asked["unfit"].to_pylist(), strict=True)
        )
        if not _reason(name, {*lacks, *unfit}, needed, earlier, left_out)
    ]
    places = _once(fields, places, data, profiles, left_out)
    taken = pa.array(places, pa.int64())
    texts = asked["label"].take(taken)
    rows = _rows(fields.take(taken), columns, label, texts)
    offered = settings.least_rows is not None and len(places) >= settings.least_rows
    return Captured(
        rows=rows,
        requests=tuple(names[place] for place in places),
        labels=tuple(texts.to_pylist()),
        into=data.dataset,
        days=_days(rows, data.time),
        shares=_shares(texts, profiles, label),
        left_out=dict(left_out),
        changed=changed,
        offered=offered,
        said=_said(len(places), settings),
        quality=quality,
        drift=drift,
    )


def _names(asked: pa.Table) -> list[str]:
    pairs = zip(asked["request"].to_pylist(), asked["row"].to_pylist(), strict=True)
    return [f"{request}/{row}" for request, row in pairs]


def _reason(
    name: str,
    missing: set[str],
    needed: set[str],
    earlier: Mapping[str, str],
    left_out: Counter[str],
) -> bool:
    """Count why a row cannot be taken; False where it can."""
    if name in earlier:
        left_out["were accepted before"] += 1
        return True
    if lacks := sorted(missing & needed):
        left_out[f"lack {lacks[0]}"] += 1
        return True
    return False


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
    if pa.types.is_integer(wanted):
        return values.cast(pa.float64()).cast(wanted)
    try:
        return values.cast(wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return _convert(values.to_pylist(), wanted)


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
