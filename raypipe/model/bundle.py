"""A bundle read back: the module rebuilt, the transform loaded, ready to be asked.

Nothing is unpickled: the module is built by code, its weights are safetensors.
"""

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import TypeAdapter

from raypipe.config.training import ModelConfig
from raypipe.errors import StoreError
from raypipe.model.code import CodeSnapshot
from raypipe.model.predict import Predictor, load_predictor
from raypipe.values.signature import Signature
from raypipe.values.transform import Transform

FORMAT = 1


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

    def scores(self, table: pa.Table) -> np.ndarray[Any, Any]:
        """Return the scores of rows of raw features; see `Predictor.scores` for the shape."""
        with self.code.active() if self.code else nullcontext():
            return self.predictor.scores(self.transform.apply(table))

    def score(self, table: pa.Table) -> pa.Table:
        """Return the rows with their predictions.

        `LABEL_probability` (one a class) and `LABEL_predicted`.
        """
        scores = self.scores(table)
        label = self.signature.label
        name = label.name
        if label.task == "regression":
            return table.append_column(f"{name}_predicted", pa.array(scores))
        classes = np.array(label.classes)
        if label.task == "binary":
            table = table.append_column(f"{name}_probability", pa.array(scores))
            chosen = classes[(scores >= 0.5).astype(int)]
        else:
            for index, one in enumerate(label.classes):
                table = table.append_column(f"{name}_probability_{one}", pa.array(scores[:, index]))
            chosen = classes[scores.argmax(axis=1)]
        return table.append_column(f"{name}_predicted", pa.array(chosen.tolist(), pa.string()))


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
        weights = folder / "weights.safetensors"
        predictor = load_predictor(architecture, transform.signature, weights)
    return LoadedModel(
        model=described["model"],
        version=described["version"],
        transform=transform,
        predictor=predictor,
        code=snapshot,
    )
