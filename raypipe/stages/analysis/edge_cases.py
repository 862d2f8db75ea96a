"""Sets of edge cases, asked of the candidate and of the champion."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from raypipe.errors import RaypipeError
from raypipe.model import intervals
from raypipe.model.weighted import prepare
from raypipe.stages.analysis.scoring import Scorer, Work
from raypipe.values.edge_cases import FAILED, EdgeCases, EdgeFindings, FailingRow
from raypipe.values.signature import Label

SHOWN = 20
"""Failing rows of a set that are told of one by one."""
LONGEST = 200
"""Letters of a note or a label that are kept."""


def ask_edge_cases(
    sets: Sequence[EdgeCases], work: Work, version: str, error: float | None
) -> tuple[EdgeFindings, ...]:
    """Return what the models make of each set; UsageError names one that cannot be asked.

    A champion that reads other columns, or tells other classes, is left out. `error` is how far off
    a number may be.
    """
    scorer = Scorer(work)
    return tuple(_asked(one, scorer, version, error) for one in sets)


def failing(label: Label, told: Any, scores: Any, error: float | None) -> Any:
    """Say of each row whether a model gets it wrong, [rows]; of numbers none does without `error`.

    `told` and `scores` are of shape [rows], or [rows, classes] where the task has several.
    """
    if label.task == "regression":
        far = np.abs(scores - told) > (np.inf if error is None else error)
        return far | np.isnan(scores)
    if label.task == "multiclass":
        return scores.argmax(axis=1) != told
    wrong = (scores >= 0.5) != (told >= 0.5)
    return wrong.any(axis=1) if label.task == "multilabel" else wrong


def _asked(one: EdgeCases, scorer: Scorer, version: str, error: float | None) -> EdgeFindings:
    try:
        told, scores, theirs = scorer.ask(one.rows)
    except RaypipeError as fault:
        raise type(fault)(f"edge cases {one.name!r}: {fault}", hint=fault.hint) from fault
    label = scorer.work.transform.signature.label
    wrong = failing(label, told, scores, error)
    rows = _failing_rows(one.rows, label, np.flatnonzero(wrong)[:SHOWN], told, scores, theirs)
    found = EdgeFindings(
        name=one.name,
        rows=one.rows.num_rows,
        metrics=figures(label, told, scores, error),
        failing=tuple(rows),
    )
    if theirs is None:
        return found
    beside = figures(label, told, theirs, error)
    return EdgeFindings(**{**vars(found), "version": version, "champion": beside})


def figures(label: Label, told: Any, scores: Any, error: float | None) -> dict[str, float]:
    """Return the task's metrics of all rows together, NaN where they define none, and `failed`."""
    together = np.zeros(len(told), np.int64)
    prepared = prepare(label.task, np.asarray(scores, np.float64), told, together, 1)
    failed = float(failing(label, told, scores, error).sum())
    return {**intervals.point(prepared, 1), FAILED: failed}


def _failing_rows(
    rows: pa.Table, label: Label, places: Any, told: Any, scores: Any, theirs: Any
) -> Iterator[FailingRow]:
    notes = rows["note"] if "note" in rows.column_names else None
    for place in map(int, places):
        note = notes[place].as_py() if notes is not None else None
        yield FailingRow(
            number=place + 1,
            note="" if note is None else str(note)[:LONGEST],
            told=_as_told(label, told[place])[:LONGEST],
            predicted=_as_scored(label, scores[place])[:LONGEST],
            champion="" if theirs is None else _as_scored(label, theirs[place])[:LONGEST],
        )


def _as_told(label: Label, value: Any) -> str:
    if label.task == "regression":
        return f"{value:.6g}"
    if label.task == "multilabel":
        return _listed(label, value)
    return label.classes[int(value)]


def _as_scored(label: Label, score: Any) -> str:
    """Return what a model says of a row: the class with its probability, or the number."""
    if label.task == "regression":
        return f"{score:.6g}"
    if label.task == "multilabel":
        return _listed(label, score)
    likely = int(score >= 0.5) if label.task == "binary" else int(score.argmax())
    sure = score[likely] if label.task == "multiclass" else score if likely else 1 - score
    return f"{label.classes[likely]} ({sure:.3f})"


def _listed(label: Label, flags: Any) -> str:
    named = [label.classes[one] for one in np.flatnonzero(flags >= 0.5)]
    return ", ".join(named) or "(none)"
