"""One version in a replica: loaded, asked, answering."""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from raypipe.errors import UsageError
from raypipe.stages.serving.asked import Asked, Reading, together
from raypipe.values.transform.category_groups import Frequency, Ordinal
from raypipe.values.transform.groups import Embedding, OneHot, places
from raypipe.values.transform.reading import Read, missing

if TYPE_CHECKING:
    from raypipe.model.bundle import LoadedModel
    from raypipe.values.transform import Transform

_swapping = threading.RLock()
"""Held while modules are imported from a snapshot: for loading, and for code that does so late."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a version says to some rows."""

    outputs: dict[str, list[Any]]
    """Output to its value a row, as JSON has them."""
    unseen: dict[str, list[int]]
    """Column to the rows whose category training did not see."""


class Served:
    """A version of a model, ready to be asked."""

    def __init__(self, loaded: "LoadedModel") -> None:
        self.loaded = loaded
        self.reading = Reading(loaded.signature, loaded.transform.optional)
        self.datatypes = _datatypes(loaded)
        self._classes = _as_json(loaded.classes)
        self._unseen = _Unseen(loaded.transform)
        self._held: Callable[[], AbstractContextManager[Any]] = (
            (lambda: _swapping) if loaded.imports_late else nullcontext
        )

    def answer(self, asked: Asked) -> Answer:
        """Answer rows: raw features in, predictions out."""
        return self.answers([asked])[0]

    def answers(self, asked: Sequence[Asked]) -> list[Answer]:
        """Answer several requests by one call of the model; what fails, fails for all of them."""
        rows = together(asked)
        with self._held():
            tensors, scores = self.loaded.tensors_and_scores(rows)
        require_numbers(scores)
        outputs, unseen = self._outputs(scores), self._unseen(rows, tensors)
        if len(asked) == 1:
            return [Answer(outputs=outputs, unseen=unseen)]
        stops = list(accumulate(one.rows for one in asked))
        return [
            Answer(
                outputs={name: values[start:stop] for name, values in outputs.items()},
                unseen=_within(unseen, start, stop) if unseen else {},
            )
            for start, stop in pairwise([0, *stops])
        ]

    def _outputs(self, scores: Any) -> dict[str, list[Any]]:
        """Return what `LoadedModel.answers` does, as JSON has it."""
        label = self.loaded.signature.label
        if label.task == "binary":  # by hand: a call of Arrow's costs more than the rest
            listed = scores.tolist()
            negative, positive = self._classes
            return {
                f"{label.name}_probability": listed,
                f"{label.name}_predicted": [positive if s >= 0.5 else negative for s in listed],
            }
        return {name: _as_json(values) for name, values in self.loaded.answers(scores).items()}


def load(bundle: Path, code: Callable[[str], Path]) -> Served:
    """Load a version from its bundle."""
    from raypipe.model.bundle import load_bundle

    with _swapping:
        return Served(load_bundle(bundle, code))


def require_numbers(scores: np.ndarray[Any, Any]) -> None:
    """Raise UsageError for a row whose score is none: JSON has no word for it."""
    if np.isfinite(scores).all():
        return
    row = int(np.flatnonzero(~np.isfinite(scores.reshape(len(scores), -1)).all(axis=1))[0])
    raise UsageError(
        f"row {row}: the model's answer is no finite number; "
        "a feature is far larger than any that it was trained on"
    )


def _as_json(values: pa.Array | np.ndarray[Any, Any]) -> list[Any]:
    """Return values as JSON has them: a float32 as the float64 that it is, dates as text."""
    if isinstance(values, np.ndarray):
        listed: list[Any] = values.astype(np.float64).tolist()
        return listed
    if pa.types.is_temporal(values.type) or pa.types.is_decimal(values.type):
        values = values.cast(pa.string())
    return list(values.to_pylist())


def _datatypes(loaded: "LoadedModel") -> dict[str, str]:
    from raypipe.stages.serving.oip import DATATYPES

    empty = loaded.answers(loaded.no_scores())
    return {
        name: "FP32" if isinstance(values, np.ndarray) else DATATYPES.get(str(values.type), "BYTES")
        for name, values in empty.items()
    }


def _within(unseen: Mapping[str, list[int]], start: int, stop: int) -> dict[str, list[int]]:
    """Return the rows of one request among those of several, counted from its own first one."""
    found = {c: [row - start for row in rows if start <= row < stop] for c, rows in unseen.items()}
    return {column: rows for column, rows in found.items() if rows}


class _Unseen:
    """Finds categories that training did not see, in the tensors that they left no mark in."""

    def __init__(self, transform: "Transform") -> None:
        self._places = {name: place for place, name in enumerate(transform.columns)}
        self._values: list[tuple[str, str, int, int]] = []
        """Column, tensor, place, and the value there of what is not known."""
        self._flags: list[tuple[str, str, int, int]] = []
        """Column, tensor, start, stop: none is set for what is not known."""
        for group, (start, _) in zip(transform.groups, places(transform.groups), strict=True):
            if isinstance(group, Embedding | Ordinal | Frequency):
                unknown = -1 if isinstance(group, Ordinal) else 0
                for number, column in enumerate(group.columns):
                    self._values.append((column, group.tensor, start + number, unknown))
            elif isinstance(group, OneHot):
                for column, known in zip(group.columns, group.vocabularies, strict=True):
                    self._flags.append((column, group.tensor, start, start + len(known)))
                    start += len(known)

    def __call__(self, rows: Read, tensors: dict[str, Any]) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for column, tensor, place, none in self._values:
            unknown = tensors[tensor][:, place] == none
            if unknown.any():
                self._note(found, column, unknown, rows)
        for column, tensor, start, stop in self._flags:
            unknown = ~tensors[tensor][:, start:stop].any(axis=1)
            if unknown.any():
                self._note(found, column, unknown, rows)
        return found

    def _note(self, found: dict[str, list[int]], column: str, unknown: Any, rows: Read) -> None:
        """Note the rows whose value is not known; one that is missing is no category."""
        given = rows.columns[self._places[column]]
        strange = [row for row in np.flatnonzero(unknown).tolist() if not missing(given, row)]
        if strange:
            found[column] = sorted({*found.get(column, ()), *strange})
