"""What the ledger says of where a step's inputs come from, and which of them hold analysis rows.

Nothing here looks at a graph: what was made, and of what, is read from the results that runs
recorded, back to the raw rows.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from raypipe.app.assemble import Workshop
from raypipe.engine.records import Result
from raypipe.values.dataset import Dataset

LEARN = ("fit", "trial", "choose", "recall", "train")
"""Steps that a model is fitted, chosen or trained by."""
SEALED = {
    ("profile_shard", "train"),
    ("profile_shard", "validation"),
    ("merge_profiles", "train"),
    ("merge_profiles", "validation"),
    ("transform_shards", "train"),
    ("transform_shards", "validation"),
}
"""Parts of outputs in which the analysis rows are left out, as the test of contents shows."""
NO_ROWS = ("infer", "admit")
"""Steps that give a schema: what values may be, and no rows."""

Path_ = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Origin:
    """A part of what a step gave."""

    result: Result
    path: Path_

    @property
    def step(self) -> str:
        """The function of the step, without its number."""
        return function_of(self.result.step)

    def __str__(self) -> str:
        return ".".join([self.step, *map(str, self.path)])


def function_of(step: str) -> str:
    """Return `f` of `f`, `f#2` and `f[0]`."""
    return step.partition("#")[0].partition("[")[0]


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """A home's ledger, and the dataset that a run of it was of."""

    workshop: Workshop
    dataset: Dataset
    run: str
    _known: dict[str, bool] = field(default_factory=dict)

    @cached_property
    def results(self) -> dict[str, Result]:
        """What the run made or found, by the step's name."""
        return self._results_of(self.run)

    def learning(self) -> Iterator[Result]:
        """Yield what the learning steps of the run gave."""
        for result in self.results.values():
            if function_of(result.step) in LEARN:
                yield result

    def given(self, result: Result) -> dict[str, str]:
        """Return the digest of each artifact that a step was given, by its parameter."""
        told = result.explanation
        return {**told.inputs, **told.aside}

    @cached_property
    def origins(self) -> Mapping[str, list[Origin]]:
        """Which parts of which results of all runs have a digest."""
        found: dict[str, list[Origin]] = {}
        ledger = self.workshop.ledger
        for run in ledger.list_runs():
            for result in self._results_of(run.id).values():
                for path, digest in self._parts(result):
                    found.setdefault(digest, []).append(Origin(result=result, path=path))
        return found

    @cached_property
    def raw(self) -> set[str]:
        """The digests of the literals that name raw rows: of a shard, of some, of all."""
        encode, shards = self.workshop.codec.encode, self.dataset.shards
        named = [*shards, list(shards), tuple(shards), self.dataset]
        return {encode(one).digest for one in named}

    def unsealed(self) -> list[str]:
        """Name each artifact with analysis rows that a learning step of the run was given.

        And each whose origin the ledger does not know: it might be anything.
        """
        found = []
        for result in self.learning():
            for name, digest in self.given(result).items():
                if self.holds_analysis_rows(digest):
                    made = ", ".join(sorted({str(one) for one in self.origins.get(digest, ())}))
                    found.append(f"{result.step}.{name}: {made or 'of unknown origin'}")
            for name, digest in result.explanation.parameters.items():
                if digest in self.raw:
                    found.append(f"{result.step}.{name}: raw rows")
        return found

    def ancestors(self, result: Result) -> set[str]:
        """Return the functions of all steps that something of a result comes from."""
        found: set[str] = set()
        left = [result]
        seen: set[str] = set()
        while left:
            for digest in self.given(left.pop()).values():
                for origin in self.origins.get(digest, ()):
                    if origin.result.key not in seen:
                        seen.add(origin.result.key)
                        found.add(origin.step)
                        left.append(origin.result)
        return found

    def value(self, digest: str) -> Any:
        """Return an artifact's value, found by what made it."""
        origin = self.origins[digest][0]
        return self.part(origin.result, *origin.path)

    def part(self, result: Result, *path: str | int) -> Any:
        """Return the value of a result, or of a part of it."""
        artifacts, codec = self.workshop.artifacts, self.workshop.codec
        _, manifest = codec.field(artifacts.read(result.root), path)
        return codec.decode(manifest, artifacts)

    def holds_analysis_rows(self, digest: str) -> bool:
        """Say whether an artifact holds analysis rows, or might: its origin is not known."""
        if digest not in self._known:
            self._known[digest] = True  # what comes from itself comes from nowhere
            origins = self.origins.get(digest, [])
            self._known[digest] = not origins or any(map(self._is_of_all_rows, origins))
        return self._known[digest]

    def _is_of_all_rows(self, origin: Origin) -> bool:
        sealed = origin.path and (origin.step, origin.path[0]) in SEALED
        if sealed or origin.step in NO_ROWS:
            return False
        result = origin.result
        names = result.explanation.parameters
        if {"shard", "shards", "dataset"} & {name.partition("[")[0] for name in names}:
            # `transform_shards` gives nothing but the sealed parts.
            return not (origin.step == "transform_shards" and not origin.path)
        return any(map(self.holds_analysis_rows, self.given(result).values()))

    def _results_of(self, run: str) -> dict[str, Result]:
        ledger = self.workshop.ledger
        found = {s.name: ledger.result_of(s.key) for s in ledger.run_steps(run) if s.key}
        return {name: result for name, result in found.items() if result is not None}

    def _parts(self, result: Result) -> Iterator[tuple[Path_, str]]:
        """Yield the paths of an output's parts that may be given on, each with its digest."""
        codec, artifacts = self.workshop.codec, self.workshop.artifacts
        manifest = artifacts.read(result.root)
        yield (), result.root
        value = codec.decode(manifest, artifacts)
        names: list[str | int] = []
        if is_dataclass(value):
            names = [one.name for one in fields(value)]
        elif isinstance(value, list | tuple):
            names = list(range(len(value)))
        for name in names:
            yield (name,), codec.field(manifest, (name,))[0]


# --- contents -------------------------------------------------------------------------------------


def texts_of(value: Any) -> Iterator[str]:
    """Yield all that a value holds as text, the rows of its tables and files too."""
    if isinstance(value, dict):
        yield from texts_of([*value.keys(), *value.values()])
    elif isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from texts_of(one)
    elif is_dataclass(value) and not isinstance(value, type):
        for one in fields(value):
            yield from texts_of(getattr(value, one.name))
    elif hasattr(type(value), "model_fields"):
        yield from texts_of(value.__dict__)
    elif isinstance(value, pa.Table):
        for column in value.columns:
            yield from texts_of(column.to_pylist())
    elif isinstance(value, np.ndarray):
        yield from map(str, np.unique(value).tolist())
    elif isinstance(value, Path):
        yield from _texts_in(value)
    else:
        yield str(value)


def _texts_in(path: Path) -> Iterator[str]:
    if path.is_dir():
        for one in sorted(path.rglob("*")):
            if one.is_file():
                yield from _texts_in(one)
    elif path.suffix == ".parquet":
        yield from texts_of(pq.read_table(path))
    else:
        yield path.read_bytes().decode("latin-1")


def holds(value: Any, marks: set[str]) -> set[str]:
    """Return the marks that stand somewhere in a value."""
    return {mark for text in texts_of(value) for mark in marks if mark in text}
