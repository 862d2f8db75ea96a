"""From a table of scores to an evaluation.

Metrics, intervals, slices, the champion.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from raypipe.config.analysis import MeasuringConfig
from raypipe.errors import StepFailed
from raypipe.model import intervals
from raypipe.model.weighted import Floats, Ints, curves_of, prepare
from raypipe.stages.analysis.scoring import SLICE, to_numpy
from raypipe.values.evaluation import Comparison, Estimate, Evaluation, Slice


@dataclass(frozen=True, kw_only=True)
class _Rows:
    task: str
    label: Floats
    scores: Floats
    champion: Floats | None
    group: Ints
    groups: int
    draws: Floats
    confidence: float

    def only(self, places: Ints) -> "_Rows":
        """Return some of the rows; groups keep their numbers, so that resamples stay paired."""
        return _Rows(
            task=self.task,
            label=self.label[places],
            scores=self.scores[places],
            champion=None if self.champion is None else self.champion[places],
            group=self.group[places],
            groups=self.groups,
            draws=self.draws,
            confidence=self.confidence,
        )

    def estimates(self, scores: Floats) -> tuple[dict[str, float], intervals.Sampled]:
        """Return metrics of scores, and their values in each resample."""
        prepared = prepare(self.task, scores, self.label, self.group, self.groups)
        return intervals.point(prepared, self.groups), intervals.sample(prepared, self.draws)


def evaluate_scores(
    table: pa.Table, task: str, champion: str, settings: MeasuringConfig
) -> Evaluation:
    """Evaluate the columns label, score, group, champion (where there is one) and slices."""
    if not table.num_rows:
        raise StepFailed(
            "the analysis split has no rows", hint="look at `data.split`, or import more data"
        )
    rows = _rows(table, task, settings)
    values, sampled = rows.estimates(rows.scores)
    metrics = intervals.estimates(values, sampled, rows.confidence)
    compared = None
    if rows.champion is not None:
        compared = _compare(rows, champion, values, sampled)
    binary = task == "binary"
    return Evaluation(
        task=task,
        rows=table.num_rows,
        groups=rows.groups,
        confidence=settings.confidence,
        metrics=metrics,
        slices=tuple(_slices(table, rows, settings)),
        curves=curves_of(rows.scores, rows.label) if binary else {},
        champion=compared,
    )


def _rows(table: pa.Table, task: str, settings: MeasuringConfig) -> _Rows:
    known, group = np.unique(to_numpy(table["group"]), return_inverse=True)
    has_champion = "champion" in table.column_names
    return _Rows(
        task=task,
        label=to_numpy(table["label"]),
        scores=to_numpy(table["score"]),
        champion=to_numpy(table["champion"]) if has_champion else None,
        group=group.astype(np.int64),
        groups=len(known),
        draws=intervals.draw(len(known), settings.resamples),
        confidence=settings.confidence,
    )


def _compare(
    rows: _Rows, version: str, values: dict[str, float], sampled: intervals.Sampled
) -> Comparison:
    assert rows.champion is not None
    theirs, their_samples = rows.estimates(rows.champion)
    return Comparison(
        version=version,
        metrics=intervals.estimates(theirs, their_samples, rows.confidence),
        differences=intervals.differences(values, theirs, sampled, their_samples, rows.confidence),
    )


def _slices(table: pa.Table, rows: _Rows, settings: MeasuringConfig) -> Iterator[Slice]:
    for column in settings.slices:
        named = ("(null)" if text is None else text for text in table[SLICE + column].to_pylist())
        texts = np.array([*named], dtype=object)  # of one width, the longest would be each one's
        for value in np.unique(texts):
            places = np.flatnonzero(texts == value)
            if len(places) >= settings.smallest_slice:
                some = rows.only(places)
                yield Slice(
                    column=column,
                    value=str(value),
                    rows=len(places),
                    metrics=_with_intervals(some, some.scores),
                    champion=None
                    if some.champion is None
                    else _with_intervals(some, some.champion),
                )


def _with_intervals(rows: _Rows, scores: Floats) -> dict[str, Estimate]:
    values, sampled = rows.estimates(scores)
    return intervals.estimates(values, sampled, rows.confidence)
