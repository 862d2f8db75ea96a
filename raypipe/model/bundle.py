"""A bundle read back: the module rebuilt, the transform loaded, ready to be asked.

Nothing is unpickled: the module is built by code, its weights are safetensors.
"""

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from pydantic import TypeAdapter

from raypipe.config.training import ModelConfig
from raypipe.errors import StoreError
from raypipe.model.code import CodeSnapshot
from raypipe.model.predict import Predictor, load_predictor
from raypipe.values.signature import Signature
from raypipe.values.transform import Transform
from raypipe.values.transform.reading import Batch
from raypipe.values.transform.transform import Tensors
from raypipe.values.transform.types import arrow_type

FORMAT = 1
Scores: TypeAlias = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A model version that answers: raw features in, predictions out."""

    model: str
    version: str
    transform: Transform
    predictor: Predictor
    code: CodeSnapshot | None
    """The code that it was trained with; None: the code of now."""

    @property
    def signature(self) -> Signature:
        """What it takes and gives."""
        return self.transform.signature

    @cached_property
    def imports_late(self) -> bool:
        """Whether its code may import modules of its own while it answers."""
        return self.code is not None and self.code.imports_late

    def tensors_and_scores(self, rows: Batch) -> tuple[Tensors, Scores]:
        """Return the tensors that rows of raw features become, and what the model makes of them."""
        with self.code.active() if self.code and self.imports_late else nullcontext():
            tensors = self.transform.apply(rows)
            return tensors, self.predictor.scores(tensors)

    def scores(self, table: pa.Table) -> Scores:
        """Return the scores of rows of raw features; see `Predictor.scores` for the shape."""
        return self.tensors_and_scores(table)[1]

    def no_scores(self) -> Scores:
        """Return the scores of no rows."""
        label = self.signature.label
        many = label.task in ("multiclass", "multilabel")
        shape = (0, label.outputs) if many else (0,)
        return np.empty(shape, np.float32)

    def answers(self, scores: Scores) -> dict[str, pa.Array | Scores]:
        """Return scores as they are answered, by name, a value a row.

        `LABEL_probability` (one a class) and `LABEL_predicted`, in the label's own type: of several
        labels at once the list of those that are at least as likely as not.
        """
        label = self.signature.label
        if label.task == "regression":
            return {f"{label.name}_predicted": scores}
        if label.task == "binary":
            chosen = (scores >= 0.5).astype(np.int64)
            return {
                f"{label.name}_probability": scores,
                f"{label.name}_predicted": self.classes.take(pa.array(chosen)),
            }
        found: dict[str, pa.Array | Scores] = {
            f"{label.name}_probability_{one}": scores[:, index]
            for index, one in enumerate(label.classes)
        }
        if label.task == "multilabel":
            return {**found, f"{label.name}_predicted": self._listed(scores >= 0.5)}
        chosen = scores.argmax(axis=1)
        return {**found, f"{label.name}_predicted": self.classes.take(pa.array(chosen))}

    def _listed(self, chosen: Scores) -> pa.Array:
        """Return the classes of each row as a list."""
        ends = np.concatenate([[0], np.cumsum(chosen.sum(axis=1))]).astype(np.int32)
        values = self.classes.take(pa.array(np.nonzero(chosen)[1], pa.int64()))
        return pa.ListArray.from_arrays(pa.array(ends), values)

    @cached_property
    def classes(self) -> pa.Array:
        """The classes in the label's own type; as text where that cannot hold them."""
        classes = pa.array(self.signature.label.classes, pa.string())
        kind = arrow_type(self.transform.label_type)
        kind = getattr(kind, "value_type", kind)
        try:
            return classes if kind is None else classes.cast(kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return classes

    def score(self, table: pa.Table) -> pa.Table:
        """Return the rows with their answers."""
        for name, values in self.answers(self.scores(table)).items():
            if name in table.column_names:
                table = table.drop_columns(name)
            table = table.append_column(name, pa.array(values))
        return table


def load_bundle(folder: Path, code: Callable[[str], Path]) -> LoadedModel:
    """Load a bundle; `code` gives the folder of a code snapshot by its digest.

    StoreError where the folder is no whole bundle, or of a later format.
    """
    try:
        described = json.loads((folder / "bundle.json").read_text())
    except (OSError, ValueError) as error:
        raise StoreError(f"{folder.name} is no whole bundle: {error}") from error
    if described.get("format") != FORMAT:
        raise StoreError(
            f"{folder.name} has bundle format {described.get('format')}, "
            f"this raypipe knows {FORMAT}",
            hint="upgrade raypipe",
        )
    snapshot = CodeSnapshot(code(described["code"])) if described["code"] else None
    architecture: Any = TypeAdapter(ModelConfig).validate_python(described["architecture"])
    with snapshot.active() if snapshot else nullcontext():
        transform = Transform.load(folder / "transform")
        transform.prepare()
        weights = folder / "weights.safetensors"
        predictor = load_predictor(architecture, transform.signature, weights)
    return LoadedModel(
        model=described["model"],
        version=described["version"],
        transform=transform,
        predictor=predictor,
        code=snapshot,
    )
