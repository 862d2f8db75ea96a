"""How good answers were: metrics of labelled rows by version, with intervals over groups."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raypipe.config.analysis import MeasuringConfig
from raypipe.config.feedback import FeedbackConfig
from raypipe.model import intervals
from raypipe.model.weighted import Floats, Ints, prepare
from raypipe.stages.feedback.joining import scores_of
from raypipe.values.feedback import Joined, Quality, Registered
from raypipe.values.hashing import row_hash
from raypipe.values.signature import Label

FEWEST_GROUPS = 5
"""Groups below which an interval over them would say little: rows are resampled then."""


def measured(
    joined: Joined,
    label: Label,
    versions: Sequence[Registered],
    groups: Sequence[str],
    settings: FeedbackConfig,
    measuring: MeasuringConfig,
) -> tuple[Quality, ...]:
    """Return the live quality of each version that was asked, in the order of `versions`."""
    asked = set(joined.asked["version"].to_pylist())
    return tuple(
        _of_version(joined, label, one, groups, settings, measuring)
        for one in versions
        if one.version in asked
    )


def _of_version(
    joined: Joined,
    label: Label,
    version: Registered,
    groups: Sequence[str],
    settings: FeedbackConfig,
    measuring: MeasuringConfig,
) -> Quality:
    of_version = pc.equal(joined.asked["version"], version.version)
    known = pc.and_(of_version, pc.is_valid(joined.asked["label"]))
    labelled = int(pc.sum(known).as_py() or 0)
    about: dict[str, Any] = {
        "version": version.version,
        "asked": int(pc.sum(of_version).as_py() or 0),
        "labelled": labelled,
        "registered": version.metrics,
    }
    answered = pc.and_(known, pc.is_valid(joined.asked["scores"]))
    asked, fields = joined.asked.filter(answered), joined.fields.filter(answered)
    if labelled and not asked.num_rows:
        return Quality(**about, metrics={}, said=f"it answers something else than {label.name} now")
    if said := _too_little(asked, label, settings):
        return Quality(**about, metrics={}, said=said)
    truth, scores = _numbers(asked, label)
    group, count, by = _groups(fields, groups, asked.num_rows)
    prepared = prepare(label.task, scores, truth, group, count)
    draws = intervals.draw(count, measuring.resamples)
    metrics = intervals.estimates(
        intervals.point(prepared, count),
        intervals.sample(prepared, draws),
        measuring.confidence,
    )
    return Quality(**about, metrics=metrics, groups=count, by=by, confidence=measuring.confidence)


def _too_little(asked: pa.Table, label: Label, settings: FeedbackConfig) -> str:
    if asked.num_rows < settings.least_labels:
        return (
            f"{asked.num_rows} labels; from {settings.least_labels} on it is told "
            "(feedback.least_labels)"
        )
    classes = asked["label"].unique().to_pylist()
    if label.task in ("binary", "multiclass") and len(classes) < 2:
        return f"all {asked.num_rows} labels are {classes[0]!r}: nothing to tell apart"
    return ""


def _numbers(asked: pa.Table, label: Label) -> tuple[Floats, Floats]:
    """Return labels and scores as analysis has them."""
    texts, scores = asked["label"].to_pylist(), scores_of(asked)
    if label.task == "regression":
        return np.array(texts, np.float64), scores[:, 0]
    if label.task == "multilabel":
        told = [set(json.loads(text)) for text in texts]
        flags = [[float(name in one) for name in label.classes] for one in told]
        return np.array(flags, np.float64).reshape(len(told), len(label.classes)), scores
    places = {name: float(place) for place, name in enumerate(label.classes)}
    truth = np.array([places[text] for text in texts])
    return truth, scores[:, 0] if label.task == "binary" else scores


def _groups(
    fields: pa.Table, columns: Sequence[str], rows: int
) -> tuple[Ints, int, tuple[str, ...]]:
    """Number the groups of rows, by the columns where all rows have them; else each is one."""
    there = set(columns) <= set(fields.column_names)
    if there and not any(fields[name].null_count for name in columns):
        known, group = np.unique(row_hash(fields, columns), return_inverse=True)
        if len(known) >= FEWEST_GROUPS:
            return group.astype(np.int64), len(known), tuple(columns)
    return np.arange(rows, dtype=np.int64), rows, ()
