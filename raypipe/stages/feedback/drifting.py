"""How far what a version is asked and answers lies from what it was trained on."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raypipe.config.validation import DriftConfig
from raypipe.errors import RaypipeError
from raypipe.stages.feedback.joining import scores_of
from raypipe.values.drift import divergence, drift_by_column
from raypipe.values.feedback import Distance, Drift, Expected, Joined
from raypipe.values.profile import Profile, profile_table

if TYPE_CHECKING:
    from raypipe.model.bundle import LoadedModel

BINS = 10
"""Parts of equal size that the expected scores are cut into."""
GONE = "the profile of its training is gone: `raypipe run` makes it again"


def expected_of(loaded: "LoadedModel", train: Profile) -> Expected:
    """Score the sample that a profile holds; without a score where the model cannot read it."""
    try:
        scores = loaded.scores(train.sample.rows)
    except RaypipeError as error:
        return Expected(scores=(), said=str(error))
    flat = scores if scores.ndim == 1 else scores[:, -1]
    return Expected(scores=tuple(flat.astype(float).tolist()))


def drifted(
    joined: Joined,
    version: str,
    features: Sequence[str],
    train: Profile | None,
    expected: Expected | None,
    settings: DriftConfig,
) -> Drift:
    """Compare the rows that a version was asked, and its scores, with those of its training."""
    own = pc.equal(joined.asked["version"], version)
    asked, fields = joined.asked.filter(own), joined.fields.filter(own)
    about = {"version": version, "rows": asked.num_rows, "unseen": _unseen(asked)}
    if train is None:
        return Drift(**about, columns={}, predictions=None, said=GONE)
    known = [name for name in features if name in fields.column_names]
    distances = drift_by_column(profile_table(fields.select(known)), train)
    in_order = sorted(distances.items(), key=lambda item: (-item[1], item[0]))
    return Drift(
        **about,
        columns={
            name: Distance(distance=one, threshold=settings.columns.get(name, settings.threshold))
            for name, one in in_order
        },
        predictions=_of_scores(asked, expected, settings),
        said="" if expected is None else expected.said,
    )


def _unseen(asked: pa.Table) -> dict[str, int]:
    counted = Counter(name for names in asked["unseen"].to_pylist() for name in names)
    return dict(counted.most_common())


def _of_scores(
    asked: pa.Table, expected: Expected | None, settings: DriftConfig
) -> Distance | None:
    if expected is None or not expected.scores:
        return None
    before = np.array(expected.scores)
    now = scores_of(asked.filter(pc.is_valid(asked["scores"])))[:, -1]
    edges = np.unique(np.quantile(before, np.linspace(0, 1, BINS + 1)[1:-1]))
    found = divergence(_counted(now, edges), _counted(before, edges))
    return None if found is None else Distance(distance=found, threshold=settings.threshold)


def _counted(
    scores: np.ndarray[tuple[int], np.dtype[np.float64]], edges: object
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    places = np.searchsorted(np.asarray(edges), scores, side="right")
    return np.bincount(places, minlength=np.asarray(edges).size + 1).astype(np.int64)
