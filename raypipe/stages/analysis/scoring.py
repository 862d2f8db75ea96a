"""The analysis rows of a shard, scored by the candidate and by the champion.

Each with its own transform.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from raypipe.model.bundle import LoadedModel, load_bundle
from raypipe.model.predict import load_predictor
from raypipe.runtime.imports import importing_from
from raypipe.store.artifacts import open_artifacts
from raypipe.store.locations import open_location
from raypipe.values.dataset import Shard
from raypipe.values.hashing import canonical_text, row_hash
from raypipe.values.split import SPLITS, split_of

SLICE = "slice "
"""What the names of slice columns start with in a table of scores."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """How every shard is scored."""

    rule: Any
    transform: Any
    weights: Path
    architecture: Any
    champion: Path | None
    """Folder of the champion's bundle."""
    groups: tuple[str, ...]
    slices: tuple[str, ...]
    home: Path | None
    """The home, whose artifacts hold the code that the champion was trained with."""
    paths: tuple[str, ...] = ()
    """Folders that the project's modules are imported from."""


class Scorer:
    """Both models, loaded once."""

    def __init__(self, work: Work) -> None:
        self.work = work
        with importing_from(work.paths):
            signature = work.transform.signature
            self.candidate = load_predictor(work.architecture, signature, work.weights)
        self.champion = load_bundle(work.champion, self._code) if work.champion else None

    def _code(self, digest: str) -> Path:
        assert self.work.home is not None
        return open_artifacts(self.work.home).path(digest)

    def score(self, shard: Shard) -> pa.Table:
        """Return label, scores, group and slice values of the shard's analysis rows."""
        with importing_from(self.work.paths):
            return self._score(self._rows(shard))

    def ask(self, rows: pa.Table) -> tuple[Any, Any, Any]:
        """Return the label, the scores and the champion's of any rows.

        The last are None without a champion that reads their columns and tells the same classes.
        """
        with importing_from(self.work.paths):
            told = np.asarray(self.work.transform.told_label(rows), np.float64)
            scores = self.candidate.scores(self.work.transform.apply(rows))
            theirs = self._champion_for(rows)
            beside = None if theirs is None else theirs.scores(rows)
        return told, scores, beside

    def _champion_for(self, rows: pa.Table) -> LoadedModel | None:
        if self.champion is None:
            return None
        known, own = self.champion.signature, self.work.transform.signature
        reads = {one.name for one in known.features}
        fits = known.label.contract == own.label.contract and reads <= {*rows.column_names}
        return self.champion if fits else None

    def _score(self, rows: pa.Table) -> pa.Table:
        work = self.work
        columns: dict[str, Any] = {
            "label": _scores(work.transform.told_label(rows)),
            "score": _scores(self.candidate.scores(work.transform.apply(rows))),
            "group": pa.array(row_hash(rows, list(work.groups))),
        }
        if self.champion is not None:
            columns["champion"] = _scores(self.champion.scores(rows))
        for name in work.slices:
            columns[SLICE + name] = canonical_text(rows[name])
        return pa.table(columns)

    def _rows(self, shard: Shard) -> pa.Table:
        from pyarrow.parquet import read_table

        with open_location(shard.location) as file:
            table = read_table(file)
        analysis = np.flatnonzero(split_of(table, self.work.rule) == SPLITS.index("analysis"))
        return table.take(analysis)


def score_here(shards: Sequence[Shard], work: Work) -> pa.Table:
    """Score shards in this process, one after the other."""
    scorer = Scorer(work)
    return pa.concat_tables([scorer.score(shard) for shard in shards])


def _scores(scores: Any) -> pa.Array:
    scores = np.asarray(scores, np.float64)
    if scores.ndim == 1:
        return pa.array(scores)
    flat = pa.array(scores.reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, scores.shape[1])


def to_numpy(column: pa.ChunkedArray) -> Any:
    """Return a column of scores as [rows] or [rows, classes]."""
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0) if array.num_chunks else pa.array([], array.type)
    if pa.types.is_fixed_size_list(array.type):
        return array.flatten().to_numpy().reshape(len(array), array.type.list_size)
    with suppress(pa.ArrowInvalid):
        return array.to_numpy(zero_copy_only=True)
    return array.to_numpy(zero_copy_only=False)
